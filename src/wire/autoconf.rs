//! The datagrams with which servers say where they are, and clients ask: `spec/autoconf.md`.
//!
//! ```
//! use core::num::NonZeroU32;
//! use atonce::wire::autoconf::{Announcement, Datagram, InstanceId, Offer};
//!
//! let offer = Offer::new("printing".parse()?, [([192, 168, 1, 2], 50053).into()])?;
//! let announcement = Datagram::Announcement(Announcement {
//!     instance: InstanceId::from_bytes([7; 16]),
//!     ttl: NonZeroU32::new(45_000).expect("it is not zero"),
//!     offer,
//! });
//! let datagram = announcement.encode();
//! assert_eq!((&datagram[..4], datagram.len()), (&b"\xAA\xAC\x01\x02"[..], 43));
//! assert_eq!(Datagram::decode(&datagram)?, announcement);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::num::NonZeroU32;
use core::str::FromStr;

use bytes::{BufMut, Bytes};
use nom::Parser;

use super::primitive::{
    Parsed, array, exactly, number1, number2, number4, octets, put_string, refused, string_len,
    too_many, whole,
};
use super::{Expected, Found, Malformed, Text};

const SIGNATURE: u16 = 0xAAAC;
const VERSION: u8 = 1;
/// Signature, version and kind, with which every datagram begins.
const PREFIX_OCTETS: usize = 4;
const QUERY: u8 = 1;
const ANNOUNCE: u8 = 2;
const GOODBYE: u8 = 3;
const V4: u8 = 4;
const V6: u8 = 6;

/// Where a server can be dialled, as the wire has it.
const fn endpoint_len(endpoint: &SocketAddr) -> usize {
    let address = if endpoint.is_ipv4() { 4 } else { 16 };
    size_of::<u8>() + address + size_of::<u16>()
}

/// One start of one server: 16 octets that it draws, so that nobody else has them. Its text is 32 hexadecimal digits.
///
/// ```
/// use atonce::wire::autoconf::InstanceId;
///
/// let instance = InstanceId::from_bytes([0xA7; 16]);
/// assert_eq!(instance.to_string(), "A7A7A7A7A7A7A7A7A7A7A7A7A7A7A7A7");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId([u8; 16]);

/// The name of a service: 1 to 255 octets of UTF-8 without control characters.
///
/// ```
/// use atonce::wire::autoconf::ServiceName;
///
/// let service: ServiceName = "printing".parse()?;
/// assert_eq!(service.as_str(), "printing");
/// assert!("".parse::<ServiceName>().is_err());
/// assert!("two\nlines".parse::<ServiceName>().is_err());
/// # Ok::<(), atonce::wire::autoconf::InvalidServiceName>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(Text);

/// What was given cannot be the name of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidServiceName {
    /// It has no octets.
    #[error("the name of a service has at least one octet")]
    Empty,
    /// It has too many.
    #[error("the name of a service has at most 255 octets, found {0}")]
    TooLong(usize),
    /// Some of it is not for people's eyes.
    #[error("the name of a service is UTF-8 without control characters")]
    NotText,
}

/// What a server says of itself: all that one instance ever says.
///
/// It is checked when it is made, so that every offer can be announced.
///
/// ```
/// use atonce::wire::autoconf::{InvalidOffer, Offer};
///
/// let endpoint = ([192, 168, 1, 2], 50053).into();
/// let offer = Offer::new("printing".parse()?, [endpoint])?
///     .with_key([7; 32])?
///     .with_property("colour".try_into()?, "yes".try_into()?)?;
/// assert_eq!(offer.endpoints(), [endpoint]);
/// let nowhere = Offer::new("printing".parse()?, [([0, 0, 0, 0], 50053).into()]);
/// assert_eq!(nowhere, Err(InvalidOffer::Address([0, 0, 0, 0].into())));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    service: ServiceName,
    /// One to [`Offer::ENDPOINTS`], each that of one machine, without zones.
    endpoints: Vec<SocketAddr>,
    key: Option<[u8; 32]>,
    /// At most [`Offer::PROPERTIES`], in the order of their names, each of which is there once and is not empty.
    properties: Vec<(Text, Text)>,
}

