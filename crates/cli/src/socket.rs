//! What the commands with a ZMTP socket have in common: their options, and how messages get in and out.

mod lines;

use std::io::{self, BufRead};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use atonce::Frames;
use atonce::curve::PublicKey;
use atonce_std::socket::{
    Config, Event, Kind, RecvError, SendError, SocketBuilder, SocketError, parse_endpoint,
};
use atonce_std::{Certificate, Socket, Trust};
use clap::Args;

use self::lines::{Format, Line};
use crate::failure::{self, Failure};
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::{security, value};

/// How long what was sent may still take after Ctrl-C.
const PARTING: Duration = Duration::from_secs(1);

/// How long what was sent may take to leave without `--timeout`.
const LINGER: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug, Args)]
pub(crate) struct SocketOptions {
    /// Listen there: tcp://ADDRESS:PORT, with * for all addresses, the name of an interface, and 0 for any port, or ipc://PATH;
    /// repeatable.
    #[arg(long, value_name = "ENDPOINT", value_parser = endpoint, required_unless_present = "connect")]
    bind: Vec<String>,

    /// Connect there, again and again: tcp://HOST:PORT or ipc://PATH; repeatable.
    #[arg(long, value_name = "ENDPOINT", value_parser = endpoint)]
    connect: Vec<String>,

    /// Stop after this many messages.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Give up when nothing comes, or nothing can be sent, for this long; exit code 1 when less was done than was asked for.
    #[arg(long, value_name = "SECS", value_parser = value::seconds)]
    timeout: Option<Duration>,

    /// The name under which a ROUTER is to know this socket.
    #[arg(long, value_name = "NAME")]
    identity: Option<String>,

    /// Messages are lines of hexadecimal digits: blanks between frames, - for an empty one.
    #[arg(long, conflicts_with = "json")]
    hex: bool,

    /// Messages are lines of JSON: a list of frames comes in, an object with `content` goes out.
    #[arg(long)]
    json: bool,

    /// Encrypt everything, with the key in FILE_secret, which `atonce keygen` makes. One side is the server, which needs --trust, and
    /// the other one needs --server-key; it does not matter which of them listens.
    #[arg(long, value_name = "FILE", value_parser = security::own_certificate, requires = "security")]
    cert: Option<Certificate>,

    /// The public key of the server: its certificate, or the key itself.
    #[arg(long, value_name = "KEY|FILE", value_parser = security::public_key, allow_hyphen_values = true, requires = "cert", group = "security")]
    server_key: Option<PublicKey>,

    /// Be the server, and let these in: see `atonce listen --help`.
    #[arg(long, value_name = "FILE|DIR|any|zap:ENDPOINT", value_parser = security::trust, requires = "cert", group = "security")]
    trust: Option<Trust>,
}

/// One that a socket can be bound or connected to.
fn endpoint(given: &str) -> Result<String, String> {
    parse_endpoint(given).map_err(|error| error.to_string())?;
    Ok(given.to_owned())
}

impl SocketOptions {
    const fn format(&self) -> Format {
        match (self.hex, self.json) {
            (true, _) => Format::Hex,
            (_, true) => Format::Json,
            _ => Format::Text,
        }
    }

    /// Whether messages can be of several frames, and are to be read by a program.
    pub(crate) const fn has_frames(&self) -> bool {
        self.hex || self.json
    }

    /// When it is given up, if nothing happens from now on.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        Instant::now().checked_add(self.timeout?)
    }

    fn builder(&self, kind: Kind) -> SocketBuilder<Socket> {
        let mut builder = Socket::builder(kind).config(Config {
            linger: self.timeout.unwrap_or(LINGER),
            ..Config::default()
        });
        if let Some(identity) = &self.identity {
            builder = builder.identity(identity.clone());
        }
        match (&self.cert, &self.server_key, &self.trust) {
            (Some(own), Some(server), _) => builder.curve_client(own.clone(), *server),
            (Some(own), None, Some(trust)) => builder.curve_server(own.clone(), trust.clone()),
            _ => builder,
        }
    }
}

