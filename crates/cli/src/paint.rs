//! Colours. They reach a terminal only: `anstream` takes them off elsewhere and where `NO_COLOR` is set.

use anstyle::{AnsiColor, Style};

/// What went wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What should be looked at.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// What went well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// What is there for those who look for it.
pub(crate) const FAINT: Style = Style::new().dimmed();
/// A peer.
pub(crate) const NAME: Style = AnsiColor::Cyan.on_default().bold();
/// A group.
pub(crate) const GROUP: Style = AnsiColor::Magenta.on_default();
/// A heading.
pub(crate) const HEAD: Style = Style::new().bold();

/// `text` in a style.
pub(crate) fn painted(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}
