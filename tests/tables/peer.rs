//! The table of a peer, as the node sees it.

use std::time::Duration;

use atonce::wire::zre::{Command, Hello, UnknownCommand};
use atonce::zre::Config;
use atonce::{Cut, Frames, Instant};
use expect_test::expect_file;

use crate::grouped;
use crate::model_common::{Door, World, address_of, malformed, ms, nonsense, text};

const ANN: usize = 0;
const EVE: usize = 1;

/// How long everybody is left alone after the event: a doubt is settled after a second, and nobody is asked because of
/// silence before four.
const LATER: Duration = Duration::from_secs(3);

/// A node that is in the group OURS and never beacons, so that its beacons are not in the way; ann, who says nothing by
/// herself, and eve on another machine.
fn world(atonce: bool) -> World {
    world_with(atonce, false)
}

/// The same; both offer that they can be spoken to on their own links.
fn world_with(atonce: bool, duplex: bool) -> World {
    let mut config = Config {
        duplex,
        interval: Duration::from_secs(86_400),
        ..Config::default()
    };
    config.limits.receive_octets = 1_000;
    config.limits.send_messages = 4;
    let mut world = World::new(config);
    let ann = world.puppet("ann", 10, address_of(2, 0));
    let eve = world.puppet("eve", 11, address_of(3, 0));
    for who in [ann, eve] {
        world.puppets[who].answers = false;
        world.puppets[who].atonce = atonce && who == ann;
        world.puppets[who].duplex = duplex;
    }
    world.node.join(world.now, &text("OURS"));
    world.settle();
    world
}

fn hinted(door: Door) -> World {
    let mut world = world(false);
    world.puppets[ANN].door = door;
    beacon(&mut world);
    world
}

/// Ann is in CHAT and OURS for two seconds.
fn here_as(atonce: bool) -> World {
    let mut world = world(atonce);
    world.greet(ANN, &["CHAT", "OURS"]);
    world.pass(ms(2_000));
    world
}

/// The same; nobody can dial her, and she is spoken to on her own link.
fn here_on_her_own_link() -> World {
    let mut world = world_with(true, true);
    world.puppets[ANN].door = Door::Shut;
    world.greet(ANN, &["CHAT", "OURS"]);
    world.pass(ms(2_000));
    world
}

fn here() -> World {
    here_as(false)
}

fn beacon(world: &mut World) {
    let (id, address) = (world.puppets[ANN].id, world.puppets[ANN].address);
    world.beacon(id, address, address.port());
}

fn goodbye(world: &mut World) {
    let (id, address) = (world.puppets[ANN].id, world.puppets[ANN].address);
    world.beacon(id, address, 0);
}

/// A HELLO under ann's identity comes from eve's machine.
fn impostor(world: &mut World) {
    let (id, from) = (world.puppets[ANN].id, world.puppets[EVE].address);
    if let Some(link) = world.dial_in_as(EVE, from, Some(id)) {
        let Command::Hello(hello) = world.hello(ANN, &[]) else {
            unreachable!()
        };
        let endpoint = text(&format!("tcp://{from}"));
        world.say(link, 1, Command::Hello(Hello { endpoint, ..hello }));
    }
}

/// Eve says that ann's endpoint is hers.
fn claim(world: &mut World) {
    let Command::Hello(hello) = world.hello(EVE, &[]) else {
        unreachable!()
    };
    let endpoint = text(&format!("tcp://{}", world.puppets[ANN].address));
    world.puppets[EVE].next = 1;
    world.speak(EVE, Command::Hello(Hello { endpoint, ..hello }));
}

fn whisper(world: &mut World) {
    let content = Frames::from("hi");
    world.speak(ANN, Command::Whisper { content });
}

fn hang_up(world: &mut World) {
    if let Some(link) = world.puppets[ANN].link {
        world.hang_up(link, Cut::Closed);
    }
}

