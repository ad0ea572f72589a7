//! Messages of @Once: what bridges and servers whisper to each other.

use atonce::wire::Malformed;
use atonce::wire::once::{
    Address, Change, Contact, Limits, Message, Peer, RelayRole, Target, V1, V2,
};
use atonce::{Frames, PeerId};

use super::super::told::{Field, Fields, Told};
use super::first_begins;

pub(super) fn begins(frames: &Frames) -> bool {
    first_begins(frames, b"\xAA\xA2")
}

pub(super) fn read(frames: &Frames) -> Result<Told, Malformed> {
    let message = Message::decode(frames.clone(), &Limits::default())?;
    let mut fields = vec![("version", Field::number(message.version()))];
    match &message {
        Message::V1(V1::GetEndpoints) | Message::Unknown(_) => {}
        Message::V1(V1::ListEndpoints { endpoints }) => {
            fields.push(("endpoints", Field::texts(endpoints)));
        }
        Message::V2(message) => fields.extend(of_v2(message)),
    }
    let mut told = Told::new("@Once", message.name(), fields).with_content(message.content());
    if let Message::Unknown(unknown) = &message {
        told.message = Field::number(unknown.id());
    }
    Ok(told)
}

fn of_v2(message: &V2) -> Fields {
    match message {
        V2::Challenge(challenge) => vec![
            ("mechanisms", Field::texts(&challenge.mechanisms)),
            ("nonce", Field::key(&challenge.nonce)),
        ],
        V2::Authenticate(authenticate) => vec![
            ("mechanism", Field::text(&authenticate.mechanism)),
            ("nonce", Field::key(&authenticate.nonce)),
            ("proof", Field::key(authenticate.proof.as_bytes())),
        ],
        V2::Ok { proof, seconds } => vec![
            ("proof", Field::key(proof.as_bytes())),
            ("seconds", Field::number(*seconds)),
        ],
        V2::Nope(nope) => vec![
            ("about", Field::number(nope.about)),
            ("code", Field::number(nope.code.0)),
            ("text", Field::text(&nope.text)),
        ],
        V2::Stop { proof } => vec![("proof", Field::key(proof.as_bytes()))],
        V2::GetEndpoints => Vec::new(),
        V2::ListEndpoints { contacts } => {
            vec![(
                "contacts",
                Field::List(contacts.iter().map(contact).collect()),
            )]
        }
        V2::GetRoster { epoch, from } => {
            vec![
                ("epoch", Field::number(*epoch)),
                ("from", Field::number(*from)),
            ]
        }
        V2::Roster(roster) => vec![
            ("epoch", Field::number(roster.epoch)),
            ("number", Field::number(roster.number)),
            ("part", Field::number(roster.part.index())),
            ("parts", Field::number(roster.part.count())),
            (
                "peers",
                Field::List(roster.peers.iter().map(peer).collect()),
            ),
        ],
        V2::Delta(delta) => {
            let mut fields = vec![
                ("epoch", Field::number(delta.epoch)),
                ("number", Field::number(delta.number)),
            ];
            match &delta.change {
                Change::Enter(who) => fields.push(("peer", peer(who))),
                Change::Exit { uuid } => fields.push(("uuid", Field::id(*uuid))),
                Change::Join { uuid, group } | Change::Leave { uuid, group } => {
                    fields.extend([("uuid", Field::id(*uuid)), ("group", Field::text(group))]);
                }
            }
            fields
        }
        V2::RemoteWhisper(whisper) => vec![
            ("epoch", Field::number(whisper.epoch)),
            ("number", Field::number(whisper.number)),
            ("from", Field::id(whisper.from)),
            ("to", Field::id(whisper.to)),
        ],
        V2::RemoteShout(shout) => vec![
            ("epoch", Field::number(shout.epoch)),
            ("number", Field::number(shout.number)),
            ("from", Field::id(shout.from)),
            ("group", Field::text(&shout.group)),
            ("to", ids(&shout.to)),
        ],
        V2::RemoteAgain(again) => vec![
            ("epoch", Field::number(again.epoch)),
            ("number", Field::number(again.number)),
            ("of", Field::number(again.of)),
            ("to", ids(&again.to)),
        ],
        V2::Undeliverable(undeliverable) => {
            let target = match &undeliverable.target {
                Target::Peer(uuid) => ("peer", Field::id(*uuid)),
                Target::Group(group) => ("group", Field::text(group)),
            };
            vec![
                ("epoch", Field::number(undeliverable.epoch)),
                ("number", Field::number(undeliverable.number)),
                ("from", Field::id(undeliverable.from)),
                ("target", Field::fields([target])),
                ("reason", Field::number(undeliverable.reason.0)),
            ]
        }
        V2::Relay { uuid } => vec![("uuid", Field::id(*uuid))],
        V2::Ticket(invitation) => {
            let role = match invitation.role {
                RelayRole::Dial => "dial",
                RelayRole::Accept => "accept",
            };
            vec![
                ("uuid", Field::id(invitation.uuid)),
                ("role", Field::word(role)),
                ("endpoint", Field::text(&invitation.endpoint)),
                ("ticket", Field::key(invitation.ticket.as_bytes())),
            ]
        }
    }
}

fn ids(ids: &[PeerId]) -> Field {
    Field::List(ids.iter().map(|id| Field::id(*id)).collect())
}

fn contact(contact: &Contact) -> Field {
    let beacon = |Address { ip, port }| {
        Field::fields([("ip", Field::word(ip)), ("port", Field::number(port))])
    };
    Field::fields([
        ("uuid", Field::id(contact.uuid)),
        ("name", Field::text(&contact.name)),
        ("endpoint", Field::text(&contact.endpoint)),
        ("beacon", Field::or_nothing(contact.beacon.map(beacon))),
        (
            "key",
            Field::or_nothing(contact.key.map(|key| Field::key(&key))),
        ),
    ])
}

fn peer(peer: &Peer) -> Field {
    Field::fields([
        ("uuid", Field::id(peer.uuid)),
        ("name", Field::text(&peer.name)),
        (
            "endpoint",
            Field::or_nothing(peer.endpoint.as_ref().map(Field::text)),
        ),
        (
            "key",
            Field::or_nothing(peer.key.map(|key| Field::key(&key))),
        ),
        ("headers", Field::headers(&peer.headers)),
        ("groups", Field::texts(&peer.groups)),
    ])
}
