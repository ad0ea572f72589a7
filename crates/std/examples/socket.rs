//! A socket that does what lines of JSON say, one after the other, for tests against other implementations.
//!
//! ```console
//! $ cargo run --example socket
//! {"do":"open","type":"PULL"}
//! {"event":"opened","type":"PULL"}
//! {"do":"bind","endpoint":"tcp://127.0.0.1:0"}
//! {"endpoint":"tcp://127.0.0.1:41317","event":"bound"}
//! ```
//!
//! The commands, and what a message of `pour` is made of, are those of `interop/peers/zmqsocket.py`, which does the same with a socket of
//! libzmq; `interop/check sockets` lets the two talk. What a monitor tells comes in between, as `monitor`.

use std::error::Error;
use std::io::{self, BufRead as _, Write as _};
use std::thread;
use std::time::Duration;

use atonce::curve::KeyPair;
use atonce_std::socket::{Backoff, Config, Event, Kind, QueueLimit, RecvError, SendError};
use atonce_std::{Bytes, Certificate, Frames, Socket, Trust};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// How long what takes as long as it takes may take in a test.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> Result<(), Box<dyn Error>> {
    let mut socket = None;
    for line in io::stdin().lock().lines() {
        let command = Command(serde_json::from_str(&line?)?);
        let name = command.text("do")?;
        if name == "stop" {
            return Ok(());
        }
        match obey(&name, &command, &mut socket) {
            Ok(answer) => say(&answer),
            Err(error) => say(&match error.downcast::<Refused>() {
                Ok(refused) => {
                    json!({"event": "refused", "why": refused.why, "text": refused.text})
                }
                Err(error) => json!({"event": "error", "message": error.to_string()}),
            }),
        }
    }
    Ok(())
}

/// One line at once, whoever says it.
fn say(event: &Value) {
    let mut out = io::stdout().lock();
    // Whoever started it may be gone, and then the input ends as well.
    let _ = writeln!(out, "{event}").and_then(|()| out.flush());
}

/// A command is an object; what it lacks is told.
struct Command(Map<String, Value>);

type Result2<T = Value> = Result<T, Box<dyn Error>>;

impl Command {
    fn get(&self, name: &str) -> Result2<&Value> {
        self.0
            .get(name)
            .ok_or_else(|| format!("{name} is missing").into())
    }

    fn text(&self, name: &str) -> Result2<String> {
        let text = self.get(name)?.as_str();
        Ok(text.ok_or_else(|| format!("{name} is a text"))?.to_owned())
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name)?.as_u64()
    }

    fn size(&self, name: &str) -> Result2<usize> {
        let number = self.get(name)?.as_u64();
        Ok(usize::try_from(
            number.ok_or_else(|| format!("{name} is a number"))?,
        )?)
    }

    fn within(&self, name: &str) -> Option<Duration> {
        self.number(name).map(Duration::from_millis)
    }

    fn is(&self, name: &str) -> bool {
        self.0
            .get(name)
            .and_then(Value::as_bool)
            .unwrap_or_default()
    }

    fn frames(&self, name: &str) -> Result2<Frames> {
        let Some(frames) = self.0.get(name) else {
            return Ok(Frames::new());
        };
        let frames = frames
            .as_array()
            .ok_or_else(|| format!("{name} is a list of frames"))?;
        frames.iter().map(frame).collect()
    }
}

