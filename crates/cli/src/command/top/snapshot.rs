//! What is to be seen, printed once.

use serde::Serialize;

use super::model::{Model, Row, groups_of, latency, short};
use crate::escape::escaped;
use crate::failure::Failure;
use crate::json::PeerLine;
use crate::output::Output;
use crate::paint::{self, painted};
use crate::stats;
use crate::table::table;
use crate::words;

/// The line of JSON.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename = "top")]
struct Line<'a> {
    uuid: &'a str,
    name: &'a str,
    endpoints: &'a [String],
    /// How long was looked, in seconds.
    seconds: f64,
    peers: Vec<PeerOf<'a>>,
    groups: Vec<GroupOf<'a>>,
}

/// A peer.
#[derive(Debug, Serialize)]
struct PeerOf<'a> {
    #[serde(flatten)]
    peer: PeerLine<'a>,
    /// How long its last answer took; nothing when none came.
    latency_micros: Option<f64>,
    /// What it said to this node.
    messages: u64,
    octets: u64,
    messages_per_second: f64,
    octets_per_second: f64,
    /// How long it is here.
    seconds: f64,
}

/// A group.
#[derive(Debug, Serialize)]
struct GroupOf<'a> {
    group: std::borrow::Cow<'a, str>,
    peers: usize,
    /// This node is in it, and hears what is shouted.
    joined: bool,
    messages_per_second: f64,
}

/// To a tenth of a unit: more is not known.
fn tenth(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

/// Prints it.
pub(super) fn print(output: &mut Output, model: &Model) -> Result<(), Failure> {
    let rows = model.rows();
    let now = model.now;
    let peers = rows.iter().map(|row| PeerOf {
        peer: PeerLine::from(&row.info),
        latency_micros: row.info.round_trip.map(stats::micros),
        messages: row.said.messages.total(),
        octets: row.said.octets.total(),
        messages_per_second: tenth(row.said.messages.per_second(now, row.since)),
        octets_per_second: tenth(row.said.octets.per_second(now, row.since)),
        seconds: tenth(now.saturating_sub(row.since).as_secs_f64()),
    });
    let groups = model.groups();
    let line = Line {
        uuid: &model.me.id,
        name: &model.me.name,
        endpoints: &model.me.endpoints,
        seconds: tenth(now.as_secs_f64()),
        peers: peers.collect(),
        groups: groups
            .iter()
            .map(|group| GroupOf {
                group: group.name.to_str_lossy(),
                peers: group.members,
                joined: group.ours,
                messages_per_second: tenth(group.rate),
            })
            .collect(),
    };
    output.line(&line, || in_words(model, &rows))
}

fn in_words(model: &Model, rows: &[&Row]) -> String {
    let now = model.now;
    let peers: Vec<_> = rows
        .iter()
        .map(|row| {
            let peer = &row.info.peer;
            [
                words::plain_name(peer),
                row.info.presence.as_str().to_owned(),
                latency(row.info.round_trip),
                short(row.said.messages.per_second(now, row.since)),
                short(row.said.octets.per_second(now, row.since)),
                groups_of(row),
                escaped(&peer.endpoint.to_str_lossy()),
                peer.id.to_string(),
            ]
        })
        .collect();
    let groups: Vec<_> = model
        .groups()
        .iter()
        .map(|group| {
            [
                escaped(&group.name.to_str_lossy()),
                group.members.to_string(),
                if group.ours {
                    short(group.rate)
                } else {
                    "not in".into()
                },
            ]
        })
        .collect();
    let head = format!(
        "{} at {} {}",
        painted(paint::NAME, &escaped(&model.me.name)),
        escaped(&model.me.endpoints.join(" ")),
        painted(paint::FAINT, &model.me.id)
    );
    let columns = [
        "NAME", "STATE", "LATENCY", "MSG/S", "OCTETS/S", "GROUPS", "ENDPOINT", "UUID",
    ];
    let mut text = format!("{head}\n\n{}", table(columns, &peers));
    if !groups.is_empty() {
        text.push_str("\n\n");
        text.push_str(&table(["GROUP", "PEERS", "MSG/S"], &groups));
    }
    text
}
