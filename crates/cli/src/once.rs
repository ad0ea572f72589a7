//! What `server` and `bridge` have in common: who may take part, what is kept, and what is said.

pub(crate) mod lines;
mod state;

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use atonce::PeerId;
use atonce::endpoint::Endpoint;
use atonce::wire::Text;
use atonce::zre::Config;
use atonce_std::once::{Event, Secret, load_secret};
use atonce_std::{Certificate, Trust};
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::SIGUSR1;
use signal_hook::iterator::Signals;

use self::state::State;
use crate::failure::{self, Failure};
use crate::{security, value};

/// Where a secret may stand that is in no file.
const SECRET: &str = "ATONCE_SECRET";

/// What is shorter can be guessed, by whoever saw what was proved with it: 128 bits as hexadecimal digits have 32.
const GUESSABLE: usize = 16;

/// See the module.
#[derive(Clone, Debug, Args)]
pub(crate) struct CommonOptions {
    /// Public name [default: the first 6 digits of the UUID].
    #[arg(long, value_parser = value::text)]
    pub(crate) name: Option<Text>,

    /// Identity, 32 hexadecimal digits [default: one that belongs to the key; random without one].
    #[arg(long, value_name = "HEX32")]
    pub(crate) uuid: Option<PeerId>,

    /// Endpoint told to servers and bridges, for a port forwarding [default: what was bound].
    #[arg(long, value_name = "tcp://ADDRESS:PORT", value_parser = value::advertised)]
    pub(crate) advertise: Option<Endpoint>,

    /// Time between two beacons, in milliseconds [default: 1000].
    #[arg(long, value_name = "MS", value_parser = value::millis)]
    pub(crate) interval: Option<Duration>,

    /// How long a peer may be silent before it is asked with a PING, in milliseconds [default: 5000].
    #[arg(long, value_name = "MS", value_parser = value::millis)]
    pub(crate) evasive_timeout: Option<Duration>,

    /// How long a peer may be silent before it is gone, in milliseconds [default: 30000].
    #[arg(long, value_name = "MS", value_parser = value::millis)]
    pub(crate) expired_timeout: Option<Duration>,

    /// Say how it is doing after each so many seconds; SIGUSR1 asks at once.
    #[arg(long, value_name = "SECS", value_parser = value::seconds)]
    pub(crate) status: Option<Duration>,

    /// Write one JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    admission: Admission,
}

/// Who may take part. Nothing starts without an answer.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Who may take part (one of these is needed)")]
struct Admission {
    /// Whoever has the secret in this file, or that in the environment as ATONCE_SECRET. It never travels, and all is encrypted.
    #[arg(long, value_name = "FILE", conflicts_with = "open")]
    secret_file: Option<PathBuf>,

    /// Whoever `--trust` says, with this certificate as ours; FILE_secret is beside it, as `atonce keygen` makes them.
    #[arg(long, value_name = "FILE", value_parser = security::own_certificate)]
    cert: Option<Certificate>,

    /// Whose keys may take part: that of a certificate, those of a folder of certificates or of a trust file, or whom the ZAP
    /// handler at `zap:tcp://127.0.0.1:PORT` lets in. With a secret, both are asked for.
    #[arg(long, value_name = "FILE|DIR|zap:ENDPOINT", value_parser = security::trust, requires = "cert")]
    trust: Option<Trust>,

    /// Everybody who can reach it. Without a certificate nothing is encrypted.
    #[arg(long)]
    open: bool,

    /// Where the key is kept that a secret alone makes at the first start
    /// [default: $STATE_DIRECTORY, or $XDG_STATE_HOME/atonce/COMMAND, or ~/.local/state/atonce/COMMAND].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// What the options say about who may take part.
pub(crate) struct Admitted {
    /// Whoever has it.
    pub(crate) secret: Option<Secret>,
    /// The keys, and whose keys may come in.
    pub(crate) security: Option<(Certificate, Trust)>,
    /// Everybody.
    pub(crate) open: bool,
    /// What is kept; nobody else can have it meanwhile.
    _state: Option<State>,
}

impl CommonOptions {
    /// Who may take part. `command` is which one this is.
    pub(crate) fn admitted(&self, command: &str) -> Result<Admitted, Failure> {
        self.check()?;
        let admission = &self.admission;
        let secret = admission.secret()?;
        if secret.is_some() && admission.open {
            return Err(Failure::Usage(format!(
                "--open lets everybody in, and {SECRET} is set, which lets in whoever has the secret: take one of them away"
            )));
        }
        let mut state = None;
        let security = match (&admission.cert, &admission.trust) {
            (Some(cert), Some(trust)) => Some((cert.clone(), trust.clone())),
            // Who comes proves that he has the secret, with his key; or nobody is asked anything.
            (Some(cert), None) if secret.is_some() || admission.open => {
                Some((cert.clone(), Trust::any()))
            }
            (Some(_), None) => {
                return Err(Failure::Usage(
                    "--cert says which key is ours; --trust has to say whose may take part, or --secret-file who".into(),
                ));
            }
            (None, _) if secret.is_some() => {
                let (opened, cert) = State::open(admission.state.as_deref(), command)?;
                state = Some(opened);
                Some((cert, Trust::any()))
            }
            (None, _) => None,
        };
        if security.is_none() && !admission.open {
            return Err(Failure::Usage(format!(
                "nothing says who may take part: give --secret-file FILE (`openssl rand -hex 32 > FILE; chmod 600 FILE` makes a \
                 secret) or {SECRET}, or --cert FILE and --trust FILE, or say --open"
            )));
        }
        Ok(Admitted {
            secret,
            security,
            open: admission.open,
            _state: state,
        })
    }

