//! What our codecs make of octets, as the vectors write it.

use atonce::wire::autoconf::{Announcement, Datagram};
use atonce::wire::gossip::{Message as GossipMessage, ParticipantId, Publish};
use atonce::wire::once::{
    Address, Change, Contact, Message as OnceMessage, Peer, RelayRole, Target, V1, V2,
};
use atonce::wire::zmtp::{
    Command as ZmtpCommand, Greeting, MechanismName, Metadata, PingContext, SocketType,
};
use atonce::wire::zre::{Command, Message};
use atonce::wire::{Beacon, Headers, Malformed, Text};
use atonce::zmtp::{Config, Connection, Error, Event};
use atonce::{Frames, Instant, PeerId};
use serde_json::{Map, Value, json};

use super::{octets, upper};

pub(super) fn beacon_fields(datagram: &[u8]) -> Result<Value, Malformed> {
    let Beacon { uuid, port, key } = Beacon::decode(datagram)?;
    let version = if key.is_some() { 3 } else { 1 };
    let mut fields = json!({ "version": version, "uuid": uuid.to_string(), "port": port });
    if let Some(key) = key {
        fields["key"] = json!(upper(&key));
    }
    Ok(fields)
}

fn headers(headers: &Headers) -> Value {
    let headers = headers.iter();
    let headers: Map<_, _> = headers
        .map(|(name, value)| (name.to_string(), octets(value.as_bytes())))
        .collect();
    headers.into()
}

fn texts<'a>(texts: impl IntoIterator<Item = &'a Text>) -> Value {
    let texts = texts.into_iter();
    texts.map(|text| octets(text.as_bytes())).collect()
}

pub(super) fn message_fields(message: &Message) -> Value {
    let mut fields = match &message.command {
        Command::Hello(hello) => {
            json!({
                "endpoint": octets(hello.endpoint.as_bytes()),
                "groups": texts(&hello.groups),
                "status": hello.status,
                "name": octets(hello.name.as_bytes()),
                "headers": headers(&hello.headers),
            })
        }
        Command::Shout { group, .. } => json!({ "group": octets(group.as_bytes()) }),
        Command::Join { group, status } | Command::Leave { group, status } => {
            json!({ "group": octets(group.as_bytes()), "status": status })
        }
        Command::Elect {
            group,
            challenger_id,
        } => json!({
            "group": octets(group.as_bytes()),
            "challenger": octets(challenger_id.as_bytes()),
        }),
        Command::Leader { group, leader_id } => json!({
            "group": octets(group.as_bytes()),
            "leader": octets(leader_id.as_bytes()),
        }),
        _ => json!({}),
    };
    fields["sequence"] = json!(message.sequence);
    fields["message"] = match &message.command {
        Command::Unknown(unknown) => json!(unknown.id()),
        command => json!(command.name()),
    };
    fields
}

/// The content of a message, and whether it has any.
pub(super) fn content(message: &Message) -> Option<&Frames> {
    match &message.command {
        Command::Whisper { content } | Command::Shout { content, .. } => Some(content),
        _ => None,
    }
}

fn properties(metadata: &Metadata) -> Value {
    let pairs = metadata.iter();
    pairs
        .map(|(name, value)| json!([octets(name), octets(value)]))
        .collect()
}

pub(super) fn command_fields(command: &ZmtpCommand) -> Value {
    let context = |context: &PingContext| octets(context.as_bytes());
    let mut fields = match command {
        ZmtpCommand::Ready(metadata) => json!({ "properties": properties(metadata) }),
        ZmtpCommand::Error(reason) => json!({ "reason": octets(reason.as_bytes()) }),
        ZmtpCommand::Ping(ping) => json!({ "ttl": ping.ttl, "context": context(&ping.context) }),
        ZmtpCommand::Pong(pong) => json!({ "context": context(pong) }),
        ZmtpCommand::Subscribe(prefix) | ZmtpCommand::Cancel(prefix) => {
            json!({ "prefix": octets(prefix) })
        }
        ZmtpCommand::Other(other) => json!({ "data": octets(other.data()) }),
        other => panic!("{other:?} has no place in tests/spec_vectors/"),
    };
    fields["command"] = octets(command.name());
    fields
}

