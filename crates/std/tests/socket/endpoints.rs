//! Where sockets are bound and connected.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;

use atonce_std::Socket;
use atonce_std::socket::{Cut, Event, Kind, SocketError, Why};

use crate::helpers::{ANY, LONG, SHORT, builder, open, recv, text, wait_for_peers, wait_until};
use crate::loopback::free_endpoint;

/// Whether something comes from one that is connected to the other.
fn reaches(endpoint: &str, pull: &Socket) {
    let push = builder(Kind::Push).connect(endpoint).open().unwrap();
    push.send("here").unwrap();
    assert_eq!(text(&recv(pull)), "here", "{endpoint}");
}

#[test]
fn the_port_that_the_system_chose_is_told() {
    let pull = open(Kind::Pull);
    let endpoints = [ANY, "tcp://127.0.0.1:*"].map(|any| pull.bind(any).unwrap());
    assert_ne!(endpoints[0], endpoints[1]);
    assert_eq!(pull.endpoints(), endpoints);
    for endpoint in &endpoints {
        reaches(endpoint, &pull);
    }
    // As it was asked for, and as it is.
    pull.unbind(ANY).unwrap();
    assert_eq!(pull.endpoints(), endpoints[1..]);
    pull.unbind(&endpoints[1]).unwrap();
    assert!(pull.endpoints().is_empty());
    let error = pull.unbind(&endpoints[1]).unwrap_err();
    assert!(matches!(error, SocketError::Unknown { .. }), "{error}");
}

#[test]
fn who_is_bound_everywhere_is_reached_over_both_versions_of_ip() {
    let pull = open(Kind::Pull);
    let endpoint = pull.bind("tcp://*:0").unwrap();
    let port = endpoint.strip_prefix("tcp://*:").unwrap();
    reaches(&format!("tcp://127.0.0.1:{port}"), &pull);
    let has_ipv6 = TcpListener::bind("[::1]:0").is_ok();
    if has_ipv6 {
        reaches(&format!("tcp://[::1]:{port}"), &pull);
    }
    // An address of IPv4 is told as such.
    let _push = builder(Kind::Push)
        .connect(format!("tcp://127.0.0.1:{port}"))
        .open()
        .unwrap();
    wait_until("it does not come from an address of IPv4", || {
        let peers = pull.peers();
        let mut remotes = peers.iter().map(|peer| peer.remote.to_string());
        remotes.any(|remote| remote.starts_with("tcp://127.0.0.1:"))
    });
}

#[test]
fn an_interface_is_bound_by_its_name() {
    let pull = open(Kind::Pull);
    let endpoint = pull.bind("tcp://lo:0").unwrap();
    assert!(endpoint.starts_with("tcp://127.0.0.1:"), "{endpoint}");
    reaches(&endpoint, &pull);
    let error = pull.bind("tcp://nowhere7:0").unwrap_err();
    assert!(matches!(error, SocketError::Interface { .. }), "{error}");
    assert!(error.to_string().contains("lo (127.0.0.1"), "{error}");
}

#[test]
fn a_host_is_connected_by_its_name() {
    // It may have two addresses, of which only one answers.
    let pull = open(Kind::Pull);
    let port = pull.bind(ANY).unwrap();
    let port = port.rsplit_once(':').unwrap().1;
    reaches(&format!("tcp://localhost:{port}"), &pull);
    let push = builder(Kind::Push)
        .connect("tcp://there-is-no-such-host.invalid:5555")
        .open()
        .unwrap();
    let mut events = push.monitor();
    let ended = events.find_map(|event| match event {
        Event::Disconnected { why, .. } => Some(why),
        _ => None,
    });
    assert_eq!(ended, Some(Why::Cut(Cut::Unreachable)));
}

