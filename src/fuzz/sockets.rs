//! What the two targets for sockets share: how a socket is set up, with limits so small that they are reached.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::time::Duration;

use arbitrary::{Result, Unstructured};

use super::values;
use crate::Bytes;
use crate::socket::{Backoff, Config, Endpoint, Kind, QueueLimit, SubscriptionLimit};
use crate::wire::Frames;
use crate::wire::zmtp::Identity;
use crate::zmtp::{Heartbeat, Limits};

/// What peers of a fuzzed socket may send at once.
pub(super) const LIMITS: Limits = Limits {
    frame_octets: 4_000,
    message_octets: 6_000,
    message_frames: 5,
    command_octets: 500,
};

/// What subscribers want, and what publishers publish under: some begin with another.
pub(super) const TOPICS: [&[u8]; 6] = [b"", b"a", b"ab", b"abc", b"b", b"news of the day"];

/// One of all types.
pub(super) fn kind(u: &mut Unstructured<'_>) -> Result<Kind> {
    Ok(*u.choose(Kind::ALL)?)
}

/// The identities that peers take: few, so that two have the same.
pub(super) fn identity(u: &mut Unstructured<'_>) -> Result<Identity> {
    let identity: &[u8] = u.choose(&[&b""[..], b"", b"one", b"two"])?;
    Ok(Identity::try_from(Bytes::from_static(identity)).unwrap_or_default())
}

pub(super) fn config(u: &mut Unstructured<'_>) -> Result<Config> {
    let [flags, sizes]: [u8; 2] = u.arbitrary()?;
    let is_small = sizes & 1 == 0;
    let limit = |messages, octets| match is_small {
        true => QueueLimit { messages, octets },
        false => QueueLimit::default(),
    };
    Ok(Config {
        handshake_timeout: Duration::from_secs(5),
        heartbeat: (sizes & 2 != 0).then(|| Heartbeat::every(Duration::from_secs(1))),
        limits: LIMITS,
        send: limit(4, 9_000),
        receive: limit(3, 9_000),
        reconnect: Backoff {
            longest: Duration::from_secs(2),
            jitter: if sizes & 4 == 0 { 50 } else { 0 },
            ..Backoff::default()
        },
        linger: match sizes >> 3 & 3 {
            0 => Duration::ZERO,
            1 => Duration::from_secs(30),
            _ => Duration::from_secs(1),
        },
        links: 5,
        unready_links: 3,
        subscriptions: SubscriptionLimit {
            prefixes: 4,
            octets: 40,
        },
        immediate: flags & 1 != 0,
        mandatory: flags & 2 == 0,
        handover: flags & 4 != 0,
        no_drop: flags & 8 != 0,
        correlate: flags & 16 != 0,
        verbose: flags & 32 != 0,
        ..Config::default()
    })
}

/// Where the socket with this number is.
pub(super) fn endpoint(number: usize) -> Endpoint {
    let text = match number {
        0 => "tcp://10.0.0.1:5555",
        1 => "tcp://10.0.0.2:5555",
        2 => "ipc:///run/socket",
        _ => "tcp://10.0.0.3:5555",
    };
    text.parse().expect("an endpoint")
}

/// The endpoint of a socket, as people write it: what is read is written so that it reads the same.
pub(super) fn written(text: &str) {
    let read = text.parse::<Endpoint>();
    let endpoint = match read {
        Ok(endpoint) => endpoint,
        Err(error) => return values::shown(text.len(), format_args!("{error} {error:?}")),
    };
    values::shown(text.len(), format_args!("{endpoint} {endpoint:?}"));
    assert_eq!(endpoint.to_string().parse(), Ok(endpoint.clone()));
    if let Some(address) = endpoint.socket_address() {
        assert_eq!(Endpoint::from(address), endpoint);
        assert_eq!(endpoint.can_be_dialled(), address.port() != 0);
    }
    if let Endpoint::Ipc(path) = &endpoint {
        assert_eq!(path.as_str().parse(), Ok(path.clone()));
        let name = path.abstract_name();
        assert_eq!(name.is_some(), path.as_str().starts_with('@'));
        assert!(endpoint.can_be_dialled());
    }
}

/// Some frames, as messages, envelopes and wishes have them.
pub(super) fn frames(u: &mut Unstructured<'_>) -> Result<Frames> {
    let mut frames = Frames::new();
    for _ in 0..=u.int_in_range(0..=7_u8)? / 2 {
        frames.push(frame(u)?);
    }
    Ok(frames)
}

fn frame(u: &mut Unstructured<'_>) -> Result<Bytes> {
    Ok(match u.int_in_range(0..=15_u8)? {
        0..=4 => Bytes::new(),
        5 => Bytes::from_static(b"one"),
        6 => Bytes::from_static(b"two"),
        7 | 8 => wish(u.arbitrary()?, u.choose(&TOPICS)?),
        9 => Bytes::copy_from_slice(&[7; 5]),
        10 => Bytes::from(alloc::vec![8; 300]),
        11 => Bytes::from(alloc::vec![9; 2_000]),
        12 => Bytes::from(alloc::vec![10; 4_000]),
        _ => Bytes::from_static(u.choose(&TOPICS)?),
    })
}

/// A wish as a message, as peers of ZMTP 3.0 and applications of an XSUB say it.
pub(super) fn wish(wanted: bool, prefix: &[u8]) -> Bytes {
    let mut octets = Vec::from([u8::from(wanted)]);
    octets.extend_from_slice(prefix);
    octets.into()
}

/// One of them, if there are any. It takes one octet in any case, so that what follows is read the same however many there are.
pub(super) fn pick<T: Copy>(u: &mut Unstructured<'_>, from: &[T]) -> Result<Option<T>> {
    let at = usize::from(u.arbitrary::<u8>()?);
    Ok(at
        .checked_rem(from.len())
        .and_then(|at| from.get(at))
        .copied())
}
