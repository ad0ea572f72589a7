//! ZAP: what a server asks an authentication handler, and what that answers.

use arbitrary::Unstructured;
use bytes::Bytes;

use super::values;
use crate::wire::Frames;
use crate::wire::zap::{Credentials, Domain, InvalidDomain, Outcome, Reply, Request};

/// How many octets stand in front of the last field of a request that can be written in more ways than one: the address.
const ADDRESS: usize = 4;

/// The frames of a message, each behind its length in one octet. The last one may be cut short; an octet of 255 means that the
/// frame has 256, which is more than a string may have.
fn frames(octets: &[u8]) -> Frames {
    let mut u = Unstructured::new(octets);
    let mut frames = Frames::new();
    while !u.is_empty() {
        let octets = match u.arbitrary::<u8>() {
            Ok(255) => 256,
            octets => usize::from(octets.unwrap_or_default()),
        };
        let octets = octets.min(u.len());
        let frame = u.bytes(octets).unwrap_or_default();
        frames.push(Bytes::copy_from_slice(frame));
    }
    frames
}

/// Frames as a request and as a reply: what decodes encodes to frames that say the same, an address apart to the same frames;
/// with a frame more or less it is none; no password shows.
pub fn zap(input: &[u8]) {
    let frames = frames(input);
    let longer = Frames::from_iter(frames.iter().cloned().chain([Bytes::new()]));
    let shorter = frames.len().saturating_sub(1);

    match Request::decode(&frames) {
        Ok(request) => {
            self::request(input.len(), &frames, &request);
            assert!(Request::decode(&longer).is_err(), "a frame more");
            assert!(Request::decode(&frames[..shorter]).is_err(), "one less");
        }
        Err(error) => values::shown(input.len(), format_args!("{error} {error:?}")),
    }
    match Reply::decode(&frames) {
        Ok(reply) => {
            self::reply(input.len(), &frames, &reply);
            assert!(Reply::decode(&longer).is_err(), "a frame more");
            assert!(Reply::decode(&frames[..shorter]).is_err(), "one less");
        }
        Err(error) => values::shown(input.len(), format_args!("{error} {error:?}")),
    }
    for frame in &frames {
        domain(frame);
    }
}

fn request(octets: usize, frames: &Frames, request: &Request) {
    let encoded = request.encode();
    assert_eq!(encoded.len(), frames.len());
    for (at, (ours, theirs)) in encoded.iter().zip(frames).enumerate() {
        assert!(ours == theirs || at == ADDRESS, "{request:?}");
    }
    assert_eq!(Request::decode(&encoded).as_ref(), Ok(request));
    let mechanism = request.credentials.mechanism();
    assert_eq!(frames[6], mechanism);
    values::shown(octets, format_args!("{request:?} {}", request.domain));
    if let Credentials::Plain { password, .. } = &request.credentials {
        // Whatever the password is, the same is shown.
        let shown = alloc::format!("{:?}", request.credentials);
        let mut other = request.clone();
        if let Credentials::Plain { password: its, .. } = &mut other.credentials {
            *its = crate::wire::Text::default();
        }
        assert_eq!(alloc::format!("{:?}", other.credentials), shown);
        assert_eq!(other == *request, password.is_empty());
    }
}

fn reply(octets: usize, frames: &Frames, reply: &Reply) {
    let encoded = reply.encode();
    assert_eq!(encoded[..5], frames[..5], "{reply:?}");
    assert_eq!(frames[3], reply.outcome.code());
    match &reply.outcome {
        Outcome::Allowed { metadata, .. } => {
            assert_eq!(encoded, *frames, "{reply:?}");
            assert_eq!(metadata.is_empty(), frames[6].is_empty());
        }
        // What is said of somebody who is not let in counts for nothing.
        _ => assert!(encoded[5..].iter().all(Bytes::is_empty)),
    }
    assert_eq!(Reply::decode(&encoded).as_ref(), Ok(reply));
    values::shown(octets, format_args!("{reply:?}"));
}

/// A domain by all the ways that lead to one.
fn domain(octets: &[u8]) {
    let Ok(text) = core::str::from_utf8(octets) else {
        return;
    };
    let domain = Domain::try_from(text);
    assert_eq!(text.parse::<Domain>(), domain);
    match domain {
        Ok(domain) => {
            assert_eq!(domain.as_str(), text);
            assert!((1..=255).contains(&text.len()) && text.is_ascii());
            assert!(!text.chars().any(char::is_control));
            assert_eq!(alloc::format!("{domain}"), text);
        }
        Err(error @ InvalidDomain) => {
            values::shown(octets.len(), format_args!("{error}"));
            assert!(
                text.is_empty()
                    || text.len() > 255
                    || !text.bytes().all(|c| (32..127).contains(&c))
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn frames_of_any_octets(octets in prop::collection::vec(any::<u8>(), 0..600)) {
            zap(&octets);
        }

        #[test]
        fn messages_that_are_nearly_right(
            mechanism in prop::sample::select(&["NULL", "PLAIN", "CURVE", "GSSAPI"]),
            status in prop::sample::select(&["200", "300", "400", "500", "404"]),
            id in prop::collection::vec(any::<u8>(), 0..20),
            address in any::<core::net::IpAddr>(),
            texts in prop::collection::vec("[ -~]{0,40}", 3),
            key in prop::collection::vec(any::<u8>(), 31..34),
            left_out in any::<prop::sample::Index>(),
        ) {
            let credentials: Vec<Vec<u8>> = match mechanism {
                "PLAIN" => texts[1..].iter().map(|text| text.clone().into()).collect(),
                "CURVE" => alloc::vec![key],
                _ => Vec::new(),
            };
            let address = alloc::format!("{address}");
            let request = [&b""[..], b"1.0", &id, texts[0].as_bytes(), address.as_bytes(), &id, mechanism.as_bytes()];
            let request = request.into_iter().chain(credentials.iter().map(Vec::as_slice));
            let reply = [&b""[..], b"1.0", &id, status.as_bytes(), texts[0].as_bytes(), texts[1].as_bytes(), b"\x01x\0\0\0\x01y"];
            for frames in [request.collect::<Vec<_>>(), reply.to_vec()] {
                let octets = |frames: &[&[u8]]| {
                    let frames = frames.iter().map(|frame| [&[u8::try_from(frame.len()).unwrap()][..], frame].concat());
                    frames.collect::<Vec<_>>().concat()
                };
                zap(&octets(&frames));
                let mut less = frames;
                less.remove(left_out.index(less.len()));
                zap(&octets(&less));
            }
        }
    }
}
