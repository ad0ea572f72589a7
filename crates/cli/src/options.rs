//! The options of every command that starts a node.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use atonce::PeerId;
use atonce::endpoint::Endpoint;
use atonce::wire::{LongText, Text};
use atonce::zre::Config;
use atonce_std::log::{Collector, CollectorBuilder, Level};
use atonce_std::{Builder, Contact, Family, Node};
use clap::Args;

use crate::failure::Failure;
use crate::security::SecurityOptions;
use crate::value;

/// The UDP port that IANA assigned to ZRE discovery.
const BEACON_PORT: u16 = 5670;

/// See the module.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Options of the node")]
pub(crate) struct NodeOptions {
    /// Public name [default: the first 6 digits of the UUID].
    #[arg(long, value_parser = value::text)]
    pub(crate) name: Option<Text>,

    /// Identity, 32 hexadecimal digits [default: random].
    #[arg(long, value_name = "HEX32")]
    uuid: Option<PeerId>,

    /// Where to beacon, listen and bind: eth0, 10.0.0.1, fe80::1%eth0; `lo` keeps everything on this machine; repeatable
    /// [default: every interface that is up and can broadcast].
    #[arg(long, value_name = "NAME|IP", value_parser = value::interface)]
    interface: Vec<String>,

    /// Over which versions of IP others are met [default: both, as far as this machine has them].
    #[arg(long, value_name = "WHICH", value_parser = value::family())]
    family: Option<Family>,

    /// Beacon to this multicast group besides, and hear it; gyre hears 224.0.0.250 and ff02::fa; repeatable
    /// [default: broadcast, and ff02::1 over IPv6].
    #[arg(long, value_name = "GROUP", value_parser = value::group)]
    multicast: Vec<IpAddr>,

    /// UDP port of the beacons, the same for all who are to meet; 0 turns beacons off.
    #[arg(long, default_value_t = BEACON_PORT)]
    port: u16,

    /// Time between two beacons, in milliseconds [default: 1000].
    #[arg(long, value_name = "MS", value_parser = value::millis)]
    interval: Option<Duration>,

    /// How long a peer may be silent before it is asked with a PING, in milliseconds [default: 5000].
    #[arg(long, value_name = "MS", value_parser = value::millis)]
    evasive_timeout: Option<Duration>,

    /// How long a peer may be silent before it is gone, in milliseconds [default: 30000].
    #[arg(long, value_name = "MS", value_parser = value::millis)]
    expired_timeout: Option<Duration>,

    /// Port of the mailbox, or a range to take one of, for firewalls [default: any].
    #[arg(long, value_name = "N|A-B", value_parser = value::tcp_ports)]
    tcp_port: Option<RangeInclusive<u16>>,

    /// Endpoint told to others, an address and no name [default: what was bound].
    #[arg(long, value_name = "tcp://ADDRESS:PORT", value_parser = value::advertised)]
    advertise: Option<Endpoint>,

    /// Tell every peer this about the node; repeatable.
    #[arg(long, value_name = "K=V", value_parser = value::header)]
    header: Vec<(Text, LongText)>,

    /// Join this group; repeatable.
    #[arg(long, value_parser = value::text)]
    pub(crate) group: Vec<Text>,

    /// Stand for leader of this group, and join it; repeatable.
    #[arg(long, value_name = "GROUP", value_parser = value::text)]
    contest: Vec<Text>,

    /// Contact this node directly, until it answers; in a secure network with its public key; repeatable.
    #[arg(long, value_name = "tcp://HOST:PORT[|KEY]", value_parser = value::contact)]
    peer: Vec<Contact>,

    /// Be a hub of gossip here, where those come who hear no beacons: `tcp://ADDRESS:PORT`, or `*` for all addresses;
    /// repeatable.
    #[arg(long, value_name = "tcp://ADDRESS:PORT", value_parser = value::gossip_bind)]
    gossip_bind: Vec<String>,

