//! What is seen of a network in which time passes as the test says.

use std::sync::Arc;
use std::time::Duration;

use atonce::wire::Text;
use atonce::zre::{Event, Lost, Peer, Presence};
use atonce::{ExitReason, Frames, PeerId};
use atonce_std::PeerInfo;
use expect_test::{Expect, expect};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::model::{Key, Me, Model, Sort, latency, short};
use super::view;

fn text(text: &str) -> Text {
    text.try_into().unwrap()
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn peer(octet: u8, name: &str) -> Arc<Peer> {
    Arc::new(Peer {
        id: PeerId::from_bytes([octet; 16]),
        name: text(name),
        endpoint: text(&format!("tcp://10.0.0.{octet}:49152")),
        headers: [(text("X-ROLE"), "thermometer".try_into().unwrap())]
            .into_iter()
            .collect(),
    })
}

/// A model that was told of three peers, the second of which says much and the third of which went silent.
fn model() -> Model {
    let me = Me {
        name: "alice".into(),
        id: "A".repeat(32),
        endpoints: vec!["tcp://10.0.0.9:40000".into()],
    };
    let mut model = Model::new(me, Sort::Name, String::new());
    let [bob, carol, dave] = [peer(1, "bob"), peer(2, "carol"), peer(3, "dave\u{1b}[2J")];
    for (at, peer) in [(1, &bob), (2, &carol), (3, &dave)] {
        model.hear(secs(at), &Event::Enter { peer: peer.clone() });
    }
    for (peer, group) in [(&bob, "CHAT"), (&carol, "CHAT"), (&carol, "HAM")] {
        let event = Event::Join {
            peer: peer.clone(),
            group: text(group),
        };
        model.hear(secs(4), &event);
    }
    let infos = [
        (&bob, 250, vec!["CHAT"]),
        (&carol, 12_340, vec!["CHAT", "HAM"]),
    ];
    let infos = infos.map(|(peer, micros, groups)| PeerInfo {
        peer: peer.clone(),
        groups: groups.into_iter().map(text).collect(),
        presence: Presence::Ready,
        round_trip: Some(Duration::from_micros(micros)),
        key: None,
        user_id: None,
    });
    model.look(
        infos.into(),
        [text("CHAT")],
        vec!["tcp://10.0.0.9:40000".into()],
    );
    for tenth in 0..100 {
        let at = secs(5) + Duration::from_millis(tenth * 100);
        let content = Frames::from(vec![b'x'; 150]);
        let event = Event::Shout {
            peer: carol.clone(),
            group: text("CHAT"),
            content,
        };
        model.hear(at, &event);
    }
    let content = Frames::from("hello");
    model.hear(
        secs(15),
        &Event::Whisper {
            peer: bob.clone(),
            content,
        },
    );
    model.hear(secs(15), &Event::Evasive { peer: dave.clone() });
    model.hear(secs(16), &Event::Silent { peer: dave });
    model
}

/// What a screen of this size shows.
fn screen(model: &Model, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view::draw(frame, model)).unwrap();
    let buffer = terminal.backend().buffer();
    let rows = buffer.content().chunks(usize::from(width));
    rows.map(|row| {
        let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        format!("{}\n", line.trim_end())
    })
    .collect()
}

fn shows(model: &Model, expected: &Expect) {
    expected.assert_eq(&screen(model, 110, 20));
}

fn names(model: &Model) -> Vec<String> {
    let rows = model.rows();
    rows.iter()
        .map(|row| row.info.peer.name.to_str_lossy().chars().take(5).collect())
        .collect()
}

fn type_in(model: &mut Model, keys: &str) {
    for key in keys.chars() {
        model.press(Key::Character(key));
    }
}

