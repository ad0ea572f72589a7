//! What is in a certificate, and whether somebody trusts it:
//!
//! ```text
//! cargo run --example certificate -- show FILE         its public key, whether the secret one is known, and its metadata
//! cargo run --example certificate -- copy FROM TO      loads it and saves it again
//! cargo run --example certificate -- trusts PATH KEY   whether a certificate, a folder of them or a trust file lets KEY in
//! ```

use std::error::Error;
use std::process::ExitCode;

use atonce_std::{Certificate, Trust};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    match arguments {
        ["show", file] => {
            let certificate = Certificate::load(file)?;
            println!("public-key: {}", certificate.public_key());
            let secret = certificate.key_pair().map_or("unknown", |_| "known");
            println!("secret-key: {secret}");
            for (name, value) in certificate.metadata() {
                println!("metadata {name}: {value}");
            }
        }
        ["copy", from, to] => Certificate::load(from)?.save(to)?,
        ["trusts", path, key] => {
            let allows = Trust::open(path)?.allows(&key.parse()?)?;
            println!("{}", if allows { "yes" } else { "no" });
        }
        _ => return Err("usage: show FILE | copy FROM TO | trusts PATH KEY".into()),
    }
    Ok(())
}
