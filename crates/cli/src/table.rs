//! Tables for terminals.

use unicode_width::UnicodeWidthStr as _;

use crate::paint::{self, painted};

/// Rows under a heading, every column as wide as its widest cell. The cells must hold no control characters.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = head.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let mut text = painted(paint::HEAD, &line(&widths, head.iter().copied()));
    for row in rows {
        text.push('\n');
        text.push_str(&line(&widths, row.iter().map(String::as_str)));
    }
    text
}

/// One row, two spaces between the columns, nothing after the last.
fn line<'a>(widths: &[usize], cells: impl Iterator<Item = &'a str>) -> String {
    let mut line = String::new();
    for (cell, width) in cells.zip(widths) {
        line.push_str(cell);
        let padding = width.saturating_sub(cell.width()) + 2;
        line.extend(std::iter::repeat_n(' ', padding));
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_are_aligned_by_what_a_terminal_shows() {
        let rows = [
            ["世界".into(), "x".into()],
            ["a".into(), String::new()],
            ["abcdef".into(), "y".into()],
        ];
        let text = anstream::adapter::strip_str(&table(["NAME", "TO"], &rows)).to_string();
        assert_eq!(text, "NAME    TO\n世界    x\na\nabcdef  y");
    }
}