/// The node's link to ann is cut; she lets it in again if her door is open.
fn cut(world: &mut World) {
    if let Some(link) = world.link_to(ANN) {
        world.hang_up(link, Cut::Reset);
    }
}

fn answer(world: &mut World) {
    world.speak(ANN, Command::PingOk);
}

type State = fn() -> World;

fn states() -> Vec<(&'static str, State)> {
    vec![
        ("unknown", || world(false)),
        ("hinted at by a beacon: no answer to our dial yet", || {
            hinted(Door::Dark)
        }),
        ("hinted at by a beacon: our dial was refused", || {
            hinted(Door::Shut)
        }),
        ("hinted at by a beacon: our HELLO is said", || {
            hinted(Door::Open)
        }),
        ("greeted us, and our dial has no answer yet", || {
            let mut world = world(false);
            world.puppets[ANN].door = Door::Dark;
            world.greet(ANN, &["CHAT"]);
            world
        }),
        ("ready since a moment", || {
            let mut world = world(false);
            world.greet(ANN, &["CHAT"]);
            world
        }),
        ("ready", here),
        ("ready, and an atonce node", || here_as(true)),
        ("ready, and everything we said is confirmed", || {
            let mut world = here();
            goodbye(&mut world);
            answer(&mut world);
            world.pass(ms(10_000 - 4_500));
            answer(&mut world);
            world.pass(ms(100));
            world
        }),
        ("evasive", || {
            let mut world = here();
            world.pass(ms(3_500));
            world
        }),
        ("silent", || {
            let mut world = here();
            world.pass(ms(5_000));
            world
        }),
        ("in doubt: a goodbye, and our PING is not answered", || {
            let mut world = here();
            goodbye(&mut world);
            world.pass(ms(500));
            world
        }),
        ("in doubt: somebody elsewhere carries its identity", || {
            let mut world = here();
            impostor(&mut world);
            world.pass(ms(500));
            world
        }),
        ("in doubt: somebody else names its endpoint", || {
            let mut world = here();
            claim(&mut world);
            world.pass(ms(500));
            world
        }),
        ("a goodbye a second ago, which it denied", || {
            let mut world = here();
            goodbye(&mut world);
            answer(&mut world);
            world.pass(ms(1_000));
            world
        }),
        ("its link to us is closed", || {
            let mut world = here();
            hang_up(&mut world);
            world
        }),
        ("our link to it is cut: our dial has no answer yet", || {
            let mut world = here();
            world.puppets[ANN].door = Door::Dark;
            cut(&mut world);
            world
        }),
        ("our link to it is cut: our dial was refused once", || {
            let mut world = here();
            world.puppets[ANN].door = Door::Shut;
            cut(&mut world);
            world
        }),
        ("greeted anew by us after a cut", || {
            let mut world = here();
            cut(&mut world);
            world
        }),
        ("not read, since the application takes nothing", || {
            let mut world = here();
            world.reading = false;
            let content = Frames::from(vec![7; 1_000]);
            world.speak(ANN, Command::Whisper { content });
            world
        }),
        ("it does not read, and our queue to it is full", || {
            let mut world = here();
            world.puppets[ANN].stalled = true;
            let (id, now) = (world.puppets[ANN].id, world.now);
            while world.node.whisper(now, id, &Frames::from("hi")).is_ok() {}
            world.settle();
            world
        }),
        ("left a second ago", || {
            let mut world = here();
            goodbye(&mut world);
            hang_up(&mut world);
            world.pass(ms(1_000));
            world
        }),
        ("lost a second ago, for a gap", || {
            let mut world = here();
            world.puppets[ANN].next += 1;
            answer(&mut world);
            world.pass(ms(1_000));
            world
        }),
        ("ready, and spoken to on its own link", here_on_her_own_link),
        (
            "it was spoken to on its own link, which ended a second ago",
            || {
                let mut world = here_on_her_own_link();
                hang_up(&mut world);
                world.pass(ms(1_000));
                world
            },
        ),
        (
            "it can be spoken to on its own link, and our dial has no answer yet",
            || {
                let mut world = world_with(true, true);
                world.puppets[ANN].door = Door::Dark;
                world.greet(ANN, &["CHAT"]);
                world
            },
        ),
        ("we are stopped", || {
            let mut world = here();
            world.node.stop(world.now);
            world.settle();
            world.pass(ms(100));
            world
        }),
    ]
}

