//! What holds of every value, however it came about: it can be shown, and taken apart and put together again.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use crate::wire::zmtp::{
    Decoded, FrameHeader, FrameKind, Identity, MechanismName, Metadata, OtherCommand, SocketType,
    Version,
};
use crate::wire::zre::{Command, Message};
use crate::wire::{Frames, Text, TooLong};
use crate::{Instant, PeerId};

/// Panics when what came of so many octets takes more room in a log than they can explain.
pub(super) fn shown(octets: usize, what: fmt::Arguments<'_>) {
    struct Counter(usize);
    impl fmt::Write for Counter {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 += text.len();
            Ok(())
        }
    }
    let mut counter = Counter(0);
    let written = fmt::write(&mut counter, what);
    assert!(written.is_ok() && counter.0 > 0);
    let most = 16 * octets + 1_000;
    assert!(counter.0 <= most, "{octets} octets show as {}", counter.0);
}

/// A string by all the ways that lead to one, when the octets fit.
pub(super) fn text(octets: &[u8]) {
    let text = match Text::try_from(octets) {
        Ok(text) => text,
        Err(TooLong {
            octets: long,
            limit,
        }) => {
            assert!(long == octets.len() && long > limit);
            return;
        }
    };
    assert_eq!(text.len(), octets.len());
    assert_eq!(text.is_empty(), octets.is_empty());
    assert_eq!(AsRef::<[u8]>::as_ref(&text), octets);
    shown(octets.len(), format_args!("<{text}> {text:?}"));
    if let Ok(utf8) = core::str::from_utf8(octets) {
        assert!(text == *utf8 && text == utf8);
        assert_eq!(text.to_str_lossy(), utf8);
        if let Ok(id) = utf8.parse::<PeerId>() {
            assert_eq!(
                alloc::format!("{id}").to_ascii_lowercase(),
                utf8.to_ascii_lowercase()
            );
        }
        assert_eq!(utf8.parse::<Text>(), Ok(text.clone()));
        assert_eq!(Text::try_from(&String::from(utf8)), Ok(text));
    }
}

