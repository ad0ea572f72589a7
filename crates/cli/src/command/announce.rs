//! `announce`: a server that says where it is, and answers who says hello.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use atonce::Frames;
use atonce::curve::PublicKey;
use atonce_std::autoconf::hello::ServerEvent;
use atonce_std::autoconf::{Announcer, Answerer, InstanceId, Offer};
use clap::Args;

use crate::autoconf::{Line, WhereOptions, no_socket};
use crate::content;
use crate::escape::escaped;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::security::{SecurityOptions, public_key};
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
    #[arg(long, value_name = "KEY|FILE", value_parser = public_key, allow_hyphen_values = true, requires = "no_bind")]
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
        let key = announced.map(|key| key.to_string());
        let begun = announcer.instance();
        self.tell(&mut output, announcer.offer().as_ref(), |endpoints| {
            Line::Start {
                service: &self.service,
                endpoints,
                key: key.clone(),
            }
        })?;
        let news = news(&interrupt, &announcer, begun, &answerers);
        let told = self.answer(&news, &mut output, key.as_deref());
        for answerer in &answerers {
            answerer.close();
        }
        announcer.stop();
        told?;
        output.line(&Line::Stop, || "stopped".to_owned())
    }

    /// Where it is announced, as it begins or when that is somewhere else than before.
    fn tell<'a>(
        &self,
        output: &mut Output,
        offer: Option<&Offer>,
        line: impl FnOnce(Vec<String>) -> Line<'a>,
    ) -> Result<(), Failure> {
        let places = offer.map_or(&[][..], Offer::endpoints).iter();
        let places: Vec<String> = places.map(|place| format!("tcp://{place}")).collect();
        let words = match places.is_empty() {
            true => "no network yet: waiting for one".to_owned(),
            false => format!(
                "announcing {} at {}",
                escaped(&self.service),
                places.join(" ")
            ),
        };
        output.line(&line(places), || words)
    }

    /// Tells until a signal comes, or so many said hello.
    fn answer(
        &self,
        news: &Receiver<News>,
        output: &mut Output,
        key: Option<&str>,
    ) -> Result<(), Failure> {
        let mut left = self.count;
        while let Ok(news) = news.recv() {
            match news {
                News::Announced(offer) => {
                    self.tell(output, Some(&offer), |endpoints| Line::Announced {
                        service: &self.service,
                        endpoints,
                        key: key.map(str::to_owned),
                    })?;
                }
                News::Answered(ServerEvent::Hello { name }) => {
                    let name = name.as_str();
                    output.line(&Line::Hello { name }, || {
                        format!("{} says hello", escaped(name))
                    })?;
                    left = left.map(|left| left - 1);
                    if left == Some(0) {
                        break;
                    }
                }
                News::Answered(ServerEvent::Said { text }) => {
                    let frames = Frames::from(text);
                    let line = Line::Said { content: &frames };
                    output.line(&line, || {
                        format!("somebody says {}", content::to_words(&frames))
                    })?;
                }
                News::Answered(_) => {}
                News::Stop => break,
            }
        }
        Ok(())
    }
}

/// What there is to tell.
enum News {
    /// It is announced elsewhere than before.
    Announced(Offer),
    /// Somebody came.
    Answered(ServerEvent),
    /// A signal came.
    Stop,
}

/// Has a thread wait for each kind of news; `begun` is what was told of the announcer.
fn news(
    interrupt: &Interrupt,
    announcer: &Announcer,
    begun: Option<InstanceId>,
    answerers: &[Arc<Answerer>],
) -> Receiver<News> {
    let (tell, told) = mpsc::channel();
    let stop = tell.clone();
    interrupt.does(move || {
        let _ = stop.send(News::Stop);
    });
    for answerer in answerers {
        let (answerer, tell) = (Arc::clone(answerer), tell.clone());
        thread::spawn(move || {
            while let Some(event) = answerer.recv() {
                if tell.send(News::Answered(event)).is_err() {
                    return;
                }
            }
        });
    }
    let (announcer, mut before) = (announcer.clone(), begun);
    thread::spawn(move || {
        while let Some((instance, offer)) = announcer.next_instance(before) {
            before = Some(instance);
            if tell.send(News::Announced(offer)).is_err() {
                return;
            }
        }
    });
    told
}
