//! Hexadecimal digits as people and tools write them.

use atonce::{Bytes, Frames};

/// What is wrong with digits: where, and what.
#[derive(Debug, PartialEq)]
pub(super) struct NotHex {
    /// The line, from 1.
    pub(super) line: usize,
    /// What is wrong there.
    pub(super) what: String,
}

/// Reads octets: digits in either case, with or without `0x` or `\x`, divided by white space, colons, commas, dashes, or not at all, and
/// what `xxd` and `hexdump -C` print. `|` begins another frame.
pub(super) fn read(text: &str) -> Result<Frames, NotHex> {
    let lines: Vec<_> = text.lines().collect();
    if let Some(octets) = dump(&lines)? {
        return Ok(Frames::from(octets));
    }
    let mut frames: Vec<Vec<u8>> = vec![Vec::new()];
    for (index, line) in lines.iter().enumerate() {
        let at = |what| NotHex {
            line: index + 1,
            what,
        };
        for (index, part) in line.split('|').enumerate() {
            if index > 0 {
                frames.push(Vec::new());
            }
            if let Some(frame) = frames.last_mut() {
                digits_of(part, frame).map_err(at)?;
            }
        }
    }
    Ok(frames.into_iter().map(Bytes::from).collect())
}

/// The octets of a dump; `None` when the lines are none.
fn dump(lines: &[&str]) -> Result<Option<Vec<u8>>, NotHex> {
    let Some(dumped) = lines
        .iter()
        .map(|line| dumped(line))
        .collect::<Option<Vec<_>>>()
    else {
        return Ok(None);
    };
    // A line of digits alone is no offset.
    let first = dumped
        .iter()
        .find_map(|line| line.offset.map(|offset| (offset, line)));
    let Some((base, _)) =
        first.filter(|(offset, line)| !line.digits.is_empty() && (*offset == 0 || line.colon))
    else {
        return Ok(None);
    };
    let mut octets: Vec<u8> = Vec::new();
    for (index, line) in dumped.iter().enumerate() {
        let at = |what| NotHex {
            line: index + 1,
            what,
        };
        let Some(offset) = line.offset else { continue };
        let begun = octets.len();
        let expected = || {
            at(format!(
                "expected the offset {:#x}, found {offset:#x}",
                base + begun
            ))
        };
        let missing = offset.checked_sub(base + begun).ok_or_else(expected)?;
        if missing > 0 {
            // hexdump writes `*` for lines that are as the one before.
            let before = begun.checked_sub(16).and_then(|from| octets.get(from..));
            let left_out = index > 0 && lines.get(index - 1).is_some_and(|line| line.trim() == "*");
            let fits = left_out && missing.is_multiple_of(16) && missing <= LONGEST;
            let before = before.filter(|_| fits).ok_or_else(expected)?.to_vec();
            octets.extend(before.iter().cycle().take(missing));
        }
        digits_of(line.digits, &mut octets).map_err(at)?;
    }
    Ok(Some(octets))
}

/// The most octets that lines left out of a dump may stand for.
const LONGEST: usize = 64 << 20;

/// A line of a dump.
struct Dumped<'a> {
    /// What stands before the digits.
    offset: Option<usize>,
    digits: &'a str,
    /// The offset has a colon, as that of xxd.
    colon: bool,
}

/// What a line of `xxd` or `hexdump -C` says; `None` for one that is of neither.
fn dumped(line: &str) -> Option<Dumped<'_>> {
    let line = line.trim_end();
    if line.trim().is_empty() || line == "*" {
        return Some(Dumped {
            offset: None,
            digits: "",
            colon: false,
        });
    }
    // xxd: `00000000: 5a52 4501  ZRE.`; hexdump: `00000000  5a 52 45 01  |ZRE.|`; its last line is an offset alone.
    let end = line
        .find(|c: char| !c.is_ascii_hexdigit())
        .unwrap_or(line.len());
    let (offset, rest) = line.split_at_checked(end)?;
    if offset.len() < 4 || offset.len() > 16 {
        return None;
    }
    let offset = usize::from_str_radix(offset, 16).ok()?;
    if rest.is_empty() {
        return (line.len() >= 7).then_some(Dumped {
            offset: Some(offset),
            digits: "",
            colon: false,
        });
    }
    let colon = rest.starts_with(':');
    let digits = if let Some(rest) = rest.strip_prefix(':') {
        let rest = rest.strip_prefix(' ')?;
        rest.find("  ")
            .and_then(|end| rest.get(..end))
            .unwrap_or(rest)
    } else {
        let rest = rest.strip_prefix("  ")?;
        rest.find('|')
            .and_then(|end| rest.get(..end))
            .unwrap_or(rest)
    };
    let only = |c: char| c.is_ascii_hexdigit() || c == ' ';
    digits.chars().all(only).then_some(Dumped {
        offset: Some(offset),
        digits,
        colon,
    })
}

