//! Strings from the network on a terminal.

use std::fmt::Write as _;

/// `text` with everything that a terminal would obey, or that would make a line look like another one, written out
/// as `\u{1b}`: what a peer calls itself must not move the cursor.
pub(crate) fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if obeyed(character) {
            // Writing to a String cannot fail.
            let _ = write!(shown, "{}", character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Controls (C0, DEL, C1), line and paragraph separators, and what turns the direction of text.
fn obeyed(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{2028}' | '\u{2029}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        assert_eq!(escaped("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(
            escaped("a\r\nb\t\u{7f}\u{9b}"),
            "a\\u{d}\\u{a}b\\u{9}\\u{7f}\\u{9b}"
        );
        assert_eq!(escaped("\u{202e}evil"), "\\u{202e}evil");
    }

    #[test]
    fn what_people_write_stays() {
        assert_eq!(escaped("grüß dich, 世界 👋 \\"), "grüß dich, 世界 👋 \\");
    }
}
