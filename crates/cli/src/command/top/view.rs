//! What the screen shows: a function of the model and nothing else.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Clear, Paragraph, Row as TableRow, Table, TableState, Wrap};

use atonce::zre::Presence;

use super::model::{Model, Row, Sort, groups_of, latency, short};
use crate::escape::escaped;
use crate::words;

/// Below so many lines only peers are shown.
const LOW: u16 = 14;

/// The columns of a table of peers that others are not wider for, the blanks between all, and the frame.
const FIXED: u16 = 14 + 8 + 8 + 6 + 9 + 8 + 27 + 8 + 2;

/// The columns that end where numbers do.
const NUMBERS: [&str; 4] = ["LATENCY", "MSG/S", "OCTETS/S", "HERE"];

/// What the keys do.
const KEYS: [(&str, &str); 9] = [
    ("↑ ↓ j k, PgUp, PgDn, Home, End", "mark a peer"),
    ("Enter", "what the marked peer says about itself"),
    ("s", "sort by the next column"),
    ("r", "the other way round"),
    ("/", "show only peers with this text; Enter keeps it"),
    ("Esc", "no filter, no mark"),
    ("m", "messages among the events, or not"),
    ("c", "forget the events"),
    ("q, Ctrl-C", "leave the network"),
];

/// Draws it.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model) {
    let area = frame.area();
    let [head, body, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(area);
    header(frame, head, model);
    if area.height < LOW {
        peers(frame, body, model);
    } else {
        let [above, below] =
            Layout::vertical([Constraint::Fill(3), Constraint::Fill(2)]).areas(body);
        peers(frame, above, model);
        let [left, right] =
            Layout::horizontal([Constraint::Percentage(35), Constraint::Fill(1)]).areas(below);
        groups(frame, left, model);
        match marked(model).filter(|_| model.details) {
            Some(row) => details(frame, right, &row),
            None => events(frame, right, model),
        }
    }
    footer(frame, foot, model);
    if model.help {
        help(frame, area);
    }
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

fn faint() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

/// The row that is marked.
fn marked(model: &Model) -> Option<Row> {
    let rows = model.rows();
    let at = model.marked(&rows)?;
    rows.get(at).map(|row| (*row).clone())
}

fn header(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let me = &model.me;
    let endpoints = if me.endpoints.is_empty() {
        "nowhere yet".to_owned()
    } else {
        me.endpoints.join(" ")
    };
    let first = Line::from(vec![
        Span::styled("atonce top ", bold()),
        Span::styled(escaped(&me.name), Style::new().fg(Color::Cyan)),
        Span::raw(format!(" at {} ", escaped(&endpoints))),
        Span::styled(me.id.clone(), faint()),
    ]);
    let (messages, octets) = model.rates();
    let doubted = match model.doubted() {
        0 => String::new(),
        doubted => format!(" ({doubted} not ready)"),
    };
    let groups = model.groups().len();
    let second = format!(
        "{} peers{doubted}, {groups} groups, heard {} messages/s, {} octets/s, for {}",
        model.count(),
        short(messages),
        short(octets),
        clock(model.now)
    );
    frame.render_widget(Paragraph::new(vec![first, Line::from(second)]), area);
}

fn peers(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let rows = model.rows();
    let columns = [
        ("NAME", Some(Sort::Name)),
        ("STATE", Some(Sort::State)),
        ("LATENCY", Some(Sort::Latency)),
        ("MSG/S", Some(Sort::Messages)),
        ("OCTETS/S", Some(Sort::Octets)),
        ("HERE", Some(Sort::Age)),
        ("GROUPS", Some(Sort::Groups)),
        ("ENDPOINT", None),
        ("UUID", None),
    ];
    let head = columns.map(|(name, sort)| {
        let here = sort == Some(model.sort);
        let arrow = match (here, model.reversed) {
            (false, _) => "",
            (true, false) => "▾",
            (true, true) => "▴",
        };
        let style = if here {
            bold().add_modifier(Modifier::UNDERLINED)
        } else {
            bold()
        };
        let line = Line::styled(format!("{name}{arrow}"), style);
        Cell::from(if NUMBERS.contains(&name) {
            line.alignment(Alignment::Right)
        } else {
            line
        })
    });
    let lines = rows.iter().map(|row| {
        let peer = &row.info.peer;
        let rate = |rate: &super::rate::Rate| right(short(rate.per_second(model.now, row.since)));
        TableRow::new([
            Cell::from(Span::styled(
                words::plain_name(peer),
                Style::new().fg(Color::Cyan),
            )),
            Cell::from(Span::styled(
                row.info.presence.as_str(),
                style_of(row.info.presence),
            )),
            right(latency(row.info.round_trip)),
            rate(&row.said.messages),
            rate(&row.said.octets),
            right(clock(model.now.saturating_sub(row.since))),
            Cell::from(Span::styled(
                groups_of(row),
                Style::new().fg(Color::Magenta),
            )),
            Cell::from(escaped(&peer.endpoint.to_str_lossy())),
            Cell::from(Span::styled(peer.id.to_string(), faint())),
        ])
    });
    // What is left beside the others is for groups and UUIDs.
    let spare = area.width.saturating_sub(FIXED);
    let uuid = (spare / 2).clamp(6, 32);
    let widths = [
        Constraint::Min(14),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Length(6),
        Constraint::Length(9),
        Constraint::Length(8),
        Constraint::Fill(1),
        Constraint::Length(27),
        Constraint::Length(uuid),
    ];
    let shown = if rows.len() == model.count() {
        String::new()
    } else {
        format!(" ({} of {})", rows.len(), model.count())
    };
    let table = Table::new(lines, widths)
        .header(TableRow::new(head))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
        .block(Block::bordered().title(format!(" Peers{shown} ")));
    let mut state = TableState::new().with_selected(model.marked(&rows));
    frame.render_stateful_widget(table, area, &mut state);
}

/// A number, where numbers stand.
fn right(text: String) -> Cell<'static> {
    Cell::from(Line::from(text).alignment(Alignment::Right))
}

