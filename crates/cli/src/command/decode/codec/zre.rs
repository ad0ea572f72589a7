//! Messages of ZRE.

use atonce::Frames;
use atonce::wire::Malformed;
use atonce::wire::once;
use atonce::wire::zre::{Command, Limits, Message};

use super::super::told::{Field, Told};
use super::first_begins;

pub(super) fn begins(frames: &Frames) -> bool {
    first_begins(frames, b"\xAA\xA1")
}

pub(super) fn read(frames: &Frames) -> Result<Told, Malformed> {
    let message = Message::decode(frames.clone(), &Limits::default())?;
    let mut fields = vec![("sequence", Field::number(message.sequence))];
    match &message.command {
        Command::Hello(hello) => fields.extend([
            ("endpoint", Field::text(&hello.endpoint)),
            ("groups", Field::texts(&hello.groups)),
            ("status", Field::number(hello.status)),
            ("name", Field::text(&hello.name)),
            ("headers", Field::headers(&hello.headers)),
        ]),
        Command::Shout { group, .. } => fields.push(("group", Field::text(group))),
        Command::Join { group, status } | Command::Leave { group, status } => {
            fields.extend([
                ("group", Field::text(group)),
                ("status", Field::number(*status)),
            ]);
        }
        Command::Elect {
            group,
            challenger_id,
        } => {
            fields.extend([
                ("group", Field::text(group)),
                ("challenger", Field::text(challenger_id)),
            ]);
        }
        Command::Leader { group, leader_id } => {
            fields.extend([
                ("group", Field::text(group)),
                ("leader", Field::text(leader_id)),
            ]);
        }
        Command::Whisper { .. }
        | Command::Ping
        | Command::PingOk
        | Command::Goodbye
        | Command::Unknown(_) => {}
    }
    let mut told = Told::new("ZRE", message.command.name(), fields).with_content(message.content());
    if let Command::Unknown(unknown) = &message.command {
        told.message = Field::number(unknown.id());
    }
    if let Command::Whisper { content } = &message.command
        && once::Message::is_once(content)
    {
        // An application may say what begins so and is something else.
        told.inner = super::once::read(content).ok().map(Box::new);
    }
    Ok(told)
}