fn frame(value: &Value) -> Result2<Bytes> {
    if let Some(text) = value.as_str() {
        return Ok(text.to_owned().into());
    }
    let text = value.get("base64").and_then(Value::as_str);
    let text = text.ok_or(r#"a frame is a text or {"base64":"…"}"#)?;
    Ok(STANDARD.decode(text)?.into())
}

fn told(message: &Frames) -> Value {
    let frame = |frame: &Bytes| match str::from_utf8(frame) {
        Ok(text) => Value::from(text),
        Err(_) => json!({"base64": STANDARD.encode(frame)}),
    };
    message.iter().map(frame).collect()
}

/// The socket does not do it, and says why.
#[derive(Debug)]
struct Refused {
    /// The name of the variant.
    why: String,
    text: String,
}

impl Refused {
    fn new(error: &impl Error) -> Self {
        let name = format!("{error:?}");
        let end = name.find(|it: char| !it.is_alphanumeric());
        Self {
            why: name
                .get(..end.unwrap_or(name.len()))
                .unwrap_or_default()
                .to_owned(),
            text: error.to_string(),
        }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Refused {}

fn obey(name: &str, command: &Command, socket: &mut Option<Socket>) -> Result2 {
    if name == "open" {
        let opened = open(command)?;
        let monitor = opened.monitor();
        thread::spawn(move || monitor.for_each(|event| say(&monitored(&event))));
        *socket = Some(opened);
        return Ok(json!({"event": "opened", "type": command.text("type")?}));
    }
    let it = socket.as_ref().ok_or("there is no socket")?;
    Ok(match name {
        "bind" => json!({"event": "bound", "endpoint": it.bind(command.text("endpoint")?)?}),
        "unbind" => {
            it.unbind(command.text("endpoint")?)?;
            json!({"event": "unbound"})
        }
        "connect" => {
            it.connect(command.text("endpoint")?)?;
            json!({"event": "connecting"})
        }
        "disconnect" => {
            it.disconnect(command.text("endpoint")?)?;
            json!({"event": "disconnecting"})
        }
        "subscribe" => {
            it.subscribe(frame(command.get("prefix")?)?)?;
            json!({"event": "subscribed"})
        }
        "unsubscribe" => {
            it.unsubscribe(frame(command.get("prefix")?)?)?;
            json!({"event": "unsubscribed"})
        }
        "send" => {
            let within = command.within("within").unwrap_or(Duration::from_secs(5));
            give(it, command.frames("content")?, within)?;
            json!({"event": "sent"})
        }
        "recv" => {
            let within = command.within("within").unwrap_or(Duration::from_secs(5));
            match take(it, within)? {
                Some(message) => json!({"event": "message", "content": told(&message)}),
                None => json!({"event": "nothing"}),
            }
        }
        "pour" => {
            let (count, made) = (command.size("count")?, Made::new(command)?);
            for number in 0..count {
                give(it, made.message(number), PATIENCE)?;
            }
            json!({"event": "poured", "messages": count})
        }
        "drain" => {
            let (count, made) = (command.size("count")?, Made::new(command)?);
            let mut came = Came::default();
            for number in 0..count {
                came.compare(needed(it)?, &made, number);
            }
            came.told("drained")
        }
        "serve" => {
            let count = command.size("count")?;
            for _ in 0..count {
                give(it, needed(it)?, PATIENCE)?;
            }
            json!({"event": "served", "messages": count})
        }
        "ask" => {
            let (count, made) = (command.size("count")?, Made::new(command)?);
            let mut came = Came::default();
            for number in 0..count {
                give(it, made.message(number), PATIENCE)?;
                came.compare(needed(it)?, &made, number);
            }
            came.told("asked")
        }
        "reset" => {
            it.reset();
            json!({"event": "reset"})
        }
        "counters" => json!({"event": "counters", "text": format!("{:?}", it.counters())}),
        "close" => {
            it.close();
            *socket = None;
            json!({"event": "closed"})
        }
        other => return Err(format!("unknown command {other}").into()),
    })
}

fn open(command: &Command) -> Result2<Socket> {
    let kind: Kind = command.text("type")?.parse()?;
    let mut config = Config {
        immediate: command.is("immediate"),
        handover: command.is("handover"),
        no_drop: command.is("no_drop"),
        correlate: command.is("correlate"),
        verbose: command.is("verbose"),
        ..Config::default()
    };
    if let Some(linger) = command.within("linger") {
        config.linger = linger;
    }
    if let Some(first) = command.within("reconnect") {
        config.reconnect = Backoff {
            first,
            longest: 20 * first,
            ..Backoff::default()
        };
    }
    let limit = |limit: &mut QueueLimit, which: &str| {
        for (name, value) in [
            ("messages", &mut limit.messages),
            ("octets", &mut limit.octets),
        ] {
            if let Some(given) = command.number(&format!("{which}_{name}")) {
                *value = usize::try_from(given).unwrap_or(usize::MAX);
            }
        }
    };
    limit(&mut config.send, "send");
    limit(&mut config.receive, "receive");
    for (name, value) in [
        ("links", &mut config.links),
        ("unready_links", &mut config.unready_links),
    ] {
        if let Some(given) = command.number(name) {
            *value = usize::try_from(given)?;
        }
    }
    let mut builder = Socket::builder(kind).config(config);
    if let Some(heartbeat) = command.within("heartbeat") {
        builder = builder.heartbeat(heartbeat);
    }
    if command.0.contains_key("identity") {
        builder = builder.identity(command.text("identity")?);
    }
    if let Some(curve) = command.0.get("curve") {
        let text = |name: &str| curve.get(name).and_then(Value::as_str);
        let secret = text("secret").ok_or("a curve has a secret")?;
        let own = Certificate::new(KeyPair::from_secret(secret.parse()?));
        builder = if let Some(server) = text("server") {
            builder.curve_client(own, server.parse()?)
        } else {
            let allowed = curve
                .get("allow")
                .and_then(Value::as_array)
                .ok_or("a server allows some")?;
            let allowed = allowed.iter().filter_map(Value::as_str).map(str::parse);
            builder.curve_server(own, Trust::keys(allowed.collect::<Result<Vec<_>, _>>()?))
        };
    }
    Ok(builder.open()?)
}

/// What a monitor told: the name of it and all of it.
fn monitored(event: &Event) -> Value {
    let text = format!("{event:?}");
    let end = text.find(|it: char| !it.is_alphanumeric());
    json!({"event": "monitor", "what": text.get(..end.unwrap_or(text.len())), "text": text})
}

fn give(socket: &Socket, message: Frames, within: Duration) -> Result2<()> {
    socket
        .send_timeout(message, within)
        .map_err(|error: SendError| Refused::new(&error).into())
}

fn take(socket: &Socket, within: Duration) -> Result2<Option<Frames>> {
    socket
        .recv_timeout(within)
        .map_err(|error: RecvError| Refused::new(&error).into())
}

fn needed(socket: &Socket) -> Result2<Frames> {
    take(socket, PATIENCE)?.ok_or_else(|| "nothing comes".into())
}

/// Messages that both sides can make.
struct Made {
    head: Frames,
    skip: usize,
    size: usize,
    frames: usize,
}

impl Made {
    fn new(command: &Command) -> Result2<Self> {
        let or = |name, otherwise| command.size(name).unwrap_or(otherwise);
        Ok(Self {
            head: command.frames("head")?,
            skip: or("skip", 0),
            size: command.size("size")?,
            frames: or("frames", 1).max(1),
        })
    }

    /// The frames of this number, without what comes before them.
    fn content(&self, number: usize) -> Frames {
        let number = number as u64;
        let [start, ..] = number.wrapping_mul(31).to_le_bytes();
        let ramp: Vec<u8> = (0..=255).map(|index| start.wrapping_add(index)).collect();
        let mut octets: Vec<u8> = ramp.into_iter().cycle().take(self.size).collect();
        let head = number.to_be_bytes();
        octets
            .iter_mut()
            .zip(head)
            .for_each(|(octet, head)| *octet = head);
        let mut rest = Bytes::from(octets);
        let share = self.size / self.frames;
        let mut frames = Frames::new();
        for _ in 1..self.frames {
            frames.push(rest.split_to(share));
        }
        frames.push(rest);
        frames
    }

    fn message(&self, number: usize) -> Frames {
        self.head
            .iter()
            .cloned()
            .chain(self.content(number))
            .collect()
    }
}

/// What came, compared with what was to come.
#[derive(Default)]
struct Came {
    messages: usize,
    octets: usize,
    wrong: usize,
}

impl Came {
    fn compare(&mut self, message: Frames, made: &Made, number: usize) {
        let content: Frames = message.into_iter().skip(made.skip).collect();
        self.messages += 1;
        self.octets += content.octets();
        self.wrong += usize::from(content != made.content(number));
    }

    fn told(&self, event: &str) -> Value {
        json!({"event": event, "messages": self.messages, "octets": self.octets, "wrong": self.wrong})
    }
}
