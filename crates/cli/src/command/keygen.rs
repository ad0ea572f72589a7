//! `keygen`: makes a certificate.

use std::io::Write;
use std::path::PathBuf;
use std::time::SystemTime;

use atonce_std::{Certificate, InvalidMetadata};
use clap::Args;

use crate::failure::{self, Failure};
use crate::value;

/// Said below the help.
const AFTER_HELP: &str = "\
FILE has the public key: give it to those who are to trust you. FILE_secret has both keys: keep it, nobody else can read it.
Both are certificates of CZMQ, too. What is printed is the public key.

Examples:
  atonce keygen alice.cert                 alice.cert and alice.cert_secret
  atonce keygen alice.cert --meta email=alice@example.org --meta organization=Wonderland";

/// See the module.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Keygen {
    /// Where to write it; nothing that is there is overwritten.
    #[arg(value_parser = value::certificate_path)]
    file: PathBuf,

    /// Say this about the key; repeatable [default: `name`, that of the file].
    #[arg(long, value_name = "K=V", value_parser = value::key_value)]
    meta: Vec<(String, String)>,
}

impl Keygen {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut certificate = Certificate::generate()?;
        self.describe(&mut certificate)?;
        certificate.save_new(&self.file)?;
        let file = self.file.display();
        failure::note(&format!(
            "{file} is for others to know the key, {file}_secret is yours alone"
        ));
        writeln!(std::io::stdout(), "{}", certificate.public_key())?;
        Ok(())
    }

    /// Says what CZMQ's own maker of certificates says, as far as it is known.
    fn describe(&self, certificate: &mut Certificate) -> Result<(), Failure> {
        if let Some(name) = self.file.file_stem().and_then(|stem| stem.to_str()) {
            // A file may have a name that a certificate cannot say; then it has none.
            let _ = certificate.set_metadata("name", name);
        }
        let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let ours = [
            ("created-by", concat!("atonce ", env!("CARGO_PKG_VERSION"))),
            ("date-created", &now),
        ];
        let given = self.meta.iter().map(|(name, value)| (&**name, &**value));
        for (name, value) in ours.into_iter().chain(given) {
            certificate
                .set_metadata(name, value)
                .map_err(|error: InvalidMetadata| {
                    Failure::Usage(format!("--meta {name}: {error}"))
                })?;
        }
        Ok(())
    }
}