type Happens = fn(&mut World);

fn events() -> Vec<(&'static str, Happens)> {
    vec![
        ("beacon", beacon),
        ("beacon from another machine", |world| {
            let (id, source) = (world.puppets[ANN].id, world.puppets[EVE].address);
            world.beacon(id, source, source.port());
        }),
        ("beacon of eve with its endpoint", |world| {
            let (id, source) = (world.puppets[EVE].id, world.puppets[ANN].address);
            world.beacon(id, source, source.port());
        }),
        ("beacon with port 0", goodbye),
        ("beacon with port 0, which it denies", |world| {
            goodbye(world);
            if world.puppets[ANN].link.is_some() {
                answer(world);
            }
        }),
        ("HELLO on its link, or on its first", |world| {
            world.greet(ANN, &["NEWS"]);
        }),
        ("HELLO on another link", |world| {
            world.puppets[ANN].link = None;
            world.greet(ANN, &["NEWS"]);
        }),
        ("HELLO on another link, after its own closed", |world| {
            hang_up(world);
            world.greet(ANN, &["NEWS"]);
        }),
        ("HELLO with the sequence 2", |world| {
            let hello = world.hello(ANN, &[]);
            world.puppets[ANN].next = 2;
            world.speak(ANN, hello);
        }),
        ("HELLO with another port, on another link", |world| {
            world.puppets[ANN].address = address_of(2, 7);
            world.puppets[ANN].link = None;
            world.puppets[ANN].door = Door::Open;
            world.greet(ANN, &[]);
        }),
        ("HELLO without an endpoint", |world| {
            world.puppets[ANN].next = 1;
            world.speak(ANN, Command::Hello(Hello::default()));
        }),
        ("HELLO from another machine", impostor),
        ("HELLO from another machine, and it answers", |world| {
            impostor(world);
            if world.puppets[ANN].link.is_some() {
                answer(world);
            }
        }),
        ("HELLO of eve with its endpoint", claim),
        ("HELLO of eve with its endpoint, and it answers", |world| {
            claim(world);
            if world.puppets[ANN].link.is_some() {
                answer(world);
            }
        }),
        ("WHISPER", whisper),
        ("WHISPER without content", |world| {
            let content = Frames::new();
            world.speak(ANN, Command::Whisper { content });
        }),
        ("SHOUT to OURS", |world| {
            let (group, content) = (text("OURS"), Frames::from("all"));
            world.speak(ANN, Command::Shout { group, content });
        }),
        ("SHOUT to CHAT, in which we are not", |world| {
            let (group, content) = (text("CHAT"), Frames::from("all"));
            world.speak(ANN, Command::Shout { group, content });
        }),
        ("JOIN CHAT", |world| {
            let (group, status) = (text("CHAT"), 99);
            world.speak(ANN, Command::Join { group, status });
        }),
        ("JOIN NEWS", |world| {
            let (group, status) = (text("NEWS"), 3);
            world.speak(ANN, Command::Join { group, status });
        }),
        ("LEAVE CHAT", |world| {
            let (group, status) = (text("CHAT"), 3);
            world.speak(ANN, Command::Leave { group, status });
        }),
        ("LEAVE NEWS", |world| {
            let (group, status) = (text("NEWS"), 3);
            world.speak(ANN, Command::Leave { group, status });
        }),
        ("PING", |world| world.speak(ANN, Command::Ping)),
        ("PING-OK", answer),
        ("GOODBYE", |world| world.speak(ANN, Command::Goodbye)),
        ("GOODBYE, and its link closes", |world| {
            world.speak(ANN, Command::Goodbye);
            hang_up(world);
        }),
        ("ELECT", |world| {
            let (group, challenger_id) = (text("OURS"), text("me"));
            let elect = Command::Elect {
                group,
                challenger_id,
            };
            world.speak(ANN, elect);
        }),
        ("an unknown command", |world| {
            let unknown = UnknownCommand::new(99).unwrap();
            world.speak(ANN, Command::Unknown(unknown));
        }),
        ("a gap", |world| {
            world.puppets[ANN].next += 1;
            whisper(world);
        }),
        ("the same sequence once more", |world| {
            world.puppets[ANN].next -= 1;
            whisper(world);
        }),
        ("a malformed message", |world| {
            let link = world.puppets[ANN].link.or_else(|| world.dial_in(ANN));
            if let Some(link) = link {
                let next = world.puppets[ANN].next;
                world.arrive(link, malformed(next));
            }
        }),
        ("no ZRE", |world| {
            let link = world.puppets[ANN].link.or_else(|| world.dial_in(ANN));
            if let Some(link) = link {
                world.arrive(link, nonsense());
            }
        }),
        ("another link that says nothing", |world| {
            let before = world.puppets[ANN].link;
            world.dial_in(ANN);
            world.puppets[ANN].link = before;
        }),
        ("WHISPER with the next sequence, on another link", |world| {
            world.puppets[ANN].link = None;
            whisper(world);
        }),
        (
            "WHISPER with the next sequence, after its own closed",
            |world| {
                hang_up(world);
                whisper(world);
            },
        ),
        ("WHISPER with a wrong sequence, on another link", |world| {
            world.puppets[ANN].link = None;
            world.puppets[ANN].next += 1;
            whisper(world);
        }),
        (
            "WHISPER with a wrong sequence, after its own closed",
            |world| {
                hang_up(world);
                world.puppets[ANN].next += 1;
                whisper(world);
            },
        ),
        (
            "the next sequence from another machine, after its link closed",
            |world| {
                hang_up(world);
                let (id, from) = (world.puppets[ANN].id, world.puppets[EVE].address);
                if let Some(link) = world.dial_in_as(EVE, from, Some(id)) {
                    let next = world.puppets[ANN].next;
                    world.say(link, next, Command::Ping);
                }
            },
        ),
        ("its link breaks the rules of ZMTP", |world| {
            if let Some(link) = world.puppets[ANN].link {
                world.garble(link);
            }
        }),
        ("its link closes", hang_up),
        ("our link is cut", cut),
        ("our link is cut, and its machine refuses", |world| {
            world.puppets[ANN].door = Door::Shut;
            cut(world);
        }),
        ("both links are cut", |world| {
            hang_up(world);
            cut(world);
        }),
        ("both are cut, and its machine refuses", |world| {
            world.puppets[ANN].door = Door::Shut;
            hang_up(world);
            cut(world);
        }),
        ("it reads what we said", |world| {
            world.puppets[ANN].stalled = false;
            if let Some(link) = world.link_to(ANN) {
                world.node.handle_sent(world.now, link, 100, 0, 0);
            }
            world.settle();
        }),
        ("our dial is answered", |world| {
            world.answer(ANN, true);
        }),
        ("our dial is refused", |world| {
            world.puppets[ANN].door = Door::Shut;
            world.answer(ANN, false);
        }),
        ("40 s pass", |world| world.pass(Duration::from_secs(40))),
        ("the application takes its events", |world| {
            world.reading = true;
            world.settle();
        }),
        ("we whisper to it", |world| {
            let id = world.puppets[ANN].id;
            let sent = world.node.whisper(world.now, id, &Frames::from("to you"));
            world
                .log
                .push((world.now, format!("whisper says {sent:?}")));
            world.settle();
        }),
        ("we shout to CHAT", |world| {
            let sent = world
                .node
                .shout(world.now, &text("CHAT"), &Frames::from("to all"));
            let sent = sent.map(|shouted| shouted.reached);
            world.log.push((world.now, format!("shout says {sent:?}")));
            world.settle();
        }),
        ("we join NEWS", |world| {
            world.node.join(world.now, &text("NEWS"));
            world.settle();
        }),
        ("we leave OURS", |world| {
            world.node.leave(world.now, &text("OURS"));
            world.settle();
        }),
        ("we connect to it", |world| {
            let endpoint = format!("tcp://{}", world.puppets[ANN].address);
            // One that is stopping does not, and says so.
            let _ = world.node.connect(world.now, &endpoint.parse().unwrap());
            world.settle();
        }),
        ("we stop", |world| {
            world.node.stop(world.now);
            world.settle();
        }),
    ]
}