/// A ROUTER that was sent these octets: the messages it delivered, what it says beside greeting and READY, why it ended.
pub(super) fn router(stream: &[u8]) -> (Vec<Frames>, Vec<u8>, Option<&'static str>) {
    let now = Instant::from_millis(1_000);
    let ours = |input: &[u8]| {
        let mut connection = Connection::new(now, Config::new(SocketType::Router));
        connection.handle_input(now, input);
        let sent = connection.poll_transmit().collect::<Vec<_>>().concat();
        (connection, sent)
    };
    let (_, greeting) = ours(&[]);
    let (_, greeting_and_ready) = ours(&Greeting::new(MechanismName::NULL).encode());
    let (mut connection, sent) = ours(stream);
    let begin = [&greeting_and_ready, &greeting]
        .into_iter()
        .find(|begin| sent.starts_with(begin));
    // One that failed in traffic sends nothing any more.
    let said = sent[begin.map_or(0, Vec::len)..].to_vec();
    let (mut messages, mut end) = (Vec::new(), None);
    while let Some(event) = connection.poll_event() {
        match event {
            Event::Message(message) => messages.push(message),
            Event::Closed(error) => {
                end = Some(match error {
                    Error::Malformed(_) => "malformed",
                    Error::Misbehaving(_) => "misbehaving",
                    Error::Incompatible(_) => "incompatible",
                    Error::Refused { .. } => "refused",
                    Error::TimedOut(_) => "timed out",
                    other => panic!("{other}"),
                });
            }
            _ => {}
        }
    }
    (messages, said, end)
}

pub(super) fn once_fields(message: &OnceMessage) -> Value {
    let mut fields = match message {
        OnceMessage::V1(V1::GetEndpoints)
        | OnceMessage::V2(V2::GetEndpoints)
        | OnceMessage::Unknown(_) => json!({}),
        OnceMessage::V1(V1::ListEndpoints { endpoints }) => {
            json!({ "endpoints": texts(endpoints) })
        }
        OnceMessage::V2(message) => v2_fields(message),
    };
    fields["version"] = json!(message.version());
    fields["message"] = match message {
        OnceMessage::Unknown(unknown) => json!(unknown.id()),
        message => json!(message.name()),
    };
    fields
}

fn ids(ids: &[PeerId]) -> Value {
    ids.iter().map(|id| json!(id.to_string())).collect()
}

fn v2_fields(message: &V2) -> Value {
    match message {
        V2::Challenge(challenge) => json!({
            "mechanisms": texts(&challenge.mechanisms),
            "nonce": upper(&challenge.nonce),
        }),
        V2::Authenticate(authenticate) => json!({
            "mechanism": octets(authenticate.mechanism.as_bytes()),
            "nonce": upper(&authenticate.nonce),
            "proof": upper(authenticate.proof.as_bytes()),
        }),
        V2::Ok { proof, seconds } => {
            json!({ "proof": upper(proof.as_bytes()), "seconds": seconds })
        }
        V2::Nope(nope) => json!({
            "about": nope.about,
            "code": nope.code.0,
            "text": octets(nope.text.as_bytes()),
        }),
        V2::Stop { proof } => json!({ "proof": upper(proof.as_bytes()) }),
        V2::GetEndpoints => json!({}),
        V2::ListEndpoints { contacts } => {
            let contacts = contacts.iter().map(contact_fields);
            json!({ "contacts": contacts.collect::<Value>() })
        }
        V2::GetRoster { epoch, from } => json!({ "epoch": epoch, "from": from }),
        V2::Roster(roster) => json!({
            "epoch": roster.epoch,
            "number": roster.number,
            "part": roster.part.index(),
            "parts": roster.part.count(),
            "peers": roster.peers.iter().map(peer_fields).collect::<Value>(),
        }),
        V2::Delta(delta) => {
            let mut fields = match &delta.change {
                Change::Enter(peer) => json!({ "peer": peer_fields(peer) }),
                Change::Exit { uuid } => json!({ "uuid": uuid.to_string() }),
                Change::Join { uuid, group } | Change::Leave { uuid, group } => {
                    json!({ "uuid": uuid.to_string(), "group": octets(group.as_bytes()) })
                }
            };
            fields["epoch"] = json!(delta.epoch);
            fields["number"] = json!(delta.number);
            fields
        }
        V2::RemoteWhisper(whisper) => json!({
            "epoch": whisper.epoch,
            "number": whisper.number,
            "from": whisper.from.to_string(),
            "to": whisper.to.to_string(),
        }),
        V2::RemoteShout(shout) => json!({
            "epoch": shout.epoch,
            "number": shout.number,
            "from": shout.from.to_string(),
            "group": octets(shout.group.as_bytes()),
            "to": ids(&shout.to),
        }),
        V2::RemoteAgain(again) => json!({
            "epoch": again.epoch,
            "number": again.number,
            "of": again.of,
            "to": ids(&again.to),
        }),
        V2::Undeliverable(undeliverable) => json!({
            "epoch": undeliverable.epoch,
            "number": undeliverable.number,
            "from": undeliverable.from.to_string(),
            "target": match &undeliverable.target {
                Target::Peer(uuid) => json!({ "peer": uuid.to_string() }),
                Target::Group(group) => json!({ "group": octets(group.as_bytes()) }),
            },
            "reason": undeliverable.reason.0,
        }),
        V2::Relay { uuid } => json!({ "uuid": uuid.to_string() }),
        V2::Ticket(invitation) => json!({
            "uuid": invitation.uuid.to_string(),
            "role": match invitation.role {
                RelayRole::Dial => "dial",
                RelayRole::Accept => "accept",
            },
            "endpoint": octets(invitation.endpoint.as_bytes()),
            "ticket": upper(invitation.ticket.as_bytes()),
        }),
    }
}