/// Appends the octets of digits.
fn digits_of(text: &str, octets: &mut Vec<u8>) -> Result<(), String> {
    let divides = |c: char| c.is_whitespace() || ":,;-_".contains(c);
    for word in text.split(divides).filter(|word| !word.is_empty()) {
        let mut rest = word;
        while !rest.is_empty() {
            // `0x5a`, `\x5a\x52`; a digit before an `x` is the 0 of the next.
            let marks = ["0x", "0X", "\\x"];
            rest = marks
                .iter()
                .find_map(|mark| rest.strip_prefix(mark))
                .unwrap_or(rest);
            let end = rest
                .find(|c: char| !c.is_ascii_hexdigit())
                .unwrap_or(rest.len());
            let followed = rest
                .get(end..)
                .is_some_and(|after| after.starts_with(['x', 'X']));
            let end = if followed { end.saturating_sub(1) } else { end };
            let Some((digits, after)) = rest.split_at_checked(end) else {
                return Err("expected hexadecimal digits".into());
            };
            if digits.is_empty() {
                let found: String = rest.chars().take(1).collect();
                return Err(format!(
                    "expected a hexadecimal digit, found `{}`",
                    crate::escape::escaped(&found)
                ));
            }
            // A single digit that stands alone is an octet.
            if digits.len() == 1 {
                octets.extend(u8::from_str_radix(digits, 16));
            } else if !digits.len().is_multiple_of(2) {
                return Err(format!(
                    "expected two digits for each octet, found {} in a row",
                    digits.len()
                ));
            } else {
                let pairs = digits.as_bytes().chunks_exact(2);
                octets.extend(pairs.filter_map(|pair| {
                    let pair = str::from_utf8(pair).ok()?;
                    u8::from_str_radix(pair, 16).ok()
                }));
            }
            rest = after;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::read;

    fn one(text: &str) -> Vec<u8> {
        let frames = read(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert_eq!(frames.len(), 1, "{text}");
        frames[0].to_vec()
    }

    #[test]
    fn digits_are_read_as_people_write_them() {
        let beacon = b"ZRE\x01\xab";
        for text in [
            "5a524501ab",
            "5A524501AB",
            "5a 52 45 01 ab",
            "5a:52:45:01:AB",
            "0x5a 0x52 0x45 0x1 0xab",
            "0x5a524501ab",
            "0x5a,0x52,0x45,0x01,0xab",
            "\\x5a\\x52\\x45\\x01\\xab",
            "0x5a0x520x450x010xab",
            "  5a52\n4501\tab \r\n",
            "5a-52-45-01-ab",
        ] {
            assert_eq!(one(text), beacon, "{text}");
        }
        assert_eq!(one(""), b"");
    }

    #[test]
    fn dumps_are_read_without_what_stands_beside_the_digits() {
        let xxd = "00000000: 5a52 4501 dba1 6fe0 4893 8d0d e40f 480f  ZRE...o.H.....H.\n00000010: e9ef a5ba c000                           ......\n";
        let hexdump = "00000000  5a 52 45 01 db a1 6f e0  48 93 8d 0d e4 0f 48 0f  |ZRE...o.H.....H.|\n00000010  e9 ef a5 ba c0 00                                 |......|\n00000016\n";
        for dump in [xxd, hexdump] {
            let octets = one(dump);
            assert_eq!(octets.len(), 22, "{dump}");
            assert!(octets.starts_with(b"ZRE\x01") && octets.ends_with(b"\xba\xc0\x00"));
        }
        let repeated = "00000000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n*\n00000040  01                                                |.|\n00000041\n";
        let octets = one(repeated);
        assert_eq!((octets.len(), octets[64]), (65, 1));
    }

    #[test]
    fn frames_are_divided_by_a_bar() {
        let frames = read("AAA101020002 | 6869 |").unwrap();
        let frames: Vec<_> = frames.iter().map(|frame| frame.to_vec()).collect();
        assert_eq!(
            frames,
            [
                b"\xaa\xa1\x01\x02\0\x02".to_vec(),
                b"hi".to_vec(),
                Vec::new()
            ]
        );
    }

    #[test]
    fn what_is_no_digit_is_told_with_its_line() {
        for (text, line, what) in [
            ("5a52\n45 zz", 2, "`z`"),
            ("5a5", 1, "3 in a row"),
            ("5a\u{1b}", 1, "\\u{1b}"),
            ("0x", 1, "digit"),
        ] {
            let error = read(text).err();
            let error = error.unwrap_or_else(|| panic!("{text}"));
            assert_eq!(error.line, line, "{text}: {error:?}");
            assert!(error.what.contains(what), "{text}: {error:?}");
        }
        let gap = "00000000: 5a52  ZR\n00000020: 4501  E.\n";
        assert!(read(gap).unwrap_err().what.contains("0x20"));
    }
}