    /// Find others by gossip at this hub, `atonce` or C Zyre; in a secure network with its public key; repeatable.
    #[arg(long, value_name = "tcp://HOST:PORT[|KEY]", value_parser = value::gossip_connect)]
    gossip_connect: Vec<String>,

    /// Tell collectors of log records (`atonce log`) what happens to this node, up to this level
    /// [error, warning or info, which is meant when there is none].
    #[arg(long, value_name = "LEVEL", value_parser = value::level)]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "info")]
    pub(crate) log: Option<Level>,

    #[command(flatten)]
    security: SecurityOptions,

    /// Write one JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

impl NodeOptions {
    /// A builder for the node that these options describe.
    pub(crate) fn builder(&self) -> Result<Builder, Failure> {
        self.check()?;
        let mut builder = Node::builder().port(self.port);
        if let Some(name) = &self.name {
            builder = builder.name(name.to_string());
        }
        if let Some(uuid) = self.uuid {
            builder = builder.uuid(uuid);
        }
        for interface in &self.interface {
            builder = builder.interface(interface);
        }
        if let Some(family) = self.family {
            builder = builder.family(family);
        }
        for group in &self.multicast {
            builder = builder.multicast(*group);
        }
        if let Some(interval) = self.interval {
            builder = builder.interval(interval);
        }
        if let Some(timeout) = self.evasive_timeout {
            builder = builder.evasive_timeout(timeout);
        }
        if let Some(timeout) = self.expired_timeout {
            builder = builder.expired_timeout(timeout);
        }
        if let Some(ports) = &self.tcp_port {
            builder = builder.tcp_ports(ports.clone());
        }
        if let Some(endpoint) = &self.advertise {
            builder = builder.advertise(endpoint.to_string());
        }
        for (key, value) in &self.header {
            builder = builder.header(key.to_string(), value.to_string());
        }
        for group in &self.group {
            builder = builder.group(group.to_string());
        }
        for group in &self.contest {
            builder = builder.group(group.to_string());
            builder = builder.contest(group.to_string());
        }
        for contact in &self.peer {
            builder = builder.peer(contact.to_string());
        }
        for endpoint in &self.gossip_bind {
            builder = builder.gossip_bind(endpoint);
        }
        for hub in &self.gossip_connect {
            builder = builder.gossip_connect(hub);
        }
        if let Some((certificate, trust)) = self.security.security() {
            builder = builder.curve(certificate, trust);
        }
        if let Some(level) = self.log {
            builder = builder.log(level);
        }
        Ok(builder)
    }

    /// What a collector of log records is made of that listens where this node does, and lets in whom it lets in.
    pub(crate) fn collector(&self) -> CollectorBuilder {
        let mut builder = Collector::builder();
        for interface in &self.interface {
            builder = builder.interface(interface);
        }
        if let Some(family) = self.family {
            builder = builder.family(family);
        }
        if let Some((certificate, trust)) = self.security.security() {
            builder = builder.curve(certificate, trust);
        }
        builder
    }

    /// What no single option can know.
    fn check(&self) -> Result<(), Failure> {
        let default = Config::default();
        let evasive = self.evasive_timeout.unwrap_or(default.evasive_timeout);
        let expired = self.expired_timeout.unwrap_or(default.expired_timeout);
        if expired <= evasive {
            return Err(Failure::Usage(format!(
                "--expired-timeout ({} ms) must be longer than --evasive-timeout ({} ms)",
                expired.as_millis(),
                evasive.as_millis()
            )));
        }
        for (index, (key, _)) in self.header.iter().enumerate() {
            if self
                .header
                .iter()
                .skip(index + 1)
                .any(|(other, _)| other == key)
            {
                return Err(Failure::Usage(format!(
                    "--header {key} is given twice; a header has one value"
                )));
            }
        }
        Ok(())
    }
}