#[test]
fn the_screen_shows_peers_groups_and_what_happened() {
    shows(
        &model(),
        &expect![[r#"
            atonce top alice at tcp://10.0.0.9:40000 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
            3 peers (1 not ready), 2 groups, heard 8.2 messages/s, 1.2k octets/s, for 0:00:16
            ┌ Peers ─────────────────────────────────────────────────────────────────────────────────────────────────────┐
            │NAME▾          STATE     LATENCY  MSG/S  OCTETS/S     HERE GROUPS     ENDPOINT                    UUID      │
            │bob            ready      250 µs    0.2       1.0  0:00:15 CHAT       tcp://10.0.0.1:49152        0101010101│
            │carol          ready       12 ms    8.0      1.2k  0:00:14 CHAT, HAM  tcp://10.0.0.2:49152        0202020202│
            │dave\u{1b}[2J  silent          -      0         0  0:00:13            tcp://10.0.0.3:49152        0303030303│
            │                                                                                                            │
            │                                                                                                            │
            │                                                                                                            │
            │                                                                                                            │
            └────────────────────────────────────────────────────────────────────────────────────────────────────────────┘
            ┌ Groups ─────────────────────────────┐┌ Events ─────────────────────────────────────────────────────────────┐
            │GROUP                    PEERS MSG/S ││0:00:04 bob joined CHAT                                              │
            │CHAT                         2    8.0││0:00:04 carol joined CHAT                                            │
            │HAM                          1 not in││0:00:04 carol joined HAM                                             │
            │                                     ││0:00:15 dave\u{1b}[2J is evasive: nothing was heard of it for a while│
            │                                     ││0:00:16 dave\u{1b}[2J is silent: it does not answer                  │
            └─────────────────────────────────────┘└─────────────────────────────────────────────────────────────────────┘
            q leave  ? keys  s sort  r reverse  / filter  Enter details
        "#]],
    );
}

#[test]
fn a_marked_peer_is_shown_with_all_it_says_about_itself() {
    let mut model = model();
    model.press(Key::Down);
    model.press(Key::Down);
    model.press(Key::Enter);
    shows(
        &model,
        &expect![[r#"
            atonce top alice at tcp://10.0.0.9:40000 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
            3 peers (1 not ready), 2 groups, heard 8.2 messages/s, 1.2k octets/s, for 0:00:16
            ┌ Peers ─────────────────────────────────────────────────────────────────────────────────────────────────────┐
            │NAME▾          STATE     LATENCY  MSG/S  OCTETS/S     HERE GROUPS     ENDPOINT                    UUID      │
            │bob            ready      250 µs    0.2       1.0  0:00:15 CHAT       tcp://10.0.0.1:49152        0101010101│
            │carol          ready       12 ms    8.0      1.2k  0:00:14 CHAT, HAM  tcp://10.0.0.2:49152        0202020202│
            │dave\u{1b}[2J  silent          -      0         0  0:00:13            tcp://10.0.0.3:49152        0303030303│
            │                                                                                                            │
            │                                                                                                            │
            │                                                                                                            │
            │                                                                                                            │
            └────────────────────────────────────────────────────────────────────────────────────────────────────────────┘
            ┌ Groups ─────────────────────────────┐┌ carol ──────────────────────────────────────────────────────────────┐
            │GROUP                    PEERS MSG/S ││UUID      02020202020202020202020202020202                           │
            │CHAT                         2    8.0││Endpoint  tcp://10.0.0.2:49152                                       │
            │HAM                          1 not in││Groups    CHAT, HAM                                                  │
            │                                     ││Said      100 messages, 15000 octets                                 │
            │                                     ││X-ROLE    thermometer                                                │
            └─────────────────────────────────────┘└─────────────────────────────────────────────────────────────────────┘
            q leave  ? keys  s sort  r reverse  / filter  Enter details
        "#]],
    );
}

#[test]
fn the_keys_are_told() {
    let mut model = model();
    type_in(&mut model, "?");
    shows(
        &model,
        &expect![[r#"
            atonce top alice at tcp://10.0.0.9:40000 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
            3 peers (1 not ready), 2 groups, heard 8.2 messages/s, 1.2k octets/s, for 0:00:16
            ┌ Peers ─────────────────────────────────────────────────────────────────────────────────────────────────────┐
            │NAME▾          STATE     LATENCY  MSG/S  OCTETS/S     HERE GROUPS     ENDPOINT                    UUID      │
            │bob            ready      250 µs    0.2       1.0  0:00:15 CHAT       tcp://10.0.0.1:49152        0101010101│
            │carol       ┌ Keys ────────────────────────────────────────────────────────────────────────────┐  0202020202│
            │dave\u{1b}[2│↑ ↓ j k, PgUp, PgDn, Home, End  mark a peer                                       │  0303030303│
            │            │Enter                           what the marked peer says about itself            │            │
            │            │s                               sort by the next column                           │            │
            │            │r                               the other way round                               │            │
            │            │/                               show only peers with this text; Enter keeps it    │            │
            └────────────│Esc                             no filter, no mark                                │────────────┘
            ┌ Groups ────│m                               messages among the events, or not                 │────────────┐
            │GROUP       │c                               forget the events                                 │            │
            │CHAT        │q, Ctrl-C                       leave the network                                 │            │
            │HAM         └──────────────────────────────────────────────────────────────────────────────────┘            │
            │                                     ││0:00:15 dave\u{1b}[2J is evasive: nothing was heard of it for a while│
            │                                     ││0:00:16 dave\u{1b}[2J is silent: it does not answer                  │
            └─────────────────────────────────────┘└─────────────────────────────────────────────────────────────────────┘
            q leave  ? keys  s sort  r reverse  / filter  Enter details
        "#]],
    );
    // Whatever is pressed closes it, and does nothing else.
    type_in(&mut model, "q");
    assert!(!model.help && !model.over);
}

#[test]
fn a_small_screen_shows_what_fits_and_none_is_too_small() {
    let mut model = model();
    expect![[r#"
        atonce top alice at tcp://10.0.0.9:40000 AAAAAAAAAAAAAAAAAAA
        3 peers (1 not ready), 2 groups, heard 8.2 messages/s, 1.2k
        ┌ Peers ───────────────────────────────────────────────────┐
        │NAME▾          STATE     LATENCY  MSG/S TETS/S   HERE  E U│
        │bob            ready      250 µs    0.2    1.0 :00:15  t 0│
        │carol          ready       12 ms    8.0   1.2k :00:14  t 0│
        └──────────────────────────────────────────────────────────┘
        q leave  ? keys  s sort  r reverse  / filter  Enter details
    "#]]
    .assert_eq(&screen(&model, 60, 8));
    for keys in ["", "?", "s", "/x"] {
        type_in(&mut model, keys);
        for (width, height) in [(1, 1), (2, 3), (10, 2), (3, 40), (200, 60), (20, 14)] {
            screen(&model, width, height);
        }
    }
}

#[test]
fn peers_are_sorted_by_what_the_user_wants() {
    let mut model = model();
    for (sort, first) in [
        (Sort::Name, ["bob", "carol", "dave"]),
        (Sort::State, ["dave", "bob", "carol"]),
        (Sort::Latency, ["carol", "bob", "dave"]),
        (Sort::Messages, ["carol", "bob", "dave"]),
        (Sort::Octets, ["carol", "bob", "dave"]),
        (Sort::Groups, ["carol", "bob", "dave"]),
        (Sort::Age, ["dave", "carol", "bob"]),
    ] {
        assert_eq!(model.sort, sort);
        let shown = names(&model);
        assert!(
            shown
                .iter()
                .zip(first)
                .all(|(name, first)| name.starts_with(first)),
            "{sort:?}: {shown:?}"
        );
        type_in(&mut model, "s");
    }
    assert_eq!(model.sort, Sort::Name);
    type_in(&mut model, "r");
    assert_eq!(names(&model)[2], "bob");
}

#[test]
fn a_filter_leaves_those_that_hold_it() {
    let mut model = model();
    for (filter, shown) in [
        ("CAR", vec!["carol"]),
        ("ham", vec!["carol"]),
        ("0.1:", vec!["bob"]),
        ("silent", vec!["dave\u{1b}"]),
        ("0101", vec!["bob"]),
        ("nobody", vec![]),
    ] {
        type_in(&mut model, "/");
        type_in(&mut model, filter);
        assert_eq!(names(&model), shown, "{filter}");
        // It stays until it is taken back.
        model.press(Key::Enter);
        assert_eq!(names(&model), shown, "{filter}");
        model.press(Key::Escape);
        assert_eq!(names(&model).len(), 3);
    }
    // While it is typed no key means anything else.
    type_in(&mut model, "/qrs");
    model.press(Key::Erase);
    assert_eq!(
        (model.filter.as_str(), model.over, model.reversed),
        ("qr", false, false)
    );
    model.press(Key::Quit);
    assert!(model.over);
}

#[test]
fn a_mark_stays_with_its_peer() {
    let mut model = model();
    let marked = |model: &Model| {
        let rows = model.rows();
        model
            .marked(&rows)
            .map(|at| rows[at].info.peer.name.to_string())
    };
    assert_eq!(marked(&model), None);
    model.press(Key::Down);
    assert_eq!(marked(&model).as_deref(), Some("bob"));
    model.press(Key::Up);
    assert_eq!(marked(&model).as_deref(), Some("bob"));
    type_in(&mut model, "r");
    assert_eq!(marked(&model).as_deref(), Some("bob"));
    model.press(Key::PageDown);
    model.press(Key::First);
    model.press(Key::Down);
    assert_eq!(marked(&model).as_deref(), Some("carol"));
    model.press(Key::Last);
    assert_eq!(marked(&model).as_deref(), Some("bob"));
    // It goes with its peer.
    model.hear(
        secs(20),
        &Event::Exit {
            peer: peer(1, "bob"),
            reason: ExitReason::Lost(Lost::Unreachable),
        },
    );
    assert_eq!((marked(&model), model.count()), (None, 2));
    assert!(model.log().back().unwrap().bad);
    model.press(Key::Escape);
    let mut empty = Model::default();
    for key in [Key::Down, Key::Last, Key::PageUp, Key::Enter] {
        empty.press(key);
    }
    assert_eq!(marked(&empty), None);
}

#[test]
fn messages_are_among_the_events_only_if_they_are_wanted() {
    let mut model = model();
    let before = model.log().len();
    let whisper = Event::Whisper {
        peer: peer(1, "bob"),
        content: Frames::from("hello"),
    };
    model.hear(secs(17), &whisper);
    assert_eq!(model.log().len(), before);
    type_in(&mut model, "m");
    model.hear(secs(17), &whisper);
    assert_eq!(model.log().back().unwrap().words, "bob whispers: hello");
    type_in(&mut model, "c");
    assert!(model.log().is_empty());
    // However much happens, memory is bounded.
    (0..2_000).for_each(|_| model.hear(secs(18), &whisper));
    assert_eq!(model.log().len(), 500);
}

#[test]
fn each_peer_is_asked_in_turn() {
    let mut model = model();
    let every = secs(1);
    assert_eq!(model.due(every).len(), 3);
    assert!(model.due(every).is_empty());
    model.tick(secs(17));
    model.hear(
        secs(17),
        &Event::Enter {
            peer: peer(4, "eve"),
        },
    );
    assert_eq!(model.due(every).len(), 4);
    model.tick(secs(17) + Duration::from_millis(999));
    assert!(model.due(every).is_empty());
}

#[test]
fn the_end_of_the_node_is_the_end() {
    let mut model = model();
    model.hear(secs(17), &Event::Stopped);
    assert!(model.over);
}

#[test]
fn numbers_are_short() {
    for (rate, words) in [
        (0.0, "0"),
        (0.2, "0.2"),
        (42.04, "42.0"),
        (999.0, "999"),
        (1_234.0, "1.2k"),
        (123_456.0, "123k"),
        (5e6, "5.0M"),
        (2e9, "2.0G"),
    ] {
        assert_eq!(short(rate), words);
    }
    for (micros, words) in [
        (73, "73 µs"),
        (1_234, "1.23 ms"),
        (45_678, "46 ms"),
        (1_500_000, "1.5 s"),
    ] {
        assert_eq!(latency(Some(Duration::from_micros(micros))), words);
    }
    assert_eq!(latency(None), "-");
}
