//! `bridge`: makes one network of this LAN and others.

use std::ops::RangeInclusive;

use atonce_std::once::{self, InvalidServerAddress, Limits, PORT, ServerAddress};
use atonce_std::{Certificate, Trust};
use clap::Args;

use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::once::lines::Teller;
use crate::once::{Asked, CommonOptions, Input, Inputs, raise_descriptors, tell};
use crate::{security, value};

/// Said below the help.
const AFTER_HELP: &str = "\
Who is on this LAN is shown on the LANs of all other bridges, and they here, under their own names and UUIDs: programs that speak ZRE
need to know nothing of it. Bridges find each other through a server (`atonce server`), and then talk without it.

A bridge that cannot be dialled from outside, behind a router at home, needs nothing: it dials. Otherwise open the UDP port and the TCP
port that `--wan-port` and `--wan-tcp-port` say, or give the endpoint of a port forwarding with `--advertise`.

Examples:
  openssl rand -hex 32 > secret; chmod 600 secret      a secret, for the server and all bridges
  atonce bridge --lan eth0 --server meet.example.org --secret-file secret
  atonce bridge --lan eth1 --wan eth0 --wan-tcp-port 5671 --server meet.example.org --secret-file secret
  atonce bridge --lan eth0 --server meet.example.org --cert here.cert --trust bridges/
  atonce bridge --lan eth0 --server 10.0.0.7 --open    for a network in which everybody is trusted";

/// See the module.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Bridge {
    /// The LAN: where the peers are that others are to see, by name or address.
    #[arg(long, value_name = "NAME|IP", value_parser = value::interface)]
    lan: String,

    /// Where servers and other bridges are met, by name or address; repeatable [default: every interface].
    #[arg(long, value_name = "NAME|IP", value_parser = value::interface)]
    wan: Vec<String>,

    /// A server, or a bridge to be met without one: sent beacons at UDP port 5671 or PORT, or its mailbox and its key; repeatable.
    #[arg(long, value_name = "HOST[:PORT]|tcp://HOST:PORT|KEY", value_parser = server)]
    server: Vec<ServerAddress>,

    /// UDP port of the beacons on the LAN, the same for all who are to meet.
    #[arg(long, default_value_t = 5670, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,

    /// UDP port at which beacons of other bridges come; 0 takes any that is free.
    #[arg(long, default_value_t = PORT)]
    wan_port: u16,

    /// Ports of mailboxes on the LAN, its own and one for each peer of another LAN, for firewalls [default: any].
    #[arg(long, value_name = "A-B", value_parser = value::tcp_ports)]
    tcp_port: Option<RangeInclusive<u16>>,

    /// Port of the mailbox for servers and bridges, or a range to take one of, for firewalls [default: any].
    #[arg(long, value_name = "N|A-B", value_parser = value::tcp_ports)]
    wan_tcp_port: Option<RangeInclusive<u16>>,

    /// The most peers of other LANs that are shown here.
    #[arg(long, value_name = "N", default_value_t = Limits::default().stand_ins)]
    max_stand_ins: usize,

    /// On a secure LAN: our certificate there, also for those who are elsewhere. Peers that have a list of keys need it in there with
    /// the word `bridge`.
    #[arg(long, value_name = "FILE", value_parser = security::own_certificate, requires = "lan_trust")]
    lan_cert: Option<Certificate>,

    /// On a secure LAN: whose keys may come in.
    #[arg(long, value_name = "FILE|DIR|any|zap:ENDPOINT", value_parser = security::trust, requires = "lan_cert")]
    lan_trust: Option<Trust>,

    /// What servers have as well.
    #[command(flatten)]
    common: CommonOptions,
}

impl Bridge {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let common = &self.common;
        let admitted = common.admitted("bridge")?;
        let mut builder = once::Bridge::builder(&self.lan)
            .lan_port(self.port)
            .port(self.wan_port)
            .limits(Limits {
                stand_ins: self.max_stand_ins,
                ..Limits::default()
            });
        for interface in &self.wan {
            builder = builder.interface(interface);
        }
        for server in &self.server {
            builder = builder.server(server.clone());
        }
        if let Some(ports) = &self.tcp_port {
            builder = builder.lan_tcp_ports(ports.clone());
        }
        if let Some(ports) = &self.wan_tcp_port {
            builder = builder.tcp_ports(ports.clone());
        }
        if let (Some(certificate), Some(trust)) = (&self.lan_cert, &self.lan_trust) {
            builder = builder.lan_curve(certificate.clone(), trust.clone());
        }
        let builder = tell!(builder, common, admitted);
        raise_descriptors();
        let interrupt = Interrupt::watch()?;
        let asked = Asked::watch()?;
        let bridge = builder.start()?;
        let stopped = bridge.clone();
        interrupt.does(move || stopped.stop());
        let receiver = bridge.clone();
        let mut inputs = Inputs::new(asked, common.status, move || receiver.recv());
        let mut teller = Teller::new(common.json);
        let (name, endpoints) = (bridge.name(), bridge.endpoints());
        teller.start(bridge.id(), name, &endpoints, admitted.key())?;
        while let Some(input) = inputs.next() {
            let told = match input {
                Input::Event(event) => teller.bridge(&event),
                Input::Status => teller.bridge_status(&bridge.status()),
            };
            if told.is_err() {
                // Nobody reads it any more: it leaves as it would otherwise.
                bridge.stop();
                return told;
            }
        }
        Ok(())
    }
}

/// Where a server is.
fn server(given: &str) -> Result<ServerAddress, String> {
    given
        .parse()
        .map_err(|error: InvalidServerAddress| error.to_string())
}
