//! ZAP, as handlers and servers say it.

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::{any, prop_assert_eq, proptest};
use proptest::{collection, sample};

use super::*;

fn frames(fields: &[&'static [u8]]) -> Vec<Bytes> {
    fields
        .iter()
        .map(|field| Bytes::from_static(field))
        .collect()
}

fn request(credentials: Credentials) -> Request {
    Request {
        request_id: Bytes::from_static(&[0, 255]),
        domain: "test".parse().unwrap(),
        address: "192.168.55.1".parse().unwrap(),
        identity: Identity::try_from(b"BOB".as_slice()).unwrap(),
        credentials,
    }
}

fn plain(username: &str, password: &str) -> Credentials {
    Credentials::Plain {
        username: username.try_into().unwrap(),
        password: password.try_into().unwrap(),
    }
}

/// The examples of the RFC, and one of CURVE.
///
/// ZAP-1, ZAP-3, ZAP-4
#[test]
fn requests_are_written_as_the_rfc_has_them_and_read_again() {
    let head: &[&[u8]] = &[b"", b"1.0", &[0, 255], b"test", b"192.168.55.1", b"BOB"];
    let key: &[u8] = &[7; 32];
    for (credentials, rest) in [
        (Credentials::Null, vec![b"NULL".as_slice()]),
        (
            plain("admin", "secret"),
            vec![b"PLAIN", b"admin", b"secret"],
        ),
        (plain("", ""), vec![b"PLAIN", b"", b""]),
        (Credentials::Curve([7; 32]), vec![b"CURVE", key]),
    ] {
        let request = request(credentials);
        let expected = frames(&[head, &rest].concat());
        assert_eq!(request.encode()[..], expected);
        assert_eq!(Request::decode(&expected), Ok(request));
    }
    let far = Request {
        address: "2001:db8:0:0::7".parse().unwrap(),
        ..request(Credentials::Null)
    };
    assert_eq!(far.encode()[4], "2001:db8::7");
    assert_eq!(Request::decode(&far.encode()), Ok(far));
}

/// ZAP-10, ZAP-11
#[test]
fn replies_are_written_as_the_rfc_has_them_and_read_again() {
    let metadata = Metadata::new().with("Level", b"3").unwrap();
    let allowed = Outcome::Allowed {
        user_id: "joe".try_into().unwrap(),
        metadata: metadata.clone(),
    };
    for (outcome, code, user_id, metadata) in [
        (allowed, "200", "joe", metadata.as_bytes()),
        (Outcome::Temporary, "300", "", b""),
        (Outcome::Refused, "400", "", b""),
        (Outcome::Internal, "500", "", b""),
    ] {
        let reply = Reply {
            request_id: "0001".into(),
            text: "so it is".try_into().unwrap(),
            outcome,
        };
        let written = reply.encode();
        assert_eq!(written[..6], ["", "1.0", "0001", code, "so it is", user_id]);
        assert_eq!(written[6], metadata);
        assert_eq!(Reply::decode(&written), Ok(reply));
    }
}

/// ZAP-12
#[test]
fn who_is_not_let_in_is_nobody() {
    let told = frames(&[b"", b"1.0", b"1", b"400", b"no", b"joe", b"nonsense"]);
    let reply = Reply::decode(&told).unwrap();
    assert_eq!(reply.outcome, Outcome::Refused);
    assert_eq!(reply.encode()[5..], ["", ""]);
}

/// ZAP-1, ZAP-2, ZAP-3, ZAP-4, ZAP-5
#[test]
fn requests_that_are_no_zap_are_refused_with_the_field() {
    let long: &[u8] = &[b'x'; 256];
    let good: [&[u8]; 8] = [b"", b"1.0", b"1", b"d", b"::1", b"", b"CURVE", &[1; 32]];
    assert!(Request::decode(&frames(&good)).is_ok());
    for (at, frame, field) in [
        (0, b"x".as_slice(), "delimiter"),
        (1, b"1.1", "version"),
        (1, b"", "version"),
        (3, b"", "request.domain"),
        (3, b"a\nb", "request.domain"),
        (3, "ä".as_bytes(), "request.domain"),
        (3, long, "request.domain"),
        (4, b"", "request.address"),
        (4, b"localhost", "request.address"),
        (4, b"1.2.3.4:5", "request.address"),
        (5, b"\x00x", "request.identity"),
        (5, long, "request.identity"),
        (6, b"", "request.mechanism"),
        (6, b"curve", "request.mechanism"),
        (6, b"GSSAPI", "request.mechanism"),
        (6, b"NULL", "request"),
        (6, b"PLAIN", "request.password"),
        (7, &[1; 31], "request.key"),
        (7, &[1; 33], "request.key"),
    ] {
        let mut bad = good;
        bad[at] = frame;
        let error = Request::decode(&frames(&bad)).unwrap_err();
        assert_eq!(error.field, field, "{at}");
    }
    for many in 0..good.len() {
        assert!(Request::decode(&frames(&good[..many])).is_err());
    }
    assert_eq!(
        Request::decode(&frames(&[&good[..], &[b""]].concat())),
        Err(Malformed::new("request", Expected::End, Found::Octets(0)))
    );
}

/// ZAP-2, ZAP-10, ZAP-11
#[test]
fn replies_that_are_no_zap_are_refused_with_the_field() {
    let long: &[u8] = &[b'x'; 256];
    let good: [&[u8]; 7] = [
        b"",
        b"1.0",
        b"1",
        b"200",
        b"OK",
        b"joe",
        b"\x01a\0\0\0\x01b",
    ];
    assert!(Reply::decode(&frames(&good)).is_ok());
    for (at, frame, field) in [
        (0, b"\0".as_slice(), "delimiter"),
        (1, b"1.0\0", "version"),
        (3, b"", "reply.status"),
        (3, b"201", "reply.status"),
        (3, b"2000", "reply.status"),
        (4, long, "reply.text"),
        (5, long, "reply.user-id"),
        (6, b"\0", "metadata.name"),
        (6, b"\x01a\0\0\0\x02b", "metadata.value"),
        (6, b"\x01a\xff\0\0\x01b", "metadata.value"),
    ] {
        let mut bad = good;
        bad[at] = frame;
        let error = Reply::decode(&frames(&bad)).unwrap_err();
        assert_eq!(error.field, field, "{at}");
    }
    for many in 0..good.len() {
        assert!(Reply::decode(&frames(&good[..many])).is_err());
    }
    assert!(Reply::decode(&frames(&[&good[..], &[b""]].concat())).is_err());
}

#[test]
fn a_password_is_not_shown() {
    let shown = alloc::format!("{:?}", request(plain("admin", "hunter2")));
    assert!(
        shown.contains("admin") && !shown.contains("hunter2"),
        "{shown}"
    );
}

proptest! {
    /// Whatever is sent: it is taken or refused, and what is taken is written so that it means the same.
    ///
    /// ZAP-1
    #[test]
    fn what_is_read_means_the_same_when_it_is_written(
        begin in sample::select(vec![
            frames(&[b"", b"1.0", b"1", b"d", b"::ffff:0:1", b"x", b"NULL"]),
            frames(&[b"", b"1.0", b"", b"d", b"10.0.0.7", b"", b"PLAIN", b"u", b"p"]),
            frames(&[b"", b"1.0", b"\xff", b"d", b"2001:0db8::7", b"", b"CURVE", &[9; 32]]),
            frames(&[b"", b"1.0", b"1", b"200", b"OK", b"joe", b"\x01a\0\0\0\x01b"]),
            frames(&[b"", b"1.0", b"1", b"500", b"", b"", b""]),
        ]),
        changes in collection::vec((any::<sample::Index>(), collection::vec(any::<u8>(), 0..40)), 0..3),
        more in collection::vec(collection::vec(any::<u8>(), 0..3), 0..2),
    ) {
        let mut message = begin;
        for (at, frame) in changes {
            *at.get_mut(&mut message) = frame.into();
        }
        message.extend(more.into_iter().map(Bytes::from));
        if let Ok(request) = Request::decode(&message) {
            prop_assert_eq!(Request::decode(&request.encode()), Ok(request));
        }
        if let Ok(reply) = Reply::decode(&message) {
            prop_assert_eq!(Reply::decode(&reply.encode()), Ok(reply));
        }
    }
}