fn style_of(presence: Presence) -> Style {
    match presence {
        Presence::Ready => Style::new().fg(Color::Green),
        Presence::Evasive => Style::new().fg(Color::Yellow),
        Presence::Silent => Style::new().fg(Color::Red),
    }
}

fn groups(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let groups = model.groups();
    let rows = groups.iter().map(|group| {
        TableRow::new([
            Cell::from(Span::styled(
                escaped(&group.name.to_str_lossy()),
                Style::new().fg(Color::Magenta),
            )),
            right(group.members.to_string()),
            // What is shouted is heard by members only.
            if group.ours {
                right(short(group.rate))
            } else {
                right("not in".into())
            },
        ])
    });
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(5),
        Constraint::Length(6),
    ];
    let table = Table::new(rows, widths)
        .header(TableRow::new(["GROUP", "PEERS", "MSG/S"]).style(bold()))
        .block(Block::bordered().title(" Groups "));
    frame.render_widget(table, area);
}

fn events(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let room = usize::from(area.height.saturating_sub(2));
    let log = model.log();
    let last = log.iter().skip(log.len().saturating_sub(room));
    let lines: Vec<_> = last
        .map(|line| {
            let style = if line.bad {
                Style::new().fg(Color::Yellow)
            } else {
                Style::new()
            };
            Line::from(vec![
                Span::styled(format!("{} ", clock(line.at)), faint()),
                Span::styled(line.words.as_str(), style),
            ])
        })
        .collect();
    let title = if model.messages {
        " Events and messages "
    } else {
        " Events "
    };
    frame.render_widget(
        Paragraph::new(lines).block(Block::bordered().title(title)),
        area,
    );
}

/// What a peer says about itself, and all that was counted of it.
fn details(frame: &mut Frame<'_>, area: Rect, row: &Row) {
    let peer = &row.info.peer;
    let pair = |name: &str, value: String| {
        Line::from(vec![
            Span::styled(format!("{name:<9} "), bold()),
            Span::raw(value),
        ])
    };
    let mut lines = vec![
        pair("UUID", peer.id.to_string()),
        pair("Endpoint", escaped(&peer.endpoint.to_str_lossy())),
        pair("Groups", groups_of(row)),
        pair(
            "Said",
            format!(
                "{} messages, {} octets",
                row.said.messages.total(),
                row.said.octets.total()
            ),
        ),
    ];
    if let Some(key) = &row.info.key {
        lines.push(pair("Key", key.to_string()));
    }
    if let Some(user) = &row.info.user_id {
        lines.push(pair("User", escaped(&user.to_str_lossy())));
    }
    let headers = peer.headers.iter();
    lines.extend(headers.map(|(name, value)| {
        pair(
            &escaped(&name.to_str_lossy()),
            escaped(&value.to_str_lossy()),
        )
    }));
    let title = format!(" {} ", words::plain_name(peer));
    let text = Paragraph::new(lines).wrap(Wrap { trim: false });
    frame.render_widget(text.block(Block::bordered().title(title)), area);
}

fn footer(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let line = if model.typing {
        Line::from(vec![
            Span::styled("show only: ", bold()),
            Span::raw(escaped(&model.filter)),
            Span::raw("▏"),
        ])
    } else if model.filter.is_empty() {
        Line::from(Span::styled(
            "q leave  ? keys  s sort  r reverse  / filter  Enter details",
            faint(),
        ))
    } else {
        Line::from(vec![
            Span::styled("only peers with ", faint()),
            Span::styled(escaped(&model.filter), bold()),
            Span::styled("; Esc shows all", faint()),
        ])
    };
    frame.render_widget(Paragraph::new(line), area);
}

fn help(frame: &mut Frame<'_>, area: Rect) {
    let lines = KEYS.map(|(key, what)| {
        Line::from(vec![
            Span::styled(format!("{key:<31} "), bold()),
            Span::raw(what),
        ])
    });
    let height = u16::try_from(KEYS.len() + 2).unwrap_or(u16::MAX);
    let [area] = Layout::vertical([Constraint::Max(height)])
        .flex(ratatui::layout::Flex::Center)
        .areas(area);
    let [area] = Layout::horizontal([Constraint::Max(84)])
        .flex(ratatui::layout::Flex::Center)
        .areas(area);
    frame.render_widget(Clear, area);
    frame.render_widget(
        Paragraph::new(lines.to_vec()).block(Block::bordered().title(" Keys ")),
        area,
    );
}

/// A time as clocks show it.
fn clock(time: std::time::Duration) -> String {
    let seconds = time.as_secs();
    format!(
        "{}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}
