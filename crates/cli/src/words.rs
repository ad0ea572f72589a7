//! Events in plain words, for people.

use std::net::SocketAddr;

use atonce::PeerId;
use atonce::curve::PublicKey;
use atonce::wire::Text;
use atonce::zre::{Event, Peer};
use atonce_std::PeerInfo;

use crate::content;
use crate::escape::escaped;
use crate::json::Who;
use crate::paint::{self, painted};
use crate::table::table;

/// How many digits of the UUID stand for a peer without a name.
const SHORT: usize = 6;

/// The name of a peer, without colours.
pub(crate) fn plain_name(peer: &Peer) -> String {
    if peer.name.is_empty() {
        peer.id.to_string().chars().take(SHORT).collect()
    } else {
        escaped(&peer.name.to_str_lossy())
    }
}

/// The name of a peer.
pub(crate) fn name(peer: &Peer) -> String {
    painted(paint::NAME, &plain_name(peer))
}

/// The name of a peer that was written for JSON.
pub(crate) fn who(who: &Who<'_>) -> String {
    painted(paint::NAME, &escaped(&who.name))
}

/// The name of a group.
pub(crate) fn group(group: &Text) -> String {
    painted(paint::GROUP, &escaped(&group.to_str_lossy()))
}

/// The node that this program is.
pub(crate) fn start(id: PeerId, name: &Text, endpoint: &str) -> String {
    let place = if endpoint.is_empty() {
        "nowhere yet"
    } else {
        endpoint
    };
    format!(
        "this is {} at {place} {}",
        painted(paint::NAME, &escaped(&name.to_str_lossy())),
        painted(paint::FAINT, &id.to_string())
    )
}

/// An event; `None` for those that have no words.
pub(crate) fn event(event: &Event) -> Option<String> {
    Some(match event {
        Event::Enter { peer } => {
            let mut line = format!(
                "{} is here, at {}",
                name(peer),
                escaped(&peer.endpoint.to_str_lossy())
            );
            if !peer.headers.is_empty() {
                line.push_str(", ");
                line.push_str(&headers(peer));
            }
            line.push(' ');
            line.push_str(&painted(paint::FAINT, &peer.id.to_string()));
            line
        }
        Event::Evasive { peer } => format!(
            "{} is evasive: nothing was heard of it for a while",
            name(peer)
        ),
        Event::Silent { peer } => format!("{} is silent: it does not answer", name(peer)),
        Event::Recovered { peer } => format!("{} is back", name(peer)),
        Event::Join {
            peer,
            group: joined,
        } => format!("{} joined {}", name(peer), group(joined)),
        Event::Leave { peer, group: left } => format!("{} left {}", name(peer), group(left)),
        Event::Leader { peer, group: led } => format!("{} leads {}", name(peer), group(led)),
        Event::Whisper { peer, content } => {
            format!("{} whispers: {}", name(peer), content::to_words(content))
        }
        Event::Shout {
            peer,
            group: to,
            content,
        } => {
            format!(
                "{} to {}: {}",
                name(peer),
                group(to),
                content::to_words(content)
            )
        }
        Event::Exit { peer, reason } => format!("{} is gone, {reason}", name(peer)),
        Event::InterfaceUp {
            interface,
            endpoint,
        } => {
            format!(
                "reachable on {} at {}",
                escaped(interface),
                escaped(&endpoint.to_str_lossy())
            )
        }
        Event::InterfaceDown { interface, detail } => painted(
            paint::WARN,
            &format!(
                "the interface {} went away: {}",
                escaped(interface),
                escaped(detail)
            ),
        ),
        Event::Impostor {
            id,
            key,
            holder,
            remote,
        } => painted(paint::WARN, &impostor(*id, key, holder, *remote)),
        Event::Stopped => painted(paint::FAINT, "left the network"),
        _ => return None,
    })
}

/// Somebody stated the identity of another.
pub(crate) fn impostor(
    id: PeerId,
    key: &PublicKey,
    holder: &PublicKey,
    remote: SocketAddr,
) -> String {
    format!(
        "refused {remote}, which came as {id} with the key {key}: that one has the key {holder}"
    )
}

/// All headers of a peer, `K=V, K=V`.
fn headers(peer: &Peer) -> String {
    peer.headers
        .iter()
        .map(|(key, value)| {
            format!(
                "{}={}",
                escaped(&key.to_str_lossy()),
                escaped(&value.to_str_lossy())
            )
        })
        .collect::<Vec<_>>()
        .join(", ")
}

/// The peers as a table.
pub(crate) fn peers(peers: &[PeerInfo]) -> String {
    let rows: Vec<_> = peers
        .iter()
        .map(|info| {
            let groups: Vec<_> = info
                .groups
                .iter()
                .map(|group| escaped(&group.to_str_lossy()))
                .collect();
            [
                plain_name(&info.peer),
                escaped(&info.peer.endpoint.to_str_lossy()),
                info.presence.as_str().to_owned(),
                groups.join(", "),
                headers(&info.peer),
                info.peer.id.to_string(),
            ]
        })
        .collect();
    table(
        ["NAME", "ENDPOINT", "STATE", "GROUPS", "HEADERS", "UUID"],
        &rows,
    )
}
