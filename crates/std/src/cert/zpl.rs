//! ZPL (RFC 4), as far as files of certificates have it: sections at the margin, and properties under them.
//!
//! ```text
//! # a comment
//! section
//!     name = "value"     # in quotes of either kind, or up to the comment
//! ```
//!
//! CZMQ wants 4 spaces a level. Here any indentation will do, as long as those of one section have the same.

/// The longest line that CZMQ reads, in octets.
pub(super) const MAX_LINE: usize = 1024;

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Property<'a> {
    /// Which line, from 1.
    pub(super) line: usize,
    /// The section that it stands in; the section itself has none.
    pub(super) section: Option<&'a str>,
    pub(super) name: &'a str,
    /// Empty when the line has no `=`.
    pub(super) value: &'a str,
    /// Whether it belongs to the section and not to one of its properties.
    pub(super) is_direct: bool,
}

/// A line that says nothing: which, from 1, and what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) line: usize,
    pub(super) what: &'static str,
}

/// What a text says, line by line.
pub(super) fn properties(text: &str) -> impl Iterator<Item = Result<Property<'_>, Flaw>> {
    let mut section = None;
    // How far the properties of the section stand to the right of it, once there was one.
    let mut indentation = None;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.lines().enumerate().filter_map(move |(index, text)| {
        let line = index + 1;
        let rest = text.trim_start_matches([' ', '\t']);
        if rest.trim_end().is_empty() || rest.starts_with('#') {
            return None;
        }
        let indented = text.len() - rest.len();
        Some(parse(rest).map_err(|what| Flaw { line, what }).and_then(|(name, value)| {
            let mut property = Property { line, section, name, value, is_direct: true };
            if indented == 0 {
                section = Some(name);
                indentation = None;
                property.section = None;
            } else if section.is_none() {
                let what = "it is indented and there is nothing above that it could belong to";
                return Err(Flaw { line, what });
            } else {
                let direct = *indentation.get_or_insert(indented);
                if indented < direct {
                    let what = "it is indented less than the line above and belongs to nothing; indent by 4 spaces";
                    return Err(Flaw { line, what });
                }
                property.is_direct = indented == direct;
            }
            Ok(property)
        }))
    })
}

/// Name and value of a line without its indentation.
fn parse(line: &str) -> Result<(&str, &str), &'static str> {
    let end = line.find(|c| !is_name_character(c)).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    if !is_name(name) {
        return Err(
            "a line begins with a name of letters, digits and $-_@.&+/, which does not begin or end with /",
        );
    }
    let rest = rest.trim();
    let Some(value) = rest.strip_prefix('=') else {
        return match rest {
            "" => Ok((name, "")),
            comment if comment.starts_with('#') => Ok((name, "")),
            _ => Err("behind a name only a = and a value, or a comment, can stand"),
        };
    };
    let value = value.trim_start();
    let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        let value = value.split_once('#').map_or(value, |(value, _)| value);
        return Ok((name, value.trim_end()));
    };
    let mut parts = value.splitn(3, quote).skip(1);
    match (parts.next(), parts.next().map(str::trim)) {
        (Some(value), Some(rest)) if rest.is_empty() || rest.starts_with('#') => Ok((name, value)),
        (_, Some(_)) => Err("behind the closing quote only a comment can stand"),
        (_, None) => Err("the quote is not closed"),
    }
}

fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "$-_@.&+/".contains(c)
}

/// Whether it is the name of a property.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.chars().all(is_name_character)
        && !name.starts_with('/')
        && !name.ends_with('/')
}

/// A line that says this, without its end; `None` when no line can say it: the value has a line end in it, or quotes of both
/// kinds and what only quotes can hold, or more octets than CZMQ reads.
pub(super) fn line(name: &str, value: &str) -> Option<String> {
    let is_one_line = !value.contains(['\n', '\0']);
    let line = if !value.contains('"') {
        format!("    {name} = \"{value}\"")
    } else if !value.contains('\'') {
        format!("    {name} = '{value}'")
    } else if value.trim() == value && !value.contains('#') && !value.starts_with(['"', '\'']) {
        format!("    {name} = {value}")
    } else {
        return None;
    };
    (is_one_line && is_name(name) && line.len() <= MAX_LINE).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Section, name and value.
    type Said<'a> = (Option<&'a str>, &'a str, &'a str);

    fn said(text: &str) -> Result<Vec<Said<'_>>, Flaw> {
        properties(text)
            .filter(|property| property.as_ref().map_or(true, |it| it.is_direct))
            .map(|property| property.map(|it| (it.section, it.name, it.value)))
            .collect()
    }

    #[test]
    fn sections_and_properties_are_read_with_comments_and_quotes_of_all_kinds() {
        let text = "\u{feff}#  first\n\nmetadata   # here\n    name = \"Jo # 'Doe'\" # last\n    a/b='x \"y\"'\n    bare =  some words  # no\n\
                    \x20   empty =\n    nothing\n        deeper = 1\n# between\n    again = \"\"\r\ncurve = \"of its own\"\n\tpublic-key\t=\tx";
        let metadata = Some("metadata");
        assert_eq!(
            said(text).unwrap(),
            [
                (None, "metadata", ""),
                (metadata, "name", "Jo # 'Doe'"),
                (metadata, "a/b", "x \"y\""),
                (metadata, "bare", "some words"),
                (metadata, "empty", ""),
                (metadata, "nothing", ""),
                (metadata, "again", ""),
                (None, "curve", "of its own"),
                (Some("curve"), "public-key", "x"),
            ]
        );
        let lines: Vec<_> = properties(text)
            .map(|property| property.unwrap().line)
            .collect();
        assert_eq!(lines, [3, 4, 5, 6, 7, 8, 9, 11, 12, 13]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, line, what) in [
            ("a\n = b", 2, "begins with a name"),
            ("a\n    /b = c", 2, "begins with a name"),
            ("\n\na b", 3, "behind a name"),
            ("a\n    b = \"c", 2, "not closed"),
            ("a\n    b = 'c\"", 2, "not closed"),
            ("a\n    b = \"c\" d", 2, "closing quote"),
            ("    b = c", 1, "nothing above"),
            ("a\n    b = c\n  d = e", 3, "indented less"),
            ("ä = 1", 1, "begins with a name"),
        ] {
            let flaw = said(text).unwrap_err();
            assert!(
                flaw.line == line && flaw.what.contains(what),
                "{text:?}: {flaw:?}"
            );
        }
    }

    #[test]
    fn what_a_line_can_say_comes_back() {
        for value in [
            "",
            "plain",
            "it's",
            "say \"x\"",
            "it's \"x\"",
            "# ' x",
            " blanks ",
            "1 = 2",
            "grün",
        ] {
            let line = line("name", value).unwrap();
            let text = format!("s\n{line}\n");
            assert_eq!(
                said(&text).unwrap()[1],
                (Some("s"), "name", value),
                "{line}"
            );
        }
        let room = MAX_LINE - line("name", "").unwrap().len();
        assert!(line("name", &"x".repeat(room)).is_some());
        for (name, value) in [
            ("name", "'\" #"),
            ("name", "'\" "),
            ("name", "\"'"),
            ("name", "a\nb"),
            ("name", "a\0b"),
            ("na me", "x"),
            ("/name", "x"),
            ("", "x"),
            ("name", &*"x".repeat(room + 1)),
        ] {
            assert_eq!(line(name, value), None, "{name:?} {value:?}");
        }
    }
}