/// What was given cannot be announced. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidOffer {
    /// There is no endpoint.
    #[error("a server has at least one endpoint")]
    NoEndpoint,
    /// There are too many endpoints.
    #[error("a server announces at most {limit} endpoints", limit = Offer::ENDPOINTS)]
    TooManyEndpoints,
    /// An endpoint is not that of one machine.
    #[error("{0} is not the address of one machine")]
    Address(IpAddr),
    /// An endpoint has the port 0, so that nobody listens there yet.
    #[error("port 0 is no port that can be dialled: bind first")]
    Port,
    /// A property has a name of no octets.
    #[error("the name of a property has at least one octet")]
    PropertyName,
    /// Two properties have one name.
    #[error("the property {0} is there twice")]
    PropertyTwice(Text),
    /// There are too many properties.
    #[error("a server announces at most {limit} properties", limit = Offer::PROPERTIES)]
    TooManyProperties,
    /// All of it does not fit a datagram.
    #[error("an announcement of {octets} octets does not fit: at most {limit} are allowed", limit = Datagram::LIMIT)]
    TooLong {
        /// How long it would be.
        octets: usize,
    },
}

/// A server says where it is, or that it still is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Which start of which server.
    pub instance: InstanceId,
    /// For how long it counts, in milliseconds.
    pub ttl: NonZeroU32,
    /// What it says of itself.
    pub offer: Offer,
}

/// A datagram of autoconfiguration.
///
/// [The module](self) has an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Datagram {
    /// Who offers this service, or any, is to say so.
    Query(Option<ServiceName>),
    /// A server is there.
    Announcement(Announcement),
    /// A server leaves.
    Goodbye(InstanceId),
}

impl InstanceId {
    /// The instance with these octets.
    pub const fn from_bytes(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// Its octets.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032X}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl ServiceName {
    /// The name.
    pub fn as_str(&self) -> &str {
        // It was looked at when it was made.
        core::str::from_utf8(self.0.as_bytes()).unwrap_or_default()
    }
}

impl TryFrom<&[u8]> for ServiceName {
    type Error = InvalidServiceName;

    fn try_from(octets: &[u8]) -> Result<Self, InvalidServiceName> {
        // AUTO-4
        let name =
            Text::try_from(octets).map_err(|error| InvalidServiceName::TooLong(error.octets))?;
        if name.is_empty() {
            return Err(InvalidServiceName::Empty);
        }
        match core::str::from_utf8(octets) {
            Ok(text) if !text.contains(char::is_control) => Ok(Self(name)),
            _ => Err(InvalidServiceName::NotText),
        }
    }
}

impl FromStr for ServiceName {
    type Err = InvalidServiceName;