/// Lines of the log, with the time since `start`; the same several times in a row only once.
fn told(log: &[(Instant, String)], start: Instant) -> String {
    // Sequences of PINGs that are alike but for the number are alike.
    let alike = |line: &str| match line.strip_suffix(" PING") {
        Some(_) => "PING".to_string(),
        None => line.to_string(),
    };
    let mut lines: Vec<(Duration, &str, usize)> = Vec::new();
    for (at, line) in log {
        match lines.last_mut() {
            Some((_, last, times)) if alike(last) == alike(line) && *at > start => *times += 1,
            _ => lines.push((*at - start, line, 1)),
        }
    }
    let lines: Vec<_> = lines
        .into_iter()
        .map(|(after, line, times)| {
            let time = match after.as_millis() {
                0 => String::new(),
                millis => format!("+{millis} ms "),
            };
            let times = match times {
                1 => String::new(),
                times => format!(" and so on, {times} times"),
            };
            format!("{time}{line}{times}")
        })
        .collect();
    lines.join("; ")
}

/// What the node holds of ann: presence, groups, and which links there are.
fn state(world: &World) -> String {
    let id = world.puppets[ANN].id;
    let mut words = Vec::new();
    match world.node.peer(id) {
        Some(view) => {
            let groups: Vec<_> = view.groups.iter().map(ToString::to_string).collect();
            words.push(format!(
                "{} in {}",
                view.presence.as_str(),
                groups.join(" ")
            ));
        }
        None => words.push("not here".into()),
    }
    let others = world.node.peers().filter(|view| view.peer.id != id).count();
    if others > 0 {
        words.push(format!("{others} other here"));
    }
    let ours = usize::from(world.link_to(ANN).is_some());
    let links = world.links().len();
    words.push(format!("{} links, {ours} to it", links));
    words.join(", ")
}

