//! `server`: where bridges meet.

use std::ops::RangeInclusive;

use atonce_std::once::{self, PORT, RELAY_PORT};
use clap::Args;

use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::once::lines::Teller;
use crate::once::{Asked, CommonOptions, Input, Inputs, raise_descriptors, tell};
use crate::value;

/// [`RELAY_PORT`] in words.
const RELAY: &str = "5673";
const _: () = assert!(RELAY_PORT == 5673);

/// Said below the help.
const AFTER_HELP: &str = "\
Bridges that know the server meet here, are told of each other, and then talk without it. It carries nothing of what they say, keeps
nothing, and may go when they have met. Open UDP port 5671 and the TCP port of the mailbox to them.

Examples:
  openssl rand -hex 32 > secret; chmod 600 secret      a secret, for the server and all bridges
  atonce server --secret-file secret --tcp-port 5671
  atonce server --cert meet.cert --trust bridges/      without a secret: the keys of the bridges, as certificates in a folder
  atonce server --secret-file secret --relay           also for bridges of which neither can be dialled: on TCP port 5673
  atonce server --open                                 for a network in which everybody is trusted";

/// See the module.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Server {
    /// Where bridges come in, by name or address; repeatable [default: every interface].
    #[arg(long, value_name = "NAME|IP", value_parser = value::interface)]
    interface: Vec<String>,

    /// UDP port at which bridges' beacons come; 0 takes any that is free.
    #[arg(long, default_value_t = PORT)]
    port: u16,

    /// Port of the mailbox, or a range to take one of, for firewalls [default: any].
    #[arg(long, value_name = "N|A-B", value_parser = value::tcp_ports)]
    tcp_port: Option<RangeInclusive<u16>>,

    /// Also join bridges that cannot dial each other, on this TCP port; what they say stays encrypted.
    #[arg(long, value_name = "PORT", num_args = 0..=1, require_equals = true, default_missing_value = RELAY,
          value_parser = clap::value_parser!(u16).range(1..))]
    relay: Option<u16>,

    /// What bridges have as well.
    #[command(flatten)]
    common: CommonOptions,
}

impl Server {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let common = &self.common;
        let admitted = common.admitted("server")?;
        let mut builder = once::Server::builder().port(self.port);
        for interface in &self.interface {
            builder = builder.interface(interface);
        }
        if let Some(ports) = &self.tcp_port {
            builder = builder.tcp_ports(ports.clone());
        }
        if let Some(port) = self.relay {
            builder = builder.relay(port);
        }
        let builder = tell!(builder, common, admitted);
        raise_descriptors();
        let interrupt = Interrupt::watch()?;
        let asked = Asked::watch()?;
        let server = builder.start()?;
        let stopped = server.clone();
        interrupt.does(move || stopped.stop());
        let receiver = server.clone();
        let mut inputs = Inputs::new(asked, common.status, move || receiver.recv());
        let mut teller = Teller::new(common.json);
        let (name, endpoints) = (server.name(), server.endpoints());
        teller.start(server.id(), name, &endpoints, admitted.key())?;
        while let Some(input) = inputs.next() {
            let told = match input {
                Input::Event(event) => teller.server(&event, || server.status().members),
                Input::Status => teller.server_status(&server.status()),
            };
            if told.is_err() {
                // Nobody reads it any more: it leaves as it would otherwise.
                server.stop();
                return told;
            }
        }
        Ok(())
    }
}
