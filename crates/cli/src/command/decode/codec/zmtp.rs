//! What ZMTP itself says: greetings and commands.

use atonce::wire::Malformed;
use atonce::wire::zmtp::{Command, Greeting, MechanismName, Metadata, PlainCommand, curve};

use super::super::told::{Field, Told};

/// How it is called.
pub(in super::super) const PROTOCOL: &str = "ZMTP";

/// What sealed frames begin with.
pub(in super::super) const SEALED: &[u8] = b"\x07MESSAGE";

/// What a greeting says.
pub(in super::super) fn greeting(greeting: &Greeting) -> Told {
    let fields = vec![
        ("version", Field::word(greeting.version)),
        ("mechanism", Field::word(greeting.mechanism)),
        ("as_server", Field::Flag(greeting.as_server)),
    ];
    Told::new(PROTOCOL, "greeting", fields)
}

/// Names and values, as pairs: a name may stand twice.
pub(in super::super) fn properties(metadata: &Metadata) -> Field {
    let pairs = metadata.iter();
    Field::List(
        pairs
            .map(|(name, value)| Field::List(vec![Field::octets_of(name), Field::octets_of(value)]))
            .collect(),
    )
}

/// What the body of a command says. `mechanism`: that of the greeting, if it is known.
pub(in super::super) fn command(
    mechanism: Option<MechanismName>,
    body: &[u8],
) -> Result<Told, Malformed> {
    let (name, data) = Command::split(body)?;
    let curve = match mechanism {
        Some(mechanism) => mechanism == MechanismName::CURVE,
        // Only those of CURVE are so long.
        None => matches!(name, b"HELLO" | b"WELCOME" | b"INITIATE") && data.len() > 150,
    };
    match name {
        b"HELLO" | b"WELCOME" | b"INITIATE" | b"READY" if curve => of_curve(name, body),
        b"MESSAGE" if mechanism.is_none_or(|mechanism| mechanism == MechanismName::CURVE) => {
            sealed(body)
        }
        b"HELLO" | b"WELCOME" | b"INITIATE"
            if mechanism.is_none_or(|mechanism| mechanism == MechanismName::PLAIN) =>
        {
            Ok(of_plain(&PlainCommand::decode(body)?))
        }
        _ => Ok(of_any(&Command::decode(body)?)),
    }
}

fn of_any(command: &Command) -> Told {
    let fields = match command {
        Command::Ready(metadata) => vec![("properties", properties(metadata))],
        Command::Error(reason) => vec![("reason", Field::text(reason))],
        Command::Ping(ping) => vec![
            ("ttl", Field::number(ping.ttl)),
            ("context", Field::octets_of(ping.context.as_bytes())),
        ],
        Command::Pong(context) => vec![("context", Field::octets_of(context.as_bytes()))],
        Command::Subscribe(prefix) | Command::Cancel(prefix) => {
            vec![("prefix", Field::octets_of(prefix))]
        }
        Command::Other(other) => vec![("data", Field::octets_of(other.data()))],
        _ => Vec::new(),
    };
    let mut told = Told::new(PROTOCOL, "", fields);
    told.message = Field::octets_of(command.name());
    told
}

fn of_plain(command: &PlainCommand) -> Told {
    match command {
        PlainCommand::Hello { username, .. } => {
            Told::new("PLAIN", "HELLO", vec![("username", Field::text(username))])
                .with_remark("with a password")
        }
        PlainCommand::Initiate(metadata) => Told::new(
            "PLAIN",
            "INITIATE",
            vec![("properties", properties(metadata))],
        ),
        _ => Told::new("PLAIN", "WELCOME", Vec::new()),
    }
}

fn of_curve(name: &[u8], body: &[u8]) -> Result<Told, Malformed> {
    let told = |name, fields| Told::new("CURVE", name, fields);
    Ok(match name {
        b"HELLO" => {
            let hello = curve::Hello::decode(body)?;
            let fields = vec![
                ("key", Field::key(&hello.client)),
                ("nonce", Field::number(hello.nonce)),
                ("sealed", octets(&hello.sealed)),
            ];
            told("HELLO", fields)
        }
        b"WELCOME" => {
            let welcome = curve::Welcome::decode(body)?;
            told("WELCOME", vec![("sealed", octets(&welcome.sealed))])
        }
        b"INITIATE" => {
            let initiate = curve::Initiate::decode(body)?;
            let fields = vec![
                ("nonce", Field::number(initiate.nonce)),
                ("sealed", octets(initiate.sealed)),
            ];
            told("INITIATE", fields)
        }
        _ => {
            let ready = curve::Ready::decode(body)?;
            let fields = vec![
                ("nonce", Field::number(ready.nonce)),
                ("sealed", octets(ready.sealed)),
            ];
            told("READY", fields)
        }
    })
}

/// What can be said about a frame that is encrypted.
pub(in super::super) fn sealed(body: &[u8]) -> Result<Told, Malformed> {
    let frame = curve::SealedFrame::decode(body)?;
    let inside = frame
        .sealed
        .len()
        .saturating_sub(curve::SealedFrame::LEAST_SEALED);
    let fields = vec![
        ("nonce", Field::number(frame.nonce)),
        ("octets", octets_number(inside)),
    ];
    Ok(Told::new("CURVE", "MESSAGE", fields).with_remark("encrypted"))
}

/// How many octets are sealed.
fn octets(sealed: &[u8]) -> Field {
    octets_number(sealed.len())
}

fn octets_number(octets: usize) -> Field {
    Field::number(u64::try_from(octets).unwrap_or(u64::MAX))
}
