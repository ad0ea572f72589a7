//! Messages of ZAP.

use atonce::wire::Malformed;
use atonce::wire::zap::{Credentials, Outcome, Reply, Request};
use atonce::{Bytes, Frames};

use super::super::told::{Field, Told};
use super::zmtp::properties;

/// The frames of a reply: the empty one, version, request, code, text, user, metadata.
const REPLY: usize = 7;

pub(super) fn begins(frames: &Frames) -> bool {
    frames.len() > 2
        && whole(frames)
            .get(1)
            .is_some_and(|version| &version[..] == b"1.0")
}

/// With the empty frame that a DEALER sends before a message, and a REQ too, and what hands on what came may leave out.
fn whole(frames: &Frames) -> Frames {
    let mut frames = frames.clone();
    if frames.first().is_some_and(|version| &version[..] == b"1.0") {
        frames.push_front(Bytes::new());
    }
    frames
}

pub(super) fn read(frames: &Frames) -> Result<Told, Malformed> {
    let frames = whole(frames);
    let code = frames
        .get(3)
        .is_some_and(|code| matches!(&code[..], b"200" | b"300" | b"400" | b"500"));
    if frames.len() == REPLY && code {
        // A request for the domain 200 is as long, and has an address where the text is.
        if let Ok(request) = Request::decode(&frames) {
            return Ok(asked(&request));
        }
        return Reply::decode(&frames).map(|reply| answered(&reply));
    }
    Request::decode(&frames).map(|request| asked(&request))
}

fn asked(request: &Request) -> Told {
    let mut fields = vec![
        ("request_id", Field::octets_of(&request.request_id)),
        ("domain", Field::word(request.domain.as_str())),
        ("address", Field::word(request.address)),
        ("identity", Field::octets_of(request.identity.as_bytes())),
        ("mechanism", Field::word(request.credentials.mechanism())),
    ];
    let mut hidden = false;
    match &request.credentials {
        Credentials::Plain { username, .. } => {
            fields.push(("username", Field::text(username)));
            hidden = true;
        }
        Credentials::Curve(key) => fields.push(("key", Field::key(key))),
        _ => {}
    }
    let told = Told::new("ZAP", "REQUEST", fields);
    if hidden {
        told.with_remark("with a password")
    } else {
        told
    }
}

fn answered(reply: &Reply) -> Told {
    let mut fields = vec![
        ("request_id", Field::octets_of(&reply.request_id)),
        ("code", Field::word(reply.outcome.code())),
        ("text", Field::text(&reply.text)),
    ];
    if let Outcome::Allowed { user_id, metadata } = &reply.outcome {
        fields.extend([
            ("user_id", Field::text(user_id)),
            ("metadata", properties(metadata)),
        ]);
    }
    Told::new("ZAP", "REPLY", fields)
}