fn outcome(mut world: World, event: Option<Happens>) -> String {
    let start = world.now;
    world.log.clear();
    if let Some(event) = event {
        event(&mut world);
    }
    let now = told(&world.log, start);
    let after = state(&world);
    world.log.clear();
    let quiet = world.now;
    world.pass(LATER);
    let later = told(&world.log, quiet);
    let finally = state(&world);
    let mut all = match now.as_str() {
        "" => format!("[{after}]"),
        now => format!("{now} [{after}]"),
    };
    if !later.is_empty() || finally != after {
        all.push_str(&format!("\n  later: {later} [{finally}]"));
    }
    all
}

#[test]
fn a_peer_in_each_state_at_each_event() {
    let mut table = String::from(
        "What a node does about a peer, ann, in each state at each event; and what it does in the 3 s after that, in which\n\
         nobody says a word. Ann answers no PING unless it says so.\n",
    );
    for (name, state) in states() {
        table.push_str(&format!("\n== {name}\n\n"));
        let mut outcomes = vec![("(nothing happens)", outcome(state(), None))];
        for (name, event) in events() {
            outcomes.push((name, outcome(state(), Some(event))));
        }
        table.push_str(&grouped(&outcomes));
    }
    expect_file!["../snapshots/peer.txt"].assert_eq(&table);
}
