//! What a typed line means.

use crate::find::Target;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// An empty line.
    Nothing,
    /// Shout this.
    Shout(String),
    /// Whisper this to one peer.
    Whisper(Target, String),
    /// Who is here?
    Peers,
    /// Which groups are there?
    Groups,
    /// What can be typed?
    Help,
    /// Leave.
    Quit,
    /// No such command; what would be right.
    Wrong(String),
}

/// Reads a line. `names` are those of the peers who are here: a name may hold spaces.
pub(super) fn read(line: &str, names: impl Iterator<Item = impl AsRef<str>>) -> Typed {
    let line = line.trim_end_matches(['\r', '\n']);
    let Some(command) = line.strip_prefix('/') else {
        return if line.trim().is_empty() {
            Typed::Nothing
        } else {
            Typed::Shout(line.into())
        };
    };
    if command.starts_with('/') {
        return Typed::Shout(command.into());
    }
    let (word, rest) = command
        .split_once(char::is_whitespace)
        .unwrap_or((command, ""));
    match (word, rest.trim()) {
        ("w" | "whisper", rest) => whisper(rest, names),
        ("peers", "") => Typed::Peers,
        ("groups", "") => Typed::Groups,
        ("help" | "?", "") => Typed::Help,
        ("quit" | "q" | "exit", "") => Typed::Quit,
        ("peers" | "groups" | "help" | "?" | "quit" | "q" | "exit", _) => {
            Typed::Wrong(format!("/{word} stands alone; //{word} … shouts it"))
        }
        _ => Typed::Wrong(format!("there is no /{word}, /help says what there is")),
    }
}

/// The target is the longest name of a peer that the line begins with, else its first word.
fn whisper(rest: &str, names: impl Iterator<Item = impl AsRef<str>>) -> Typed {
    let after = |name: &str| {
        rest.strip_prefix(name)
            .filter(|text| text.starts_with(char::is_whitespace))
            .map(str::len)
    };
    let longest = names.filter_map(|name| after(name.as_ref())).min();
    let split = longest
        .map(|text| rest.len() - text)
        .or_else(|| rest.find(char::is_whitespace));
    let Some((name, text)) = split.and_then(|at| rest.split_at_checked(at)) else {
        return Typed::Wrong("/w wants a name and a text: /w NAME text".into());
    };
    let Ok(target) = name.parse();
    Typed::Whisper(target, text.trim_start().into())
}

#[cfg(test)]
mod tests {
    use super::{Typed, read};
    use crate::find::Target;

    fn typed(line: &str) -> Typed {
        read(line, ["bob", "bob the builder", "", "bobby"].iter())
    }

    fn whisper(name: &str, text: &str) -> Typed {
        Typed::Whisper(Target::Name(name.into()), text.into())
    }

    #[test]
    fn what_is_no_command_is_shouted_as_it_is() {
        assert_eq!(
            typed("  hello / world "),
            Typed::Shout("  hello / world ".into())
        );
        assert_eq!(
            typed("//quit is a command"),
            Typed::Shout("/quit is a command".into())
        );
        assert_eq!(typed("hello\r\n"), Typed::Shout("hello".into()));
        assert_eq!(typed("   "), Typed::Nothing);
        assert_eq!(typed(""), Typed::Nothing);
    }

    #[test]
    fn a_whisper_goes_to_the_longest_name_that_is_here() {
        assert_eq!(typed("/w bob hi there"), whisper("bob", "hi there"));
        assert_eq!(
            typed("/w bob the builder hi"),
            whisper("bob the builder", "hi")
        );
        assert_eq!(typed("/w bobby hi"), whisper("bobby", "hi"));
        assert_eq!(typed("/w  carol   hi "), whisper("carol", "hi"));
        assert!(matches!(typed("/w bob"), Typed::Wrong(_)));
        assert!(matches!(typed("/w"), Typed::Wrong(_)));
    }

    #[test]
    fn commands_stand_alone() {
        assert_eq!(typed("/peers"), Typed::Peers);
        assert_eq!(typed("/groups "), Typed::Groups);
        assert_eq!(typed("/help"), Typed::Help);
        assert_eq!(typed("/quit"), Typed::Quit);
        assert!(matches!(typed("/quit now"), Typed::Wrong(message) if message.contains("//quit")));
        assert!(matches!(typed("/jump"), Typed::Wrong(message) if message.contains("/help")));
    }
}
