//! The options of security, for commands that start a node.

use atonce::curve::PublicKey;
use atonce_std::{Certificate, Trust};
use clap::Args;

/// What a handler of ZAP is asked about: as libzyre has it, so that one handler can serve both.
const ZAP_DOMAIN: &str = "global";

/// See the module. Neither means anything without the other: whom to trust is never left open.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Security of the node")]
pub(crate) struct SecurityOptions {
    /// Encrypt everything, and be known by the key in FILE_secret, which `atonce keygen` makes.
    #[arg(long, value_name = "FILE", value_parser = own_certificate, requires = "trust")]
    cert: Option<Certificate>,

    /// Whose keys may come in: that of a certificate, those of a folder of certificates, those that a trust file has or takes,
    /// `any`, or whom the ZAP handler at `zap:tcp://127.0.0.1:PORT` lets in, asked about the domain `global`.
    #[arg(long, value_name = "FILE|DIR|any|zap:ENDPOINT", value_parser = trust, requires = "cert")]
    trust: Option<Trust>,
}

impl SecurityOptions {
    /// The certificate of the node and whom it trusts; `None` without security.
    pub(crate) fn security(&self) -> Option<(Certificate, Trust)> {
        Some((self.cert.clone()?, self.trust.clone()?))
    }
}

/// A certificate with its secret key.
pub(crate) fn own_certificate(given: &str) -> Result<Certificate, String> {
    let certificate = Certificate::load(given).map_err(|error| error.to_string())?;
    if certificate.key_pair().is_none() {
        return Err(format!(
            "it has the public key only; {given}_secret with the secret one should be beside it"
        ));
    }
    Ok(certificate)
}

/// A public key as it is, or that of a certificate. One key in 82 begins with `-`: the option has to allow it.
pub(crate) fn public_key(given: &str) -> Result<PublicKey, String> {
    given.parse().or_else(|_| {
        Certificate::load_public(given)
            .map(|certificate| *certificate.public_key())
            .map_err(|error| format!("neither a key of 40 characters nor a certificate: {error}"))
    })
}

/// Whom to trust.
pub(crate) fn trust(given: &str) -> Result<Trust, String> {
    // A file of such a name can be given as `./zap:…`.
    let trust = match given.strip_prefix("zap:") {
        Some(endpoint) => Trust::zap(endpoint, ZAP_DOMAIN),
        None if given == "any" => Ok(Trust::any()),
        None => Trust::open(given),
    };
    trust.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser;

    use super::*;

    /// A command with these options.
    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        security: SecurityOptions,
    }

    fn parse(args: &[&str]) -> Result<SecurityOptions, String> {
        let command = Command::try_parse_from([&["x"], args].concat());
        command
            .map(|command| command.security)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn without_options_there_is_no_security_and_one_wants_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let alice = folder.path().join("alice").display().to_string();
        Certificate::generate().unwrap().save(&alice).unwrap();
        assert!(parse(&[]).unwrap().security().is_none());
        assert!(
            parse(&["--cert", &alice])
                .unwrap_err()
                .contains("--trust <FILE|DIR|any|zap:ENDPOINT>")
        );
        assert!(
            parse(&["--trust", "any"])
                .unwrap_err()
                .contains("--cert <FILE>")
        );
    }

    #[test]
    fn a_certificate_and_whom_to_trust_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (alice, bob) = (
            Certificate::generate().unwrap(),
            Certificate::generate().unwrap(),
        );
        alice.save(path("alice")).unwrap();
        fs::create_dir(path("friends")).unwrap();
        bob.save_public(path("friends/bob")).unwrap();
        fs::write(path("list"), format!("{}\n", bob.public_key())).unwrap();
        fs::write(path("first"), "first-use\n").unwrap();
        for (trusted, alice_too) in [
            (path("friends"), false),
            (path("friends/bob"), false),
            (path("list"), false),
            (path("first"), true),
            ("any".to_owned(), true),
        ] {
            let options = parse(&["--cert", &path("alice"), "--trust", &trusted]).unwrap();
            let (certificate, mut trust) = options.security().unwrap();
            assert_eq!(certificate.public_key(), alice.public_key());
            assert!(trust.allows(bob.public_key()).unwrap(), "{trusted}");
            assert_eq!(
                trust.allows(alice.public_key()).unwrap(),
                alice_too,
                "{trusted}"
            );
        }
    }

    #[test]
    fn a_handler_is_asked_where_it_is_safe() {
        let folder = tempfile::tempdir().unwrap();
        let alice = folder.path().join("alice").display().to_string();
        Certificate::generate().unwrap().save(&alice).unwrap();
        let given = |trusted| parse(&["--cert", &alice, "--trust", trusted]);
        assert!(
            given("zap:tcp://127.0.0.1:9000")
                .unwrap()
                .security()
                .is_some()
        );
        for (trusted, told) in [
            ("zap:tcp://10.0.0.7:9000", "not on the loopback"),
            (
                "zap:inproc://zeromq.zap.01",
                "not where a handler can be reached",
            ),
        ] {
            let error = given(trusted).unwrap_err();
            assert!(error.contains("--trust") && error.contains(told), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_with_them_is_told_with_the_option() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let alice = Certificate::generate().unwrap();
        alice.save_public(path("alice")).unwrap();
        alice.save(path("bob")).unwrap();
        let error = parse(&["--cert", &path("alice"), "--trust", "any"]).unwrap_err();
        assert!(
            error.contains("--cert <FILE>") && error.contains("alice_secret"),
            "{error}"
        );
        let error = parse(&["--cert", &path("bob"), "--trust", &path("nobody")]).unwrap_err();
        assert!(
            error.contains("--trust") && error.contains("echo first-use >"),
            "{error}"
        );
        let secret = path("bob_secret");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        fs::set_permissions(&secret, open).unwrap();
        let error = parse(&["--cert", &path("bob"), "--trust", "any"]).unwrap_err();
        assert!(error.contains(&format!("chmod 600 {secret}")), "{error}");
    }
}