    /// What no single option can know.
    fn check(&self) -> Result<(), Failure> {
        let default = Config::default();
        let evasive = self.evasive_timeout.unwrap_or(default.evasive_timeout);
        let expired = self.expired_timeout.unwrap_or(default.expired_timeout);
        if expired <= evasive {
            return Err(Failure::Usage(format!(
                "--expired-timeout ({} ms) must be longer than --evasive-timeout ({} ms)",
                expired.as_millis(),
                evasive.as_millis()
            )));
        }
        Ok(())
    }
}

impl Admitted {
    /// The public key, when there is one.
    pub(crate) fn key(&self) -> Option<String> {
        let (certificate, _) = self.security.as_ref()?;
        Some(certificate.public_key().to_string())
    }
}

impl Admission {
    /// The secret, if there is one.
    fn secret(&self) -> Result<Option<Secret>, Failure> {
        if let Some(path) = &self.secret_file {
            let secret = load_secret(path)
                .map_err(|error| Failure::Usage(format!("--secret-file: {error}")))?;
            // The file has at least what the secret has.
            let octets = std::fs::metadata(path).map_or(u64::MAX, |metadata| metadata.len());
            note_short(octets, &path.display().to_string());
            return Ok(Some(secret));
        }
        let Some(given) = std::env::var_os(SECRET) else {
            return Ok(None);
        };
        let octets = given.into_encoded_bytes();
        note_short(u64::try_from(octets.len()).unwrap_or(u64::MAX), SECRET);
        let secret =
            Secret::new(octets).map_err(|error| Failure::Usage(format!("{SECRET}: {error}")))?;
        Ok(Some(secret))
    }
}

/// Says that a secret can be guessed.
fn note_short(octets: u64, place: &str) {
    if octets < u64::try_from(GUESSABLE).unwrap_or_default() {
        failure::note(&format!(
            "the secret in {place} is short: who sees what is proved with it can guess it; `openssl rand -hex 32` makes a good one"
        ));
    }
}

/// What both builders are told alike.
macro_rules! tell {
    ($builder:ident, $options:ident, $admitted:ident) => {{
        let mut builder = $builder;
        if let Some(name) = &$options.name {
            builder = builder.name(name.to_string());
        }
        if let Some(uuid) = $options.uuid {
            builder = builder.uuid(uuid);
        }
        if let Some(endpoint) = &$options.advertise {
            builder = builder.advertise(endpoint.to_string());
        }
        if let Some(interval) = $options.interval {
            builder = builder.interval(interval);
        }
        if let Some(timeout) = $options.evasive_timeout {
            builder = builder.evasive_timeout(timeout);
        }
        if let Some(timeout) = $options.expired_timeout {
            builder = builder.expired_timeout(timeout);
        }
        if let Some(secret) = &$admitted.secret {
            builder = builder.secret(secret.clone());
        }
        if let Some((certificate, trust)) = &$admitted.security {
            builder = builder.curve(certificate.clone(), trust.clone());
        }
        if $admitted.open {
            builder = builder.open();
        }
        builder
    }};
}
pub(crate) use tell;

/// What comes to a command that runs until it is stopped.
pub(crate) enum Input<E> {
    /// Something happened.
    Event(Event<E>),
    /// It is time to say how it is doing.
    Status,
}

/// SIGUSR1, which asks how it is doing.
pub(crate) struct Asked(Signals);

impl Asked {
    /// Takes the signal from now on. Before this is called it ends the process, and so it is called before anybody can be told that
    /// the process is there.
    pub(crate) fn watch() -> Result<Self, Failure> {
        let signals = Signals::new([SIGUSR1]);
        let signals = signals
            .map_err(|error| Failure::failed(format!("signals cannot be caught: {error}")))?;
        Ok(Self(signals))
    }
}

/// All that comes: events until the last, and when a status is due.
pub(crate) struct Inputs<E> {
    inputs: Receiver<Input<E>>,
    every: Option<Duration>,
    due: Option<Instant>,
    /// The last event came.
    over: bool,
}

impl<E: Send + 'static> Inputs<E> {
    /// `next` waits for the next event. A status is due after each `every`, and when somebody asks.
    pub(crate) fn new(
        asked: Asked,
        every: Option<Duration>,
        mut next: impl FnMut() -> Option<Event<E>> + Send + 'static,
    ) -> Self {
        let (to_loop, inputs) = channel();
        let Asked(mut signals) = asked;
        let answers = to_loop.clone();
        thread::spawn(move || {
            for _ in signals.forever() {
                if answers.send(Input::Status).is_err() {
                    return;
                }
            }
        });
        thread::spawn(move || {
            while let Some(event) = next() {
                let last = matches!(event, Event::Stopped);
                if to_loop.send(Input::Event(event)).is_err() || last {
                    return;
                }
            }
        });
        Self {
            inputs,
            every,
            due: every.map(|every| Instant::now() + every),
            over: false,
        }
    }

