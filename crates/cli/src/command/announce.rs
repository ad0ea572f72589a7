//! `announce`: a server that says where it is, and answers who says hello.

use std::sync::Arc;
use std::time::Duration;

use atonce::Frames;
use atonce::curve::PublicKey;
use atonce_std::autoconf::hello::ServerEvent;
use atonce_std::autoconf::{Announcer, Answerer};
use clap::Args;

use crate::autoconf::{Line, WhereOptions, key, no_socket};
use crate::content;
use crate::escape::escaped;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::security::SecurityOptions;
use crate::value;

/// Said below the help.
const AFTER_HELP: &str = "\
Binds a REP socket at each ENDPOINT, then announces where that is, at once, every 15 s and to whoever asks. Answers OK to whoever says
hello, and prints who that is. Ctrl-C says goodbye.

Examples:
  atonce announce printing tcp://*:0                      at every address, on any free port
  atonce announce printing tcp://eth0:50053 --interface eth0
  atonce announce printing tcp://*:50053 --no-bind        another program is the server, and answers
  atonce announce printing tcp://*:0 --property colour=yes --property paper=A4
  atonce announce printing tcp://*:0 --cert printing.cert --trust friends   encrypted; clients are told the key";

/// See the module.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Announce {
    /// What the server offers.
    #[arg(value_name = "SERVICE")]
    service: String,

    /// Where it is: tcp://ADDRESS:PORT, tcp://INTERFACE:PORT or tcp://*:PORT; port 0 is any that is free.
    #[arg(value_name = "ENDPOINT", required = true)]
    endpoints: Vec<String>,

    /// Bind nothing: another program did.
    #[arg(long, conflicts_with_all = ["cert", "trust", "count"])]
    no_bind: bool,

    /// The public key of that other program, or its certificate.
    #[arg(long, value_name = "KEY|FILE", value_parser = key, requires = "no_bind")]
    key: Option<PublicKey>,

    /// Tell clients this about the server; repeatable.
    #[arg(long, value_name = "K=V", value_parser = value::key_value)]
    property: Vec<(String, String)>,

    /// Time between two announcements.
    #[arg(long, value_name = "SECS", default_value = "15", value_parser = value::seconds)]
    interval: Duration,

    /// Leave when so many clients said hello.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Where.
    #[command(flatten)]
    network: WhereOptions,

    /// Security.
    #[command(flatten)]
    security: SecurityOptions,
}

impl Announce {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let interrupt = Interrupt::watch()?;
        let mut output = Output::new(self.network.json);
        let security = self.security.security();
        let mut announced = self.key;
        let mut answerers = Vec::new();
        // What is announced is bound before.
        let mut endpoints = Vec::new();
        for endpoint in &self.endpoints {
            if self.no_bind {
                endpoints.push(endpoint.clone());
                continue;
            }
            let answerer = match &security {
                None => Answerer::bind(endpoint),
                Some((own, trust)) => {
                    announced = Some(*own.public_key());
                    Answerer::bind_secure(endpoint, own.clone(), trust.clone())
                }
            };
            let answerer = answerer.map_err(|error| no_socket(&error))?;
            endpoints.push(answerer.endpoint().to_owned());
            answerers.push(Arc::new(answerer));
        }
        let mut builder = Announcer::builder(&self.service)
            .port(self.network.port)
            .interval(self.interval);
        for interface in &self.network.interface {
            builder = builder.interface(interface);
        }
        for endpoint in &endpoints {
            builder = builder.endpoint(endpoint);
        }
        for (name, value) in &self.property {
            builder = builder.property(name, value);
        }
        if let Some(key) = announced {
            builder = builder.key(key);
        }
        let announcer = builder.start()?;
        let places: Vec<String> = match announcer.offer() {
            None => Vec::new(),
            Some(offer) => {
                let places = offer.endpoints().iter();
                places.map(|place| format!("tcp://{place}")).collect()
            }
        };
        let line = Line::Start {
            service: &self.service,
            endpoints: places.clone(),
            key: announced.map(|key| key.to_string()),
        };
        output.line(&line, || match places.is_empty() {
            true => "no network yet: waiting for one".to_owned(),
            false => format!(
                "announcing {} at {}",
                escaped(&self.service),
                places.join(" ")
            ),
        })?;
        let told = self.answer(&interrupt, &mut output, &answerers);
        for answerer in &answerers {
            answerer.close();
        }
        announcer.stop();
        told?;
        output.line(&Line::Stop, || "stopped".to_owned())
    }

    /// Answers until a signal comes, or so many said hello.
    fn answer(
        &self,
        interrupt: &Interrupt,
        output: &mut Output,
        answerers: &[Arc<Answerer>],
    ) -> Result<(), Failure> {
        let (tell, told) = std::sync::mpsc::channel::<Option<ServerEvent>>();
        let stop = tell.clone();
        interrupt.does(move || {
            let _ = stop.send(None);
        });
        for answerer in answerers {
            let (answerer, tell) = (Arc::clone(answerer), tell.clone());
            std::thread::spawn(move || {
                while let Some(event) = answerer.recv() {
                    if tell.send(Some(event)).is_err() {
                        return;
                    }
                }
            });
        }
        let mut left = self.count;
        while let Ok(Some(event)) = told.recv() {
            match event {
                ServerEvent::Hello { name } => {
                    let name = name.as_str();
                    output.line(&Line::Hello { name }, || {
                        format!("{} says hello", escaped(name))
                    })?;
                    left = left.map(|left| left - 1);
                    if left == Some(0) {
                        break;
                    }
                }
                ServerEvent::Said { text } => {
                    let frames = Frames::from(text);
                    let line = Line::Said { content: &frames };
                    output.line(&line, || {
                        format!("somebody says {}", content::to_words(&frames))
                    })?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}