    fn from_str(text: &str) -> Result<Self, InvalidServiceName> {
        Self::try_from(text.as_bytes())
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Offer {
    /// The most endpoints: 8. A machine with more networks says those that it is asked to say.
    pub const ENDPOINTS: usize = 8;
    /// The most properties: 16.
    pub const PROPERTIES: usize = 16;

    /// What offers this service at these endpoints, with no key and no properties. A zone of IPv6 is left out, since it means nothing to
    /// others.
    ///
    /// # Errors
    ///
    /// There is none, there are more than [`ENDPOINTS`](Self::ENDPOINTS), or one of them cannot be dialled by others.
    pub fn new(
        service: ServiceName,
        endpoints: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<Self, InvalidOffer> {
        let mut kept = Vec::new();
        for endpoint in endpoints {
            let address = endpoint.ip();
            // AUTO-5
            if !is_of_one_machine(address) {
                return Err(InvalidOffer::Address(address));
            }
            if endpoint.port() == 0 {
                return Err(InvalidOffer::Port);
            }
            if kept.len() == Self::ENDPOINTS {
                return Err(InvalidOffer::TooManyEndpoints);
            }
            kept.push(SocketAddr::new(address, endpoint.port()));
        }
        if kept.is_empty() {
            return Err(InvalidOffer::NoEndpoint);
        }
        Ok(Self {
            service,
            endpoints: kept,
            key: None,
            properties: Vec::new(),
        })
    }

    /// The same for clients that speak CURVE: this is the server's public key.
    ///
    /// # Errors
    ///
    /// With what else is to be said it does not fit a datagram.
    // AUTO-6
    pub fn with_key(mut self, key: [u8; 32]) -> Result<Self, InvalidOffer> {
        self.key = Some(key);
        self.checked()
    }

    /// The same with one more property.
    ///
    /// # Errors
    ///
    /// It has no name, or one that is there already; there are too many; or it does not fit a datagram.
    pub fn with_property(mut self, name: Text, value: Text) -> Result<Self, InvalidOffer> {
        if name.is_empty() {
            return Err(InvalidOffer::PropertyName);
        }
        // AUTO-7
        let place = self
            .properties
            .binary_search_by(|(other, _)| other.cmp(&name));
        let Err(place) = place else {
            return Err(InvalidOffer::PropertyTwice(name));
        };
        if self.properties.len() == Self::PROPERTIES {
            return Err(InvalidOffer::TooManyProperties);
        }
        self.properties.insert(place, (name, value));
        self.checked()
    }

    fn checked(self) -> Result<Self, InvalidOffer> {
        // AUTO-2
        let octets = PREFIX_OCTETS + self.announced_len();
        if octets > Datagram::LIMIT {
            return Err(InvalidOffer::TooLong { octets });
        }
        Ok(self)
    }

    /// What it offers.
    pub const fn service(&self) -> &ServiceName {
        &self.service
    }

    /// Where it can be dialled, as it says.
    pub fn endpoints(&self) -> &[SocketAddr] {
        &self.endpoints
    }

    /// Its public key of CURVE, if it wants that.
    pub const fn key(&self) -> Option<&[u8; 32]> {
        self.key.as_ref()
    }

    /// What else it says, in the order of the names.
    pub fn properties(&self) -> &[(Text, Text)] {
        &self.properties
    }

    /// The value under this name, compared octet by octet.
    pub fn property(&self, name: &str) -> Option<&Text> {
        let found = self.properties.iter().find(|(other, _)| *other == *name);
        found.map(|(_, value)| value)
    }

    /// The octets of the fields of an announcement of it.
    fn announced_len(&self) -> usize {
        let endpoints = self.endpoints.iter().map(endpoint_len);
        let properties = self.properties.iter();
        let properties = properties.map(|(name, value)| string_len(name) + string_len(value));
        size_of::<InstanceId>()
            + size_of::<u32>()
            + string_len(&self.service.0)
            + size_of::<u8>()
            + endpoints.sum::<usize>()
            + size_of::<u8>()
            + self.key.map_or(0, |key| key.len())
            + size_of::<u8>()
            + properties.sum::<usize>()
    }

    fn put(&self, out: &mut Vec<u8>) {
        let count = |len: usize| u8::try_from(len).expect("the limits are below 256");
        put_string(out, &self.service.0);
        out.put_u8(count(self.endpoints.len()));
        for endpoint in &self.endpoints {
            match endpoint.ip() {
                IpAddr::V4(address) => {
                    out.put_u8(V4);
                    out.put_slice(&address.octets());
                }
                IpAddr::V6(address) => {
                    out.put_u8(V6);
                    out.put_slice(&address.octets());
                }
            }
            out.put_u16(endpoint.port());
        }
        out.put_u8(self.key.is_some().into());
        if let Some(key) = &self.key {
            out.put_slice(key);
        }
        out.put_u8(count(self.properties.len()));
        for (name, value) in &self.properties {
            put_string(out, name);
            put_string(out, value);
        }
    }
}

/// Whether an address can be that of a server.
// AUTO-5
const fn is_of_one_machine(address: IpAddr) -> bool {
    let none = address.is_unspecified() || address.is_multicast();
    match address {
        IpAddr::V4(address) => !none && !address.is_broadcast(),
        IpAddr::V6(address) => !none && address.to_ipv4_mapped().is_none(),
    }
}

impl Datagram {
    /// The most octets: 1,200.
    pub const LIMIT: usize = 1_200;

    /// Whether a datagram begins as one of these does, in the version that is spoken here. What does not is somebody else's.
    ///
    /// ```
    /// use atonce::wire::autoconf::Datagram;
    ///
    /// assert!(Datagram::is_ours(b"\xAA\xAC\x01\x01\x00"));
    /// assert!(!Datagram::is_ours(b"\xAA\xAC\x02\x01\x00"));
    /// ```
    // AUTO-1
    pub fn is_ours(datagram: &[u8]) -> bool {
        prefix(datagram).is_ok()
    }

    /// Reads a datagram, all of it.
    ///
    /// # Errors
    ///
    /// [`Malformed`] names the first field that does not follow the grammar; `signature`, `version` or `kind` when it is none of these
    /// ([`is_ours`](Self::is_ours)).
    pub fn decode(datagram: &[u8]) -> Result<Self, Malformed> {
        let (kind, body) = prefix(datagram)?;
        // AUTO-2
        if datagram.len() > Self::LIMIT {
            return Err(too_many("datagram", Self::LIMIT, datagram.len()));
        }
        // AUTO-3: `whole` refuses what is left over.
        match kind {
            QUERY => whole("QUERY", wanted.map(Self::Query), body),
            ANNOUNCE => whole("ANNOUNCE", announcement.map(Self::Announcement), body),
            _ => {
                let instance = array("GOODBYE.instance").map(InstanceId);
                whole("GOODBYE", instance.map(Self::Goodbye), body)
            }
        }
    }

    /// The datagram, allocated once and to its exact size.
    // AUTO-8
    pub fn encode(&self) -> Bytes {
        let (kind, size) = match self {
            Self::Query(service) => {
                let service = service.as_ref().map_or(0, |service| service.0.len());
                (QUERY, size_of::<u8>() + service)
            }
            Self::Announcement(announcement) => (ANNOUNCE, announcement.offer.announced_len()),
            Self::Goodbye(_) => (GOODBYE, size_of::<InstanceId>()),
        };
        let mut datagram = Vec::with_capacity(PREFIX_OCTETS + size);
        datagram.put_u16(SIGNATURE);
        datagram.put_u8(VERSION);
        datagram.put_u8(kind);
        match self {
            Self::Query(None) => datagram.put_u8(0),
            Self::Query(Some(service)) => put_string(&mut datagram, &service.0),
            Self::Announcement(announcement) => {
                datagram.put_slice(announcement.instance.as_bytes());
                datagram.put_u32(announcement.ttl.get());
                announcement.offer.put(&mut datagram);
            }
            Self::Goodbye(instance) => datagram.put_slice(instance.as_bytes()),
        }
        debug_assert_eq!(datagram.len(), PREFIX_OCTETS + size, "{self:?}");
        datagram.into()
    }
}

/// The kind, and what follows.
fn prefix(datagram: &[u8]) -> Result<(u8, &[u8]), Malformed> {
    let fields = (
        // AUTO-1
        exactly("signature", number2("signature"), SIGNATURE),
        exactly("version", number1("version"), VERSION),
        number1("kind"),
        nom::combinator::rest,
    );
    let ((), (), kind, body) = whole("datagram", fields, datagram)?;
    if !(QUERY..=GOODBYE).contains(&kind) {
        let found = Found::Value(kind.into());
        return Err(Malformed::new("kind", Expected::What("1, 2 or 3"), found));
    }
    Ok((kind, body))
}

/// A length of one octet, and that many octets.
fn string(field: &'static str) -> impl Fn(&[u8]) -> Parsed<'_, &[u8]> + Copy {
    move |input| {
        let (input, length) = number1(field)(input)?;
        octets(field, usize::from(length))(input)
    }
}

fn wanted(input: &[u8]) -> Parsed<'_, Option<ServiceName>> {
    const FIELD: &str = "QUERY.service";
    let (input, name) = string(FIELD)(input)?;
    if name.is_empty() {
        return Ok((input, None));
    }
    Ok((input, Some(service_name(FIELD, name)?)))
}

fn service_name(field: &'static str, name: &[u8]) -> Result<ServiceName, nom::Err<Malformed>> {
    ServiceName::try_from(name).map_err(|error| {
        let found = match error {
            InvalidServiceName::Empty => Found::Octets(0),
            _ => Found::What("something else"),
        };
        let expected = Expected::What("UTF-8 without control characters");
        nom::Err::Failure(Malformed::new(field, expected, found))
    })
}

fn announcement(input: &[u8]) -> Parsed<'_, Announcement> {
    const SERVICE: &str = "ANNOUNCE.service";
    let (input, instance) = array("ANNOUNCE.instance")(input)?;
    let (input, ttl) = number4("ANNOUNCE.ttl")(input)?;
    let Some(ttl) = NonZeroU32::new(ttl) else {
        let expected = Expected::What("1 or more");
        return refused(Malformed::new("ANNOUNCE.ttl", expected, Found::Value(0)));
    };
    let (input, service) = string(SERVICE)(input)?;
    let service = service_name(SERVICE, service)?;
    let (input, endpoints) = endpoints(input)?;
    let (input, key) = key(input)?;
    let (input, properties) = properties(input)?;
    let offer = Offer {
        service,
        endpoints,
        key,
        properties,
    };
    let instance = InstanceId(instance);
    Ok((
        input,
        Announcement {
            instance,
            ttl,
            offer,
        },
    ))
}

fn endpoints(input: &[u8]) -> Parsed<'_, Vec<SocketAddr>> {
    const FIELD: &str = "ANNOUNCE.endpoints";
    let (mut input, count) = number1(FIELD)(input)?;
    let count = usize::from(count);
    // AUTO-5
    if count == 0 {
        let expected = Expected::What("1 or more");
        return refused(Malformed::new(FIELD, expected, Found::Value(0)));
    }
    if count > Offer::ENDPOINTS {
        return refused(too_many(FIELD, Offer::ENDPOINTS, count));
    }
    let mut endpoints = Vec::with_capacity(count);
    for _ in 0..count {
        let (rest, endpoint) = endpoint(input)?;
        endpoints.push(endpoint);
        input = rest;
    }
    Ok((input, endpoints))
}

fn endpoint(input: &[u8]) -> Parsed<'_, SocketAddr> {
    const FAMILY: &str = "ANNOUNCE.endpoint.family";
    const ADDRESS: &str = "ANNOUNCE.endpoint.address";
    const PORT: &str = "ANNOUNCE.endpoint.port";
    let (input, family) = number1(FAMILY)(input)?;
    let (input, address): (_, IpAddr) = match family {
        V4 => array::<4>(ADDRESS)
            .map(|octets| Ipv4Addr::from(octets).into())
            .parse(input)?,
        V6 => array::<16>(ADDRESS)
            .map(|octets| Ipv6Addr::from(octets).into())
            .parse(input)?,
        other => {
            let found = Found::Value(other.into());
            return refused(Malformed::new(FAMILY, Expected::What("4 or 6"), found));
        }
    };
    if !is_of_one_machine(address) {
        let expected = Expected::What("the address of one machine");
        let found = Found::What("another address");
        return refused(Malformed::new(ADDRESS, expected, found));
    }
    let (input, port) = number2(PORT)(input)?;
    if port == 0 {
        let expected = Expected::What("1 or more");
        return refused(Malformed::new(PORT, expected, Found::Value(0)));
    }
    Ok((input, SocketAddr::new(address, port)))
}

// AUTO-6
fn key(input: &[u8]) -> Parsed<'_, Option<[u8; 32]>> {
    const FIELD: &str = "ANNOUNCE.key";
    match number1(FIELD)(input)? {
        (input, 0) => Ok((input, None)),
        (input, 1) => array(FIELD).map(Some).parse(input),
        (_, flag) => {
            let found = Found::Value(flag.into());
            refused(Malformed::new(FIELD, Expected::AtMost(1), found))
        }
    }
}