fn contact_fields(contact: &Contact) -> Value {
    let beacon = |Address { ip, port }| json!({ "ip": ip.to_string(), "port": port });
    json!({
        "uuid": contact.uuid.to_string(),
        "name": octets(contact.name.as_bytes()),
        "endpoint": octets(contact.endpoint.as_bytes()),
        "beacon": contact.beacon.map(beacon),
        "key": contact.key.map(|key| upper(&key)),
    })
}

fn peer_fields(peer: &Peer) -> Value {
    json!({
        "uuid": peer.uuid.to_string(),
        "name": octets(peer.name.as_bytes()),
        "endpoint": peer.endpoint.as_ref().map(|endpoint| octets(endpoint.as_bytes())),
        "key": peer.key.map(|key| upper(&key)),
        "headers": headers(&peer.headers),
        "groups": texts(&peer.groups),
    })
}

pub(super) fn datagram_fields(datagram: &Datagram) -> Value {
    match datagram {
        Datagram::Query(service) => {
            json!({ "kind": "QUERY", "service": service.as_ref().map(ToString::to_string) })
        }
        Datagram::Announcement(Announcement {
            instance,
            ttl,
            offer,
        }) => {
            let endpoints = offer.endpoints().iter();
            let properties = offer.properties().iter();
            json!({
                "kind": "ANNOUNCE",
                "instance": instance.to_string(),
                "ttl": ttl.get(),
                "service": offer.service().to_string(),
                "endpoints": endpoints.map(ToString::to_string).collect::<Vec<_>>(),
                "key": offer.key().map(|key| upper(key)),
                "properties": properties
                    .map(|(name, value)| json!([octets(name.as_bytes()), octets(value.as_bytes())]))
                    .collect::<Value>(),
            })
        }
        Datagram::Goodbye(instance) => {
            json!({ "kind": "GOODBYE", "instance": instance.to_string() })
        }
    }
}

pub(super) fn gossip_fields(message: &GossipMessage) -> Value {
    let participant = |id: &Option<ParticipantId>| id.map(|id| id.to_string());
    match message {
        GossipMessage::Hello(id) => json!({ "message": "HELLO", "participant": participant(id) }),
        GossipMessage::Publish(Publish {
            key,
            value,
            ttl,
            stamp,
        }) => json!({
            "message": "PUBLISH",
            "key": octets(key.as_bytes()),
            "value": octets(value.as_bytes()),
            "void": value.is_void(),
            "ttl": ttl,
            "stamp": stamp.map(|stamp| json!({
                "generation": stamp.generation,
                "origin": stamp.origin.to_string(),
                "published": stamp.published,
            })),
        }),
        GossipMessage::Ping => json!({ "message": "PING" }),
        GossipMessage::Pong(id) => json!({ "message": "PONG", "participant": participant(id) }),
        GossipMessage::Invalid => json!({ "message": "INVALID" }),
    }
}
