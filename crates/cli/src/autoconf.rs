//! What `announce` and `find` have in common.

use std::collections::BTreeMap;

use atonce::Frames;
use atonce::curve::PublicKey;
use atonce_std::autoconf::{AutoconfError, Event, PORT, Server};
use atonce_std::socket::SocketError;
use clap::Args;
use serde::Serialize;

use crate::escape::escaped;
use crate::failure::Failure;
use crate::paint::{self, painted};
use crate::{content, value};

/// Where.
#[derive(Clone, Debug, Args)]
pub(crate) struct WhereOptions {
    /// Where to speak and hear, by name or address; `lo` keeps everything on this machine; repeatable
    /// [default: every interface that is up and can do multicast or broadcast].
    #[arg(long, value_name = "NAME|IP", value_parser = value::interface)]
    pub(crate) interface: Vec<String>,

    /// UDP port of the announcements, the same for all who are to find each other.
    #[arg(long, default_value_t = PORT, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: u16,

    /// Write one JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

impl From<AutoconfError> for Failure {
    fn from(error: AutoconfError) -> Self {
        match error {
            AutoconfError::UnknownInterface { .. } => Self::Usage(format!("--interface: {error}")),
            AutoconfError::Service { .. }
            | AutoconfError::Endpoint { .. }
            | AutoconfError::Offer(_)
            | AutoconfError::Property { .. } => Self::Usage(error.to_string()),
            _ => Self::failed(error.to_string()),
        }
    }
}

/// What became of a socket that was not made.
pub(crate) fn no_socket(error: &SocketError) -> Failure {
    match error {
        SocketError::Endpoint { .. } | SocketError::Interface { .. } => {
            Failure::Usage(error.to_string())
        }
        _ => Failure::failed(error.to_string()),
    }
}

/// One line of JSON. Its `event` says which.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(crate) enum Line<'a> {
    /// The server is announced, at these endpoints; none while there is no network.
    Start {
        /// What it offers.
        service: &'a str,
        /// Where.
        endpoints: Vec<String>,
        /// Its public key, or null.
        key: Option<String>,
    },
    /// It is announced at these endpoints now: there is a network, or another address.
    Announced {
        /// What it offers.
        service: &'a str,
        /// Where.
        endpoints: Vec<String>,
        /// Its public key, or null.
        key: Option<String>,
    },
    /// A client said hello.
    Hello {
        /// What it calls itself.
        name: &'a str,
    },
    /// A client said something else.
    Said {
        /// What.
        #[serde(serialize_with = "content_of")]
        content: &'a Frames,
    },
    /// A server is there.
    Found(Told),
    /// It can be reached at more endpoints.
    Changed(Told),
    /// Another one speaks under its instance.
    Contested {
        /// Which.
        #[serde(flatten)]
        server: Told,
        /// Where that came from.
        by: String,
    },
    /// It may be gone.
    Doubted(Told),
    /// It is not.
    Trusted(Told),
    /// It is gone.
    Lost {
        /// Which.
        #[serde(flatten)]
        server: Told,
        /// Why: `expired`, `left`, `silent` or `displaced`.
        reason: String,
    },
    /// It answered OK.
    Welcome {
        /// Where.
        endpoint: String,
        /// Which.
        #[serde(flatten)]
        server: Told,
    },
    /// It answered something else.
    Answered {
        /// Where.
        endpoint: String,
        /// What.
        #[serde(serialize_with = "content_of")]
        content: &'a Frames,
        /// Which.
        #[serde(flatten)]
        server: Told,
    },
    /// It did not answer.
    Unanswered(Told),
    /// It is over.
    Stop,
}

fn content_of<S: serde::Serializer>(content: &Frames, serializer: S) -> Result<S::Ok, S::Error> {
    content::to_json(content, serializer)
}

/// A server, as JSON has it.
#[derive(Debug, Serialize)]
pub(crate) struct Told {
    /// What it offers.
    service: String,
    /// Which start of it.
    instance: String,
    /// Where, the best first.
    endpoints: Vec<String>,
    /// Its public key, or null.
    key: Option<String>,
    /// What else it says.
    properties: BTreeMap<String, String>,
    /// Where its announcement came from.
    source: String,
}

impl From<&Server> for Told {
    fn from(server: &Server) -> Self {
        let offer = &server.offer;
        let properties = offer.properties().iter();
        Self {
            service: offer.service().to_string(),
            instance: server.instance.to_string(),
            endpoints: endpoints(server),
            key: key_of(server),
            properties: properties
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            source: server.source.to_string(),
        }
    }
}

/// Where a server is, as sockets want it.
pub(crate) fn endpoints(server: &Server) -> Vec<String> {
    let endpoints = server.endpoints.iter();
    endpoints
        .map(|endpoint| format!("tcp://{endpoint}"))
        .collect()
}

fn key_of(server: &Server) -> Option<String> {
    let key = server.offer.key()?;
    Some(PublicKey::from_bytes(*key).to_string())
}

/// What happened to a server, as JSON has it; `None` for what this version does not know.
pub(crate) fn line(event: &Event) -> Option<Line<'static>> {
    Some(match event {
        Event::Found { server } => Line::Found((&**server).into()),
        Event::Changed { server } => Line::Changed((&**server).into()),
        Event::Contested { server, by } => Line::Contested {
            server: (&**server).into(),
            by: by.to_string(),
        },
        Event::Doubted { server } => Line::Doubted((&**server).into()),
        Event::Trusted { server } => Line::Trusted((&**server).into()),
        Event::Lost { server, reason } => Line::Lost {
            server: (&**server).into(),
            reason: reason.to_string(),
        },
        _ => return None,
    })
}

/// What happened to a server, in words.
pub(crate) fn words(event: &Event) -> String {
    let (style, what, server, more) = match event {
        Event::Found { server } => (paint::GOOD, "found", server, String::new()),
        Event::Changed { server } => (paint::HEAD, "also at", server, String::new()),
        Event::Contested { server, by } => {
            let more = format!("by an announcement from {by}");
            (paint::BAD, "contested", server, more)
        }
        Event::Doubted { server } => (paint::FAINT, "doubted", server, String::new()),
        Event::Trusted { server } => (paint::GOOD, "trusted", server, String::new()),
        Event::Lost { server, reason } => (paint::BAD, "lost", server, format!("({reason})")),
        _ => return String::new(),
    };
    let service = escaped(server.offer.service().as_str());
    let mut words = format!(
        "{} {service} {}",
        painted(style, what),
        endpoints(server).join(" ")
    );
    if let (Event::Found { .. }, Some(key)) = (event, key_of(server)) {
        words.push_str(&format!(" key {key}"));
    }
    if let Event::Found { .. } = event {
        for (name, value) in server.offer.properties() {
            let (name, value) = (name.to_str_lossy(), value.to_str_lossy());
            words.push_str(&format!(" {}={}", escaped(&name), escaped(&value)));
        }
    }
    if !more.is_empty() {
        words.push(' ');
        words.push_str(&more);
    }
    words
}