    /// What comes next; `None` when nothing more will.
    pub(crate) fn next(&mut self) -> Option<Input<E>> {
        if self.over {
            return None;
        }
        let input = match self.due {
            None => self.inputs.recv().ok()?,
            Some(due) => {
                let left = due.saturating_duration_since(Instant::now());
                match self.inputs.recv_timeout(left) {
                    Ok(input) => input,
                    Err(RecvTimeoutError::Disconnected) => return None,
                    Err(RecvTimeoutError::Timeout) => {
                        self.due = self.every.map(|every| Instant::now() + every);
                        Input::Status
                    }
                }
            }
        };
        self.over = matches!(input, Input::Event(Event::Stopped));
        Some(input)
    }
}

/// Lets this process have as many descriptors as it may: a bridge takes some for each peer of other LANs.
pub(crate) fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit of descriptors stays as it is");
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    /// A command with these options.
    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        common: CommonOptions,
    }

    fn admitted(args: &[&str]) -> Result<Admitted, String> {
        let command = Command::try_parse_from([&["x"], args].concat());
        let command = command.map_err(|error| error.to_string())?;
        let admitted = command.common.admitted("test");
        admitted.map_err(|failure| format!("{failure:?}"))
    }

    /// Files with a certificate, a secret, and keys of others.
    struct Files(tempfile::TempDir);

    impl Files {
        fn new() -> Self {
            let files = Self(tempfile::tempdir().unwrap());
            Certificate::generate()
                .unwrap()
                .save(files.path("own"))
                .unwrap();
            let other = Certificate::generate().unwrap();
            other.save_public(files.path("other")).unwrap();
            std::fs::write(files.path("secret"), "0123456789abcdef0123456789abcdef\n").unwrap();
            let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(files.path("secret"), private).unwrap();
            files
        }

        fn path(&self, name: &str) -> String {
            self.0.path().join(name).display().to_string()
        }
    }

    #[test]
    fn nothing_runs_before_it_is_said_who_may_take_part() {
        let files = Files::new();
        let (own, other) = (files.path("own"), files.path("other"));
        for (args, told) in [
            (&[][..], "--secret-file"),
            (&["--cert", &own], "--trust has to say"),
            (&["--trust", &other], "--cert"),
            (
                &["--open", "--secret-file", &files.path("secret")],
                "cannot be used with",
            ),
            (
                &["--secret-file", &files.path("none")],
                "cannot read the secret",
            ),
            (&["--secret-file", &own], "others can read it"),
        ] {
            let Err(error) = admitted(args) else {
                panic!("{args:?}");
            };
            assert!(error.contains(told), "{args:?}: {error}");
        }
    }

    #[test]
    fn a_secret_alone_makes_a_key_that_stays() {
        let files = Files::new();
        let args = [
            "--secret-file",
            &files.path("secret"),
            "--state",
            &files.path("state"),
        ];
        let first = admitted(&args).unwrap();
        let key = |admitted: &Admitted| *admitted.security.as_ref().unwrap().0.public_key();
        let first_key = key(&first);
        // Nobody else takes it meanwhile.
        let error = admitted(&args).err().unwrap();
        assert!(error.contains("another one"), "{error}");
        drop(first);
        assert_eq!(key(&admitted(&args).unwrap()), first_key);
    }

    #[test]
    fn what_is_given_is_what_counts() {
        let files = Files::new();
        let (own, other, secret) = (files.path("own"), files.path("other"), files.path("secret"));
        let both =
            admitted(&["--secret-file", &secret, "--cert", &own, "--trust", &other]).unwrap();
        assert!(both.secret.is_some() && both.security.is_some() && !both.open);
        let keyed = admitted(&["--secret-file", &secret, "--cert", &own]).unwrap();
        assert!(keyed.secret.is_some() && keyed.security.is_some());
        let listed = admitted(&["--cert", &own, "--trust", &other]).unwrap();
        assert!(listed.secret.is_none() && listed.security.is_some());
        let open = admitted(&["--open"]).unwrap();
        assert!(open.open && open.security.is_none());
        assert!(
            admitted(&["--open", "--cert", &own])
                .unwrap()
                .security
                .is_some()
        );
    }
}