fn properties(input: &[u8]) -> Parsed<'_, Vec<(Text, Text)>> {
    const FIELD: &str = "ANNOUNCE.properties";
    const NAME: &str = "ANNOUNCE.property.name";
    let (mut input, count) = number1(FIELD)(input)?;
    let count = usize::from(count);
    if count > Offer::PROPERTIES {
        return refused(too_many(FIELD, Offer::PROPERTIES, count));
    }
    let mut properties: Vec<(Text, Text)> = Vec::new();
    for _ in 0..count {
        let (rest, (name, value)) =
            (string(NAME), string("ANNOUNCE.property.value")).parse(input)?;
        input = rest;
        // AUTO-7: the empty name comes before every other one.
        let last = properties
            .last()
            .map_or(&[][..], |(last, _)| last.as_bytes());
        if name <= last {
            let expected = Expected::What("names that grow, none of them empty");
            return refused(Malformed::new(NAME, expected, Found::What("another name")));
        }
        // A length of one octet is within what a `Text` holds.
        let text = |octets| Text::try_from(octets).map_err(|_: super::TooLong| unfit(NAME));
        properties.push((text(name)?, text(value)?));
    }
    Ok((input, properties))
}

fn unfit(field: &'static str) -> nom::Err<Malformed> {
    let expected = Expected::AtMost(255);
    nom::Err::Failure(Malformed::new(
        field,
        expected,
        Found::What("something longer"),
    ))
}