/// A message of frames, taken apart from both ends and put together again.
pub(super) fn frames(frames: &Frames) {
    let octets = frames.octets() + 8 * frames.len();
    shown(octets, format_args!("{frames:?}"));
    let parts: Vec<Bytes> = frames.clone().into_iter().collect();
    assert_eq!(Frames::from(parts.clone()), *frames);
    assert_eq!(frames.clone().into_iter().len(), frames.len());
    let back: Vec<Bytes> = frames.clone().into_iter().rev().collect();
    assert!(back.iter().eq(parts.iter().rev()));
    let mut rest = frames.clone();
    let first = rest.pop_front();
    assert_eq!(first.as_ref(), frames.first());
    if let Some(first) = first {
        let copied = Frames::from(Cow::<'static, [u8]>::from(first.to_vec()));
        assert_eq!(copied[..], frames[..1]);
        rest.push_front(first);
    }
    assert_eq!(rest, *frames);
}

/// A ZRE message that came in a frame of so many octets.
pub(super) fn message(octets: usize, message: &Message) {
    shown(octets, format_args!("{message:?}"));
    assert!(!message.command.name().is_empty());
    match &message.command {
        Command::Hello(hello) => {
            let headers = &hello.headers;
            assert_eq!(headers.is_empty(), headers.iter().next().is_none());
            assert_eq!(headers.iter().len(), headers.len());
            for (name, value) in headers {
                text(name.as_bytes());
                if let Ok(name) = core::str::from_utf8(name.as_bytes()) {
                    assert_eq!(headers.get(name), Some(value));
                }
            }
            text(hello.name.as_bytes());
            text(hello.endpoint.as_bytes());
        }
        Command::Whisper { content } | Command::Shout { content, .. } => frames(content),
        _ => {}
    }
}

/// What ZMTP is made of, out of any octets: what a constructor takes is what decodes.
pub(super) fn zmtp(octets: &[u8]) {
    if let [major, minor, ..] = octets {
        let version = Version::new(*major, *minor);
        assert_eq!(version.is_some(), *major >= 3);
        if let Some(version) = version {
            assert_eq!((version.major(), version.minor()), (*major, *minor));
            shown(2, format_args!("{version} {version:?}"));
        }
    }
    if let Some((kind, size)) = octets.split_first()
        && let Some(size) = size.first_chunk()
    {
        let kinds = [FrameKind::Last, FrameKind::More, FrameKind::Command];
        let kind = kinds[usize::from(*kind) % kinds.len()];
        let size = u64::from_be_bytes(*size);
        let header = FrameHeader::new(kind, size);
        assert_eq!(header.is_some(), size <= FrameHeader::LIMIT);
        if let Some(value) = header {
            let mut encoded = Vec::new();
            value.encode(&mut encoded);
            let octets = value.encoded_len();
            assert_eq!(encoded.len(), octets);
            let again = FrameHeader::decode(&encoded);
            assert_eq!(again, Ok(Decoded::Complete { value, octets }));
        }
    }
    if let Some(name) = octets.first_chunk() {
        let name = MechanismName::from_bytes(*name);
        shown(20, format_args!("{name} {name:?}"));
    }
    if let Ok(name) = core::str::from_utf8(octets)
        && let Some(mechanism) = MechanismName::new(name)
    {
        assert!(mechanism.as_bytes().starts_with(octets));
    }
    identity(octets);
    command(octets);
}

fn identity(octets: &[u8]) {
    let identity = Identity::try_from(octets);
    let shared = Identity::try_from(Bytes::copy_from_slice(octets));
    assert_eq!(identity, shared);
    shown(octets.len(), format_args!("{identity:?}"));
    match identity {
        Ok(identity) => {
            assert_eq!(AsRef::<[u8]>::as_ref(&identity), octets);
            if let Some(id) = PeerId::from_identity(&identity) {
                assert_eq!(Identity::from(id), identity);
                assert_eq!(uuid::Uuid::from(id).as_bytes(), id.as_bytes());
                assert_eq!(alloc::format!("{id}").parse(), Ok(id));
            }
            assert_eq!(Bytes::from(identity), octets);
        }
        Err(error) => {
            shown(0, format_args!("{error}"));
            assert!(octets.len() > Identity::LIMIT || octets.first() == Some(&0));
        }
    }
}

/// The first octet says where a name ends and a value begins.
fn command(octets: &[u8]) {
    let Some((&at, rest)) = octets.split_first() else {
        return;
    };
    let (name, value) = rest.split_at_checked(at.into()).unwrap_or((rest, &[]));
    if let Some(other) = OtherCommand::new(name, Bytes::copy_from_slice(value)) {
        assert_eq!((other.name(), &other.data()[..]), (name, value));
        let command = crate::wire::zmtp::Command::Other(other);
        let mut encoded = Vec::new();
        command.encode(&mut encoded);
        assert_eq!(
            crate::wire::zmtp::Command::decode(&encoded),
            Ok(command.clone())
        );
    }
    if let Ok(name) = core::str::from_utf8(name) {
        let metadata = Metadata::new().with(name, value);
        assert_eq!(metadata.is_err(), name.is_empty() || name.len() > 255);
        if let Ok(metadata) = metadata {
            assert!(!metadata.is_empty());
            assert_eq!(metadata.get(name), Some(value));
            assert_eq!(metadata.into_iter().count(), 1);
            assert_eq!(Metadata::decode(metadata.as_bytes()), Ok(metadata.clone()));
            shown(octets.len(), format_args!("{metadata:?}"));
        }
    }
    match SocketType::decode(value) {
        Ok(kind) => {
            assert_eq!(kind.as_str().as_bytes(), value);
            shown(value.len(), format_args!("{kind}"));
            // It is the same from both sides.
            let other = SocketType::decode(name).unwrap_or(kind);
            assert_eq!(kind.may_talk_to(other), other.may_talk_to(kind));
        }
        Err(error) => shown(value.len(), format_args!("{error}")),
    }
}

/// Time by its number, and back.
pub(super) fn time(now: Instant) {
    assert_eq!(Instant::from_micros(now.as_micros()), now);
    assert_eq!(now.as_millis(), now.as_micros() / 1_000);
    shown(8, format_args!("{now}"));
}