impl From<SocketError> for Failure {
    fn from(error: SocketError) -> Self {
        match error {
            SocketError::Interface { .. }
            | SocketError::Connect { .. }
            | SocketError::Identity(_) => Self::Usage(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// A socket that runs, and where its messages go.
pub(crate) struct Session<'a> {
    pub(crate) socket: Socket,
    options: &'a SocketOptions,
    output: Output,
    interrupt: Interrupt,
    /// Messages that count so far.
    done: u64,
    /// Nothing came in time.
    is_late: bool,
    /// What ended with the socket and did not get out.
    lost: Arc<AtomicUsize>,
    monitor: JoinHandle<()>,
}

impl<'a> Session<'a> {
    /// Opens it; says where it listens.
    pub(crate) fn open(
        kind: Kind,
        options: &'a SocketOptions,
        more: impl FnOnce(SocketBuilder<Socket>) -> SocketBuilder<Socket>,
    ) -> Result<Self, Failure> {
        let interrupt = Interrupt::watch()?;
        let socket = more(options.builder(kind)).open()?;
        let closing = socket.clone();
        interrupt.does(move || {
            closing.close_timeout(PARTING);
        });
        let lost = Arc::new(AtomicUsize::new(0));
        let (events, counted) = (socket.monitor(), Arc::clone(&lost));
        let monitor = thread::spawn(move || {
            for event in events {
                if let Event::Closed { lost } = event {
                    counted.store(lost, Ordering::SeqCst);
                }
                tracing::info!("{}", words(&event));
            }
        });
        let mut session = Self {
            socket,
            options,
            output: Output::new(options.json),
            interrupt,
            done: 0,
            is_late: false,
            lost,
            monitor,
        };
        for endpoint in &options.bind {
            let real = session.socket.bind(endpoint)?;
            session.listens(&real)?;
        }
        for endpoint in &options.connect {
            session.socket.connect(endpoint)?;
        }
        Ok(session)
    }

    fn listens(&mut self, endpoint: &str) -> Result<(), Failure> {
        if self.output.is_json() {
            return self.output.line(&Line::Listening { endpoint }, String::new);
        }
        // What is read from stdout are messages only.
        failure::note(&format!("listening on {endpoint}"));
        Ok(())
    }

    /// Whether there is more to be done.
    pub(crate) fn goes_on(&self) -> bool {
        !self.interrupt.came() && self.options.count.is_none_or(|count| self.done < count)
    }

    /// One message more that counts.
    const fn count(&mut self) {
        self.done += 1;
    }

    /// Sends; waits for room.
    fn give(&self, message: Frames) -> Result<(), Failure> {
        let sent = match self.options.timeout {
            Some(timeout) => self.socket.send_timeout(message, timeout),
            None => self.socket.send(message),
        };
        sent.map_err(|error| match error {
            SendError::Closed if self.interrupt.came() => Failure::Interrupted,
            SendError::Full => Failure::failed(format!("nobody had room for it{}", self.waited())),
            error => Failure::failed(format!("not sent: {error}")),
        })
    }

    /// The next message; `None` when none came in time, or the command is interrupted.
    fn take(&mut self) -> Result<Option<Frames>, Failure> {
        let came = match self.options.timeout {
            Some(timeout) => self.socket.recv_timeout(timeout),
            None => self.socket.recv().map(Some),
        };
        match came {
            Err(RecvError::Closed) if self.interrupt.came() => Ok(None),
            Err(error) => Err(Failure::failed(error.to_string())),
            Ok(message) => {
                self.is_late = message.is_none();
                Ok(message)
            }
        }
    }

    /// How long something was waited for, as it is said behind what did not come.
    pub(crate) fn waited(&self) -> String {
        let timeout = self.options.timeout;
        timeout.map_or_else(String::new, |timeout| {
            format!(", waited {} s", timeout.as_secs_f64())
        })
    }

    /// Writes a message that came, which counts.
    fn tell(&mut self, message: &Frames) -> Result<(), Failure> {
        self.count();
        let format = self.options.format();
        let line = Line::Message { content: message };
        self.output.line(&line, || format.write(message))
    }

    /// Takes and writes what comes, until all is done, nothing comes any more or somebody interrupts it.
    pub(crate) fn listen(mut self) -> Result<(), Failure> {
        while self.goes_on() {
            let Some(message) = self.take()? else { break };
            self.tell(&message)?;
        }
        self.finish()
    }

    /// Sends these, or else what comes in by lines.
    pub(crate) fn send_all(mut self, text: &[String]) -> Result<(), Failure> {
        let mut messages = Messages::new(text, self.options.format());
        while self.goes_on() {
            match messages.next() {
                None => break,
                Some(Ok(message)) => {
                    self.give(message)?;
                    self.count();
                }
                Some(Err(error)) => self.misread(&error)?,
            }
        }
        self.finish()
    }

    /// Sends each, and writes the answer before the next.
    pub(crate) fn ask_all(mut self, text: &[String]) -> Result<(), Failure> {
        let mut messages = Messages::new(text, self.options.format());
        while self.goes_on() {
            match messages.next() {
                None => break,
                Some(Ok(message)) => {
                    self.give(message)?;
                    match self.take()? {
                        Some(answer) => self.tell(&answer)?,
                        None if self.is_late => {
                            let failure = format!("no answer came{}", self.waited());
                            return Err(Failure::failed(failure));
                        }
                        None => break,
                    }
                }
                Some(Err(error)) => self.misread(&error)?,
            }
        }
        self.finish()
    }

    /// Writes each request, and answers it: with what it says itself, with `text`, or with what comes in by lines.
    pub(crate) fn answer_all(mut self, echo: bool, text: &[String]) -> Result<(), Failure> {
        let mut messages = Messages::new(&[], self.options.format());
        'requests: while self.goes_on() {
            let Some(request) = self.take()? else { break };
            self.tell(&request)?;
            let answer = if echo {
                request
            } else if text.is_empty() {
                loop {
                    match messages.next() {
                        None => break 'requests,
                        Some(Ok(answer)) => break answer,
                        Some(Err(error)) => self.misread(&error)?,
                    }
                }
            } else {
                said(text)
            };
            match self.socket.send(answer) {
                Ok(()) => {}
                // The next one may be there.
                Err(SendError::PeerLost) => failure::note("who asked is gone"),
                Err(SendError::Closed) if self.interrupt.came() => break,
                Err(error) => return Err(Failure::failed(format!("not sent: {error}"))),
            }
        }
        self.finish()
    }

    /// Sends what comes in by lines, and meanwhile writes what comes from the others.
    pub(crate) fn talk(self, text: &[String]) -> Result<(), Failure> {
        let (socket, format) = (self.socket.clone(), self.options.format());
        let text = text.to_vec();
        thread::spawn(move || {
            for message in Messages::new(&text, format) {
                let sent = match message {
                    Ok(message) => socket.send(message).map_err(|error| error.to_string()),
                    Err(error) => Err(error),
                };
                if let Err(error) = sent {
                    if socket.is_closed() {
                        return;
                    }
                    failure::note(&format!("not sent: {error}"));
                }
            }
        });
        self.listen()
    }

    /// A line is no message: told, and nothing else is changed.
    fn misread(&mut self, error: &str) -> Result<(), Failure> {
        if self.output.is_json() {
            return self
                .output
                .line(&Line::Error { message: error }, String::new);
        }
        Err(Failure::failed(error))
    }

    /// Closes the socket; says what was not done.
    fn finish(mut self) -> Result<(), Failure> {
        let waited = self.waited();
        self.socket.close();
        let _ = self.monitor.join();
        if self.output.is_json() {
            self.output.line(&Line::Stop, String::new)?;
        }
        let lost = self.lost.load(Ordering::SeqCst);
        match self.options.count {
            Some(count) if self.done < count => {
                if self.interrupt.came() {
                    return Err(Failure::Interrupted);
                }
                Err(Failure::failed(format!(
                    "{} of {count} messages",
                    self.done
                )))
            }
            None if self.done == 0 && self.is_late => {
                Err(Failure::failed(format!("no message{waited}")))
            }
            _ if lost > 0 => Err(Failure::failed(format!(
                "messages that could not be sent: {lost}"
            ))),
            _ => Ok(()),
        }
    }
}

/// All of the words as one frame.
fn said(text: &[String]) -> Frames {
    Frames::from(text.join(" "))
}

/// What is to be sent: the words of the command line, or else the lines of standard input.
struct Messages {
    text: Option<Frames>,
    lines: Option<io::Split<io::StdinLock<'static>>>,
    format: Format,
    number: usize,
}

impl Messages {
    fn new(text: &[String], format: Format) -> Self {
        let text = (!text.is_empty()).then(|| said(text));
        Self {
            lines: text.is_none().then(|| io::stdin().lock().split(b'\n')),
            text,
            format,
            number: 0,
        }
    }
}

impl Iterator for Messages {
    /// The error says in which line what is wrong.
    type Item = Result<Frames, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some(lines) = &mut self.lines else {
            return self.text.take().map(Ok);
        };
        let line = lines.next()?;
        self.number += 1;
        let message = line
            .map_err(|error| error.to_string())
            .and_then(|line| self.format.read(&line));
        Some(message.map_err(|error| format!("line {}: {error}", self.number)))
    }
}

/// What a monitor tells, in a line for people.
fn words(event: &Event) -> String {
    match event {
        Event::Listening { endpoint, .. } => format!("listening on {endpoint}"),
        Event::ListenFailed {
            endpoint, detail, ..
        } => format!("cannot listen on {endpoint}: {detail}"),
        Event::Unbound { endpoint, .. } => format!("not listening on {endpoint} any more"),
        Event::Connecting { endpoint, .. } => format!("connecting to {endpoint}"),
        Event::Connected { endpoint, .. } => format!("connected to {endpoint}"),
        Event::Accepted { remote, .. } => format!("{remote} has connected"),
        Event::Turned { remote, why } => format!("{remote} is turned away: {why}"),
        Event::Ready {
            remote,
            socket_type,
            version,
            user_id,
            ..
        } => {
            let user = user_id
                .as_ref()
                .map(|user| format!(" as {user}"))
                .unwrap_or_default();
            format!("{remote} is a {socket_type} of ZMTP {version}, and ready{user}")
        }
        Event::Disconnected {
            remote, why, lost, ..
        } => {
            let lost = if *lost > 0 {
                format!("; {lost} messages are lost")
            } else {
                String::new()
            };
            format!("{remote} is gone: {why}{lost}")
        }
        Event::Retrying {
            endpoint, after, ..
        } => {
            format!(
                "connecting to {endpoint} again in {:.1} s",
                after.as_secs_f64()
            )
        }
        Event::Released { endpoint, lost, .. } => {
            format!("not connecting to {endpoint} any more; {lost} messages are dropped")
        }
        Event::GivenUp { remote, lost } => {
            format!(
                "{lost} messages for {remote} are given up: it is somebody else, or they are wanted no more"
            )
        }
        Event::Closed { lost } => format!("closed; {lost} messages could not be sent"),
        other => format!("{other:?}"),
    }
}