#[test]
fn what_cannot_be_bound_is_told_with_a_way_out() {
    let pull = open(Kind::Pull);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("tcp://{}", taken.local_addr().unwrap());
    let _holder = {
        let holder = open(Kind::Pull);
        holder.bind(&taken).unwrap_or_else(|_| taken.clone());
        holder
    };
    for (endpoint, words) in [
        ("tcp://203.0.113.7:0", "has no such address"),
        ("nonsense", "is not an endpoint"),
        ("tcp://127.0.0.1", "found no port"),
        ("udp://127.0.0.1:5555", "expected tcp://"),
        ("ipc://", "is not an endpoint"),
        (
            "ipc:///there/is/no/such/folder",
            "the folder has to be there",
        ),
    ] {
        let error = pull.bind(endpoint).unwrap_err().to_string();
        assert!(error.contains(words), "{endpoint}: {error}");
    }
    assert!(pull.endpoints().is_empty());
    // Nor is a socket made of it.
    let error = builder(Kind::Pull)
        .bind("tcp://203.0.113.7:0")
        .open()
        .unwrap_err();
    assert!(matches!(error, SocketError::Listen { .. }), "{error}");
}

#[test]
fn a_port_that_is_taken_is_told() {
    let (one, other) = (open(Kind::Pull), open(Kind::Pull));
    let endpoint = free_endpoint();
    one.bind(&endpoint).unwrap();
    let error = other.bind(&endpoint).unwrap_err();
    assert!(matches!(error, SocketError::Listen { .. }), "{error}");
    assert!(error.to_string().contains("choose another port"), "{error}");
    one.unbind(&endpoint).unwrap();
    other.bind(&endpoint).unwrap();
    reaches(&endpoint, &other);
}

#[test]
fn what_is_no_place_is_not_connected() {
    let push = open(Kind::Push);
    for endpoint in ["tcp://*:5555", "tcp://127.0.0.1:0"] {
        let error = push.connect(endpoint).unwrap_err();
        assert!(matches!(error, SocketError::Connect { .. }), "{error}");
    }
    let error = push.disconnect("tcp://127.0.0.1:5555").unwrap_err();
    assert!(matches!(error, SocketError::Unknown { .. }), "{error}");
}

#[test]
fn what_is_disconnected_is_not_dialled_again() {
    let pull = open(Kind::Pull);
    let endpoint = pull.bind(ANY).unwrap();
    let push = builder(Kind::Push).connect(&endpoint).open().unwrap();
    wait_for_peers(&pull, 1);
    push.send("last").unwrap();
    push.disconnect(&endpoint).unwrap();
    assert_eq!(text(&recv(&pull)), "last");
    wait_for_peers(&pull, 0);
    std::thread::sleep(SHORT);
    assert_eq!(pull.peers(), []);
    assert_eq!(pull.counters().peers, 1);
}

#[test]
fn a_connection_is_made_anew_when_the_other_side_comes_back() {
    let endpoint = free_endpoint();
    let pull = open(Kind::Pull);
    pull.bind(&endpoint).unwrap();
    let push = builder(Kind::Push).connect(&endpoint).open().unwrap();
    push.send("before").unwrap();
    assert_eq!(text(&recv(&pull)), "before");
    pull.close();
    wait_for_peers(&push, 0);
    push.send("meanwhile").unwrap();
    let pull = open(Kind::Pull);
    pull.bind(&endpoint).unwrap();
    assert_eq!(text(&recv(&pull)), "meanwhile");
}

#[test]
fn a_file_is_bound_and_goes_with_the_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("feed");
    let endpoint = format!("ipc://{}", path.display());
    let pull = open(Kind::Pull);
    assert_eq!(pull.bind(&endpoint).unwrap(), endpoint);
    reaches(&endpoint, &pull);
    assert!(path.exists());
    pull.unbind(&endpoint).unwrap();
    assert!(!path.exists());
    pull.bind(&endpoint).unwrap();
    reaches(&endpoint, &pull);
    pull.close();
    assert!(!path.exists());
}

