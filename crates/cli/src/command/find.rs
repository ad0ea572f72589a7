//! `find`: where is a server?

use std::time::{Duration, Instant};

use atonce::Frames;
use atonce::curve::PublicKey;
use atonce_std::Certificate;
use atonce_std::autoconf::hello::ClientEvent;
use atonce_std::autoconf::{Event, Hello, Seeker, Server};
use clap::Args;

use crate::autoconf::{Line, WhereOptions, endpoints, line, no_socket, words};
use crate::content;
use crate::escape::escaped;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::security::{own_certificate, public_key};
use crate::value;

/// Said below the help.
const AFTER_HELP: &str = "\
Prints the endpoint of the first server that is found. Whoever is on the network can say to be it: pin its key with --key.

Examples:
  atonce find printing                        tcp://192.168.1.2:50053
  atonce find printing --name alice           says hello, and prints the endpoint of who answers OK
  atonce find printing --wait 60              exit code 1 when none is found within a minute
  atonce find --watch                         every server of every service, as they come and go
  atonce find printing --key printing.cert    only the server with this key";

/// See the module.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Find {
    /// What is sought; with --watch, everything if it is left out.
    #[arg(value_name = "SERVICE", required_unless_present = "watch")]
    service: Option<String>,

    /// Say hello under this name, and print who answers OK.
    #[arg(long, value_parser = hello, conflicts_with = "watch")]
    name: Option<Hello>,

    /// How long to seek.
    #[arg(long, value_name = "SECS", default_value = "10", value_parser = value::seconds, conflicts_with = "watch")]
    wait: Duration,

    /// Print what comes and goes until interrupted.
    #[arg(long)]
    watch: bool,

    /// Only the server with this public key, or that of this certificate; with one of them if it is repeated.
    #[arg(long, value_name = "KEY|FILE", value_parser = public_key, allow_hyphen_values = true)]
    key: Vec<PublicKey>,

    /// Say hello with this certificate, to servers that want to know who comes [default: a new one].
    #[arg(long, value_name = "FILE", value_parser = own_certificate, requires = "name")]
    cert: Option<Certificate>,

    /// Where.
    #[command(flatten)]
    network: WhereOptions,
}

/// A client of this name.
fn hello(name: &str) -> Result<Hello, String> {
    Hello::new(name).map_err(|error| error.to_string())
}

impl Find {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let interrupt = Interrupt::watch()?;
        let mut output = Output::new(self.network.json);
        let mut builder = Seeker::builder().port(self.network.port);
        if let Some(service) = &self.service {
            builder = builder.service(service);
        }
        for interface in &self.network.interface {
            builder = builder.interface(interface);
        }
        for key in &self.key {
            builder = builder.key(*key);
        }
        let seeker = builder.start()?;
        let stopped = seeker.clone();
        interrupt.does(move || stopped.stop());
        if self.watch {
            return watch(&seeker, &mut output);
        }
        let until = Instant::now() + self.wait;
        let service = escaped(self.service.as_deref().unwrap_or_default());
        let mut silent = 0;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            // Who did not answer in all that time is not asked once more.
            let over = interrupt.came() || left.is_zero() && silent > 0;
            let Some(server) = (!over).then(|| seeker.find(left)).flatten() else {
                if interrupt.came() {
                    return Err(Failure::Interrupted);
                }
                let waited = self.wait.as_secs_f64();
                return Err(Failure::failed(match silent {
                    0 => format!("no server of {service} is here, waited {waited} s"),
                    _ => format!("no server of {service} answered, waited {waited} s"),
                }));
            };
            let Some(hello) = &self.name else {
                let event = Event::Found {
                    server: server.clone(),
                };
                return match line(&event) {
                    Some(line) => output.line(&line, || first(&server)),
                    None => Ok(()),
                };
            };
            let hello = match &self.cert {
                None => hello.clone(),
                Some(own) => hello.clone().certificate(own.clone()),
            };
            // AUTO-54
            let go_on = |is_reached| {
                let is_there = is_reached || seeker.is_in_order(server.id);
                is_there && !interrupt.came() && Instant::now() < until
            };
            let answer = hello.say_while(&server, go_on);
            match answer.map_err(|error| no_socket(&error))? {
                Some(ClientEvent::Welcome { endpoint }) => {
                    let endpoint = format!("tcp://{endpoint}");
                    let line = Line::Welcome {
                        endpoint: endpoint.clone(),
                        server: (&*server).into(),
                    };
                    return output.line(&line, || endpoint);
                }
                Some(ClientEvent::Answered { endpoint, text }) => {
                    let (endpoint, frames) = (format!("tcp://{endpoint}"), Frames::from(text));
                    let line = Line::Answered {
                        endpoint: endpoint.clone(),
                        content: &frames,
                        server: (&*server).into(),
                    };
                    if output.is_json() {
                        output.line(&line, String::new)?;
                    }
                    let said = content::to_words(&frames);
                    return Err(Failure::failed(format!(
                        "{endpoint} did not answer OK but {said}"
                    )));
                }
                Some(_) => {
                    silent += 1;
                    seeker.doubt(server.id);
                    if output.is_json() {
                        output.line(&Line::Unanswered((&*server).into()), String::new)?;
                    }
                }
                // Interrupted, late, or the server is doubted or lost.
                None => silent += 1,
            }
        }
    }
}

/// The endpoint that is to be tried first.
fn first(server: &Server) -> String {
    endpoints(server).into_iter().next().unwrap_or_default()
}

fn watch(seeker: &Seeker, output: &mut Output) -> Result<(), Failure> {
    for event in seeker.events() {
        if let Some(line) = line(&event) {
            output.line(&line, || words(&event))?;
        }
    }
    output.line(&Line::Stop, || "stopped".to_owned())
}
