//! What nodes say of themselves.

use atonce::once::session::Heard;
use atonce::once::{Role, Roles};
use atonce::wire::Headers;
use atonce::wire::once::{V1, V2};
use atonce::{Frames, Instant};

use crate::pair::Side;
use crate::{content, peer_saying, secret};

const NOW: Instant = Instant::ZERO;

fn of(header: &str) -> Option<Roles> {
    Roles::of(&peer_saying(1, Some(header)).headers)
}

fn roles(role: Role, beacon: Option<u16>, relay: bool) -> Roles {
    Roles {
        role,
        beacon,
        relay,
    }
}

#[test]
fn the_first_word_says_what_a_node_is() {
    // ONCE-50
    assert_eq!(of("bridge"), Some(roles(Role::Bridge, None, false)));
    assert_eq!(of("server"), Some(roles(Role::Server, None, false)));
    for none in [
        "",
        " bridge",
        "Bridge",
        "bridges",
        "relay bridge",
        "bridge\t",
        "beacon=5671",
    ] {
        assert_eq!(of(none), None, "{none:?}");
    }
    assert_eq!(Roles::of(&Headers::new()), None);
}

#[test]
fn further_words_say_more_or_are_ignored() {
    // ONCE-51
    let bridge = |beacon| Some(roles(Role::Bridge, beacon, false));
    assert_eq!(of("bridge beacon=5671"), bridge(Some(5671)));
    assert_eq!(of("bridge  quick beacon=65535 beacon"), bridge(Some(65535)));
    assert_eq!(of("bridge beacon=1 beacon=2"), bridge(Some(2)));
    for none in ["0", "65536", "+1", "-1", "", "1x", "99999999999"] {
        assert_eq!(of(&format!("bridge beacon={none}")), bridge(None), "{none}");
    }
    assert_eq!(
        of("server beacon=7 relay"),
        Some(roles(Role::Server, Some(7), true))
    );
    assert_eq!(of("bridge relay"), bridge(None));
    assert_eq!(
        of("server Relay relay=1"),
        Some(roles(Role::Server, None, false))
    );
}

#[test]
fn what_is_written_is_read() {
    // ONCE-50, ONCE-51
    for role in [Role::Server, Role::Bridge] {
        for beacon in [None, Some(1), Some(5671), Some(65535)] {
            for relay in [false, role == Role::Server] {
                let roles = roles(role, beacon, relay);
                let mut headers = peer_saying(1, Some("something else")).headers;
                roles.put(&mut headers);
                assert_eq!((Roles::of(&headers), headers.len()), (Some(roles), 1));
            }
        }
    }
    let mut headers = Headers::new();
    roles(Role::Bridge, Some(0), true).put(&mut headers);
    assert_eq!(headers.get("X-ONCE").unwrap().as_bytes(), b"bridge");
}

#[test]
fn nothing_is_kept_of_who_is_neither() {
    // ONCE-52
    let mut server = Side::new(1, Role::Server, vec![secret("s")]);
    let client = peer_saying(7, None);
    server.enters(NOW, &client, None);
    for other in [
        Frames::from("hello"),
        Frames::new(),
        Frames::from(b"\xAA\xA2\x10\x03"),
    ] {
        assert_eq!(server.hears_octets(NOW, &client, other), Heard::Nothing);
    }
    assert_eq!((server.sessions.len(), server.shorts()), (0, vec![]));
    // It speaks, and is answered, but there is nothing that it could prove.
    server.hears(NOW, &client, V2::GetEndpoints);
    assert_eq!(server.shorts(), ["NOPE 3 about 20"]);
    assert_eq!(
        server.hears(NOW, &client, V1::GetEndpoints),
        Heard::V1(V1::GetEndpoints)
    );
    let proof = crate::ZEROS;
    server.hears(NOW, &client, V2::Ok { proof, seconds: 1 });
    server.hears(NOW, &client, V2::Stop { proof });
    assert_eq!(server.shorts(), ["NOPE 8 about 12", "NOPE 8 about 14"]);
    assert_eq!(server.told(), ["refused 3", "refused 8", "refused 8"]);
    assert_eq!(
        (server.sessions.len(), server.sessions.poll_timeout()),
        (1, None)
    );
    server.sessions.handle_exited(NOW, client.id);
    assert!(server.sessions.is_empty());
}

#[test]
fn before_the_proof_fields_are_not_read() {
    // ONCE-53
    let mut server = Side::new(1, Role::Server, vec![secret("s")]);
    let bridge = peer_saying(2, Some("bridge"));
    server.enters(NOW, &bridge, None);
    assert_eq!(server.shorts().len(), 1);
    // LIST-ENDPOINTS that ends in its count, as a proved peer may not say it either.
    let malformed = Frames::from(b"\xAA\xA2\x21\x02\0");
    assert_eq!(server.hears_octets(NOW, &bridge, malformed), Heard::Nothing);
    assert_eq!(server.hears(NOW, &bridge, V2::GetEndpoints), Heard::Nothing);
    assert_eq!(server.shorts(), ["NOPE 3 about 21", "NOPE 3 about 20"]);
    // Nobody answers a NOPE.
    let nope = atonce::wire::once::Nope {
        about: 0x14,
        code: atonce::wire::once::Code(99),
        text: crate::text("?"),
    };
    server.hears(NOW, &bridge, V2::Nope(nope));
    assert_eq!(server.shorts(), [""; 0]);
    // Version 1 is for whoever has the sessions to answer.
    let heard = server.hears_octets(NOW, &bridge, content(V1::GetEndpoints));
    assert_eq!(heard, Heard::V1(V1::GetEndpoints));
}