#[test]
fn a_file_at_which_nobody_listens_is_replaced_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("feed");
    let endpoint = format!("ipc://{}", path.display());
    let pull = open(Kind::Pull);

    // As a process leaves it that is killed.
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    pull.bind(&endpoint).unwrap();
    reaches(&endpoint, &pull);

    let second = open(Kind::Pull);
    let error = second.bind(&endpoint).unwrap_err();
    assert!(
        error.to_string().contains("somebody listens there"),
        "{error}"
    );
    reaches(&endpoint, &pull);

    // Somebody else's, of the same name, stays.
    fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    pull.close();
    assert!(path.exists());
    drop(other);
    fs::remove_file(&path).unwrap();

    fs::write(&path, "precious").unwrap();
    let error = second.bind(&endpoint).unwrap_err();
    assert!(error.to_string().contains("which is no socket"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}

#[test]
fn who_is_connected_to_a_file_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = format!("ipc://{}", folder.path().join("feed").display());
    let push = builder(Kind::Push).connect(&endpoint).open().unwrap();
    push.send("early").unwrap();
    std::thread::sleep(SHORT);
    let pull = open(Kind::Pull);
    pull.bind(&endpoint).unwrap();
    assert_eq!(text(&recv(&pull)), "early");
    // Large ones, and both ways.
    let (one, other) = (open(Kind::Pair), open(Kind::Pair));
    let endpoint = format!("ipc://{}", folder.path().join("pair").display());
    one.bind(&endpoint).unwrap();
    other.connect(&endpoint).unwrap();
    let large = vec![7; 16 << 20];
    other.send(large.clone()).unwrap();
    assert!(recv(&one)[0] == large);
    one.send(large.clone()).unwrap();
    assert!(recv(&other)[0] == large);
}

#[test]
#[cfg(target_os = "linux")]
fn an_abstract_name_needs_no_file() {
    let endpoint = format!("ipc://@atonce-test-{}", std::process::id());
    let pull = open(Kind::Pull);
    pull.bind(&endpoint).unwrap();
    reaches(&endpoint, &pull);
    let error = open(Kind::Pull).bind(&endpoint).unwrap_err();
    assert!(
        error.to_string().contains("somebody listens there"),
        "{error}"
    );
    pull.close();
    open(Kind::Pull).bind(&endpoint).unwrap();
}

#[test]
fn who_comes_and_goes_is_told_to_a_monitor() {
    let pull = open(Kind::Pull);
    let mut monitor = pull.monitor();
    assert_eq!(monitor.try_next(), None);
    let waiting = {
        let mut monitor = pull.monitor();
        std::thread::spawn(move || monitor.next_timeout(LONG))
    };
    std::thread::sleep(SHORT);
    let endpoint = pull.bind(ANY).unwrap();
    let told = waiting.join().unwrap();
    let Some(Event::Listening { endpoint: at, .. }) = told else {
        panic!("{told:?}");
    };
    assert_eq!(at.to_string(), endpoint);

    let push = builder(Kind::Push).connect(&endpoint).open().unwrap();
    let accepted = monitor.next_timeout(LONG);
    assert!(
        matches!(accepted, Some(Event::Accepted { .. })),
        "{accepted:?}"
    );
    let ready = monitor.next_timeout(LONG);
    assert!(matches!(ready, Some(Event::Ready { .. })), "{ready:?}");
    push.close();
    let gone = monitor.next_timeout(LONG);
    assert!(
        matches!(
            gone,
            Some(Event::Disconnected {
                why: Why::Cut(Cut::Closed),
                ..
            })
        ),
        "{gone:?}"
    );
    assert_eq!(monitor.next_timeout(SHORT), None);
    drop(pull);
    assert!(matches!(monitor.last(), Some(Event::Closed { lost: 0 })));
}

#[test]
fn strangers_who_say_nothing_of_use_are_told_and_do_no_harm() {
    use std::io::Write;
    let pull = open(Kind::Pull);
    let endpoint = pull.bind(ANY).unwrap();
    let address: SocketAddr = endpoint.strip_prefix("tcp://").unwrap().parse().unwrap();
    let mut stranger = std::net::TcpStream::connect(address).unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    wait_until("it is not refused", || pull.counters().failed == 1);
    reaches(&endpoint, &pull);
}
