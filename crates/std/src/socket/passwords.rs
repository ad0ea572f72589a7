//! Who may come in with a name and a password.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use atonce::wire::{Text, TooLong};
use atonce::zmtp::{Denial, Password, Verdict};

use crate::trust::{DecidePlain, Decider};

/// Answers whether a name and a password may come in, for a server of PLAIN: [`SocketBuilder::plain_server`].
///
/// Everybody on the way can read both. They are of use where nobody else is on the way.
///
/// ```
/// use atonce_std::socket::{Kind, Passwords};
/// use atonce_std::Socket;
///
/// let passwords = Passwords::list([("joe", "s3cret")])?;
/// let pull = Socket::builder(Kind::Pull).plain_server(passwords).open()?;
/// let endpoint = pull.bind("tcp://127.0.0.1:0")?;
///
/// let push = Socket::builder(Kind::Push).plain_client("joe", "s3cret").connect(&endpoint).open()?;
/// push.send("hello")?;
/// assert_eq!(pull.recv()?[0], "hello");
/// assert_eq!(pull.peers()[0].user_id, Some("joe".try_into()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`SocketBuilder::plain_server`]: super::SocketBuilder::plain_server
#[derive(Clone)]
pub struct Passwords(Arc<DecidePlain>);

impl Passwords {
    /// These names with these passwords. Each is [known](super::PeerInfo::user_id) under its name.
    ///
    /// # Errors
    ///
    /// A name or a password has more than 255 octets.
    pub fn list<N, P>(users: impl IntoIterator<Item = (N, P)>) -> Result<Self, TooLong>
    where
        N: TryInto<Text, Error: Into<TooLong>>,
        P: TryInto<Text, Error: Into<TooLong>>,
    {
        let users = users.into_iter().map(|(name, password)| {
            let password: Text = password.try_into().map_err(Into::into)?;
            Ok((name.try_into().map_err(Into::into)?, password.into()))
        });
        let users: BTreeMap<Text, Password> = users.collect::<Result<_, TooLong>>()?;
        Ok(Self(Arc::new(move |name, password, _| {
            // Compared without telling by the time that it takes how much of it is right.
            let given = Password::from(password.clone());
            match users.get(name) {
                Some(right) if *right == given => Verdict::AllowAs(name.clone()),
                _ => Verdict::Deny(Denial::Refused),
            }
        })))
    }

    /// Who the application says: it is asked of each name and password that comes, and from where (`127.0.0.1:0` stands for a Unix
    /// socket).
    ///
    /// It may take its time: the questions come one after the other, on a thread of their own, and the socket goes on meanwhile. A
    /// question that waited for 5 s for its turn is answered with [`Denial::Temporary`] by itself, and so are those beyond 256 that
    /// wait. An answer that panics is [`Denial::Internal`].
    ///
    /// ```
    /// use atonce_std::socket::Passwords;
    /// use atonce_std::{Denial, Verdict};
    ///
    /// let passwords = Passwords::ask(|name, password, remote| {
    ///     if remote.ip().is_loopback() && name == "joe" && password == "s3cret" {
    ///         Verdict::AllowAs(name.clone())
    ///     } else {
    ///         Verdict::Deny(Denial::Refused)
    ///     }
    /// });
    /// # let _ = passwords;
    /// ```
    pub fn ask(
        decide: impl Fn(&Text, &Text, SocketAddr) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(decide))
    }

    pub(crate) fn decider(&self) -> Decider {
        Decider::Passwords(Arc::clone(&self.0))
    }
}

/// Without any of them.
impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passwords(..)")
    }
}
