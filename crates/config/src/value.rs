//! The types that a setting can have: how each is written, read and shown.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::IpNet;

/// A type that a setting can have.
pub trait Value: Sized {
    /// What an operator may write, for messages and the reference.
    const EXPECTED: &'static str;
    /// Whether it must never be printed.
    const SECRET: bool = false;
    /// Reads what was written; `None` if it is not [`Value::EXPECTED`].
    fn parse(text: &str) -> Option<Self>;
    /// The value as an operator would write it.
    fn show(&self) -> String;
}

impl Value for bool {
    const EXPECTED: &'static str = "true or false";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "true" | "True" | "TRUE" | "1" => Some(true),
            "false" | "False" | "FALSE" | "0" => Some(false),
            _ => None,
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

macro_rules! integers {
    ($($type:ty: $expected:literal),*) => {$(
        impl Value for $type {
            const EXPECTED: &'static str = $expected;

            fn parse(text: &str) -> Option<Self> {
                text.parse().ok()
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

integers! {
    u8: "a whole number from 0 to 255",
    u16: "a whole number from 0 to 65535",
    u32: "a whole number from 0 to 4294967295",
    i32: "a whole number from -2147483648 to 2147483647"
}

impl Value for String {
    const EXPECTED: &'static str = "text";

    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }

    fn show(&self) -> String {
        format!("{self:?}")
    }
}

/// Nothing written, or written empty, is `None`.
impl<T: Value> Value for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;
    const SECRET: bool = T::SECRET;

    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() { Some(None) } else { T::parse(text).map(Some) }
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "none".to_owned(), T::show)
    }
}

/// A text that is never printed, not even by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Value for Secret {
    const EXPECTED: &'static str = "a secret text";
    const SECRET: bool = true;

    fn parse(text: &str) -> Option<Self> {
        Some(Self(text.to_owned()))
    }

    fn show(&self) -> String {
        "(secret)".to_owned()
    }
}

/// A time that is written as a whole number of a unit of `MILLIS` milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time<const MILLIS: u64>(Duration);

/// A time that is written in milliseconds.
pub type Milliseconds = Time<1>;
/// A time that is written in seconds.
pub type Seconds = Time<1_000>;
/// A time that is written in minutes.
pub type Minutes = Time<60_000>;
/// A time that is written in hours.
pub type Hours = Time<3_600_000>;

impl<const MILLIS: u64> Time<MILLIS> {
    /// So many units.
    pub const fn new(units: u32) -> Self {
        Self(Duration::from_millis(units as u64 * MILLIS))
    }

    /// The time.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl<const MILLIS: u64> Value for Time<MILLIS> {
    const EXPECTED: &'static str = match MILLIS {
        1 => "a whole number of milliseconds",
        1_000 => "a whole number of seconds",
        60_000 => "a whole number of minutes",
        _ => "a whole number of hours",
    };

    fn parse(text: &str) -> Option<Self> {
        // The vendor writes times as signed 32 bit numbers.
        text.parse().ok().filter(|&units| units <= i32::MAX.unsigned_abs()).map(Self::new)
    }

    fn show(&self) -> String {
        (self.0.as_millis() / u128::from(MILLIS)).to_string()
    }
}

/// A port that can be listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port(pub u16);

impl Value for Port {
    const EXPECTED: &'static str = "a port from 1 to 65535";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|&port| port != 0).map(Self)
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// Where a listener listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// Every IPv4 and every IPv6 address.
    Every,
    /// One address, or every one of a family (`0.0.0.0`, `::`).
    Ip(IpAddr),
}

impl ListenAddress {
    /// Every IPv4 address.
    pub const EVERY_IPV4: Self = Self::Ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED));

    /// Whether two listeners on one port cannot be told apart.
    pub(crate) fn collides(self, other: Self) -> bool {
        match (self, other) {
            (Self::Every, Self::Ip(ip)) | (Self::Ip(ip), Self::Every) => ip.is_unspecified(),
            _ => self == other,
        }
    }
}

impl Value for ListenAddress {
    const EXPECTED: &'static str = "an IPv4 or IPv6 address, or * for every one";

    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Every);
        }
        let bracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        let ip = match bracketed {
            Some(inner) => IpAddr::V6(inner.parse().ok()?),
            None => text.parse().ok()?,
        };
        Some(Self::Ip(ip))
    }

    fn show(&self) -> String {
        match self {
            Self::Every => "*".to_owned(),
            Self::Ip(ip) => ip.to_string(),
        }
    }
}

impl Value for Ipv4Addr {
    const EXPECTED: &'static str = "an IPv4 address";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for Ipv6Addr {
    const EXPECTED: &'static str = "an IPv6 address";

    fn parse(text: &str) -> Option<Self> {
        text.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// A bound of the TLS version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// No bound.
    Any,
    /// SSL 3.
    Ssl3,
    /// TLS 1.0.
    Tls10,
    /// TLS 1.1.
    Tls11,
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl Value for TlsVersion {
    const EXPECTED: &'static str = "TLS, TLS10, TLS11, TLS12 or TLS13";

    fn parse(text: &str) -> Option<Self> {
        let plain: String =
            text.to_uppercase().chars().filter(|character| !matches!(character, '.' | '_' | ' ')).collect();
        Some(match plain.replace("TLSV", "TLS").as_str() {
            "TLS" | "SSL" => Self::Any,
            "SSL3" => Self::Ssl3,
            "TLS1" | "TLS10" => Self::Tls10,
            "TLS11" => Self::Tls11,
            "TLS12" => Self::Tls12,
            "TLS13" => Self::Tls13,
            _ => return None,
        })
    }

    fn show(&self) -> String {
        match self {
            Self::Any => "TLS",
            Self::Ssl3 => "SSL3",
            Self::Tls10 => "TLS10",
            Self::Tls11 => "TLS11",
            Self::Tls12 => "TLS12",
            Self::Tls13 => "TLS13",
        }
        .to_owned()
    }
}

/// How a name is proven to an authority of certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcmeChallenge {
    /// A text on an HTTP port.
    Http01,
    /// A certificate in a TLS handshake.
    TlsAlpn01,
    /// A record in the DNS.
    Dns01,
}

impl Value for AcmeChallenge {
    const EXPECTED: &'static str = "http-01, tls-alpn-01 or dns-01";

    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "http-01" => Self::Http01,
            "tls-alpn-01" => Self::TlsAlpn01,
            "dns-01" => Self::Dns01,
            _ => return None,
        })
    }

    fn show(&self) -> String {
        match self {
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
            Self::Dns01 => "dns-01",
        }
        .to_owned()
    }
}

/// Whether proxies tell the client's address in front of everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// They do not.
    Off,
    /// By the PROXY protocol, version 1 or 2.
    V1V2,
}

impl Value for ProxyProtocol {
    const EXPECTED: &'static str = "v1v2 or off";

    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "v1v2" | "v1" | "v2" => Some(Self::V1V2),
            "off" => Some(Self::Off),
            _ => None,
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Off => "off",
            Self::V1V2 => "v1v2",
        }
        .to_owned()
    }
}

/// Addresses, each alone or a whole network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(pub Vec<IpNet>);

impl Value for Networks {
    const EXPECTED: &'static str = "addresses or networks like 10.0.0.0/8, separated by commas";

    fn parse(text: &str) -> Option<Self> {
        let words = text.split([',', ';', ' ']).filter(|word| !word.is_empty());
        let network = |word: &str| match word.contains('/') {
            true => word.parse::<IpNet>().ok().map(|network| network.trunc()),
            false => word.parse::<IpAddr>().ok().map(IpNet::from),
        };
        words.map(network).collect::<Option<_>>().map(Self)
    }

    fn show(&self) -> String {
        let show = |network: &IpNet| match network.prefix_len() == network.max_prefix_len() {
            true => network.addr().to_string(),
            false => network.to_string(),
        };
        if self.0.is_empty() { "none".to_owned() } else { self.0.iter().map(show).collect::<Vec<_>>().join(",") }
    }
}

/// Whether clients must show a certificate of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificate {
    /// Nobody is asked for one.
    Off,
    /// Whoever shows one must have it from an authority of RootCertificates.
    Optional,
    /// Everybody must show one from an authority of RootCertificates.
    Required,
}

impl Value for ClientCertificate {
    const EXPECTED: &'static str = "off, optional or required";

    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "off" => Some(Self::Off),
            "optional" => Some(Self::Optional),
            "required" => Some(Self::Required),
            _ => None,
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Off => "off",
            Self::Optional => "optional",
            Self::Required => "required",
        }
        .to_owned()
    }
}

/// The datagram encryption modes that are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncryptionTypes {
    /// None.
    pub clear: bool,
    /// AES-CBC with HMAC.
    pub cbc: bool,
    /// AES-GCM.
    pub gcm: bool,
}

impl EncryptionTypes {
    /// Every mode.
    pub const ALL: Self = Self { clear: true, cbc: true, gcm: true };
}

impl Value for EncryptionTypes {
    const EXPECTED: &'static str = "ALL, or CLEAR, CBC and GCM joined with |";

    fn parse(text: &str) -> Option<Self> {
        if text == "ALL" {
            return Some(Self::ALL);
        }
        let mut types = Self { clear: false, cbc: false, gcm: false };
        for name in text.split('|') {
            match name.trim() {
                "CLEAR" => types.clear = true,
                "CBC" => types.cbc = true,
                "GCM" => types.gcm = true,
                _ => return None,
            }
        }
        Some(types)
    }

    fn show(&self) -> String {
        let names = [(self.clear, "CLEAR"), (self.cbc, "CBC"), (self.gcm, "GCM")];
        let names: Vec<_> = names.into_iter().filter_map(|(on, name)| on.then_some(name)).collect();
        if names.len() == 3 { "ALL".to_owned() } else { names.join("|") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truth_is_spelled_as_in_vendors_files() {
        assert_eq!(["true", "True", "TRUE", "1"].map(bool::parse), [Some(true); 4]);
        assert_eq!(["false", "False", "FALSE", "0"].map(bool::parse), [Some(false); 4]);
        assert_eq!(["yes", "", "tRUE"].map(bool::parse), [None; 3]);
    }

    #[test]
    fn addresses_are_read_with_and_without_brackets() {
        assert_eq!(ListenAddress::parse("*"), Some(ListenAddress::Every));
        assert_eq!(ListenAddress::parse("[::1]"), ListenAddress::parse("::1"));
        assert_eq!(ListenAddress::parse("0.0.0.0"), Some(ListenAddress::EVERY_IPV4));
        assert_eq!(["localhost", "1.2.3", "[1.2.3.4]", ""].map(ListenAddress::parse), [None; 4]);
    }

    #[test]
    fn times_have_the_unit_of_their_key_and_no_sign() {
        assert_eq!(Milliseconds::parse("200").map(Time::get), Some(Duration::from_millis(200)));
        assert_eq!(Minutes::parse("60").map(Time::get), Some(Duration::from_secs(3600)));
        assert_eq!(["-1", "1.5", "2147483648"].map(Milliseconds::parse), [None; 3]);
    }

    #[test]
    fn tls_versions_have_many_spellings() {
        assert_eq!(
            ["TLS12", "TLS1.2", "TLSv1.2", "TLS_1_2", "tls12"].map(TlsVersion::parse),
            [Some(TlsVersion::Tls12); 5]
        );
        assert_eq!(TlsVersion::parse("TLS14"), None);
    }

    #[test]
    fn t28_trusted_proxies_are_addresses_and_networks() {
        let show = |text| Networks::parse(text).map(|networks| networks.show());
        assert_eq!(show("10.1.2.3/8, 192.168.1.5;::1").as_deref(), Some("10.0.0.0/8,192.168.1.5,::1"));
        assert_eq!(show("2001:db8::/32").as_deref(), Some("2001:db8::/32"));
        assert_eq!(show("").as_deref(), Some("none"));
        assert_eq!(["10.0.0.0/33", "proxy.example", "10.0.0"].map(Networks::parse), [None, None, None]);
    }

    #[test]
    fn secrets_are_in_no_output() {
        let secret = Secret::parse("hidden").unwrap();
        assert_eq!((format!("{secret:?}"), secret.show()), ("Secret(..)".to_owned(), "(secret)".to_owned()));
    }

    #[test]
    fn encryption_types_are_a_list() {
        assert_eq!(EncryptionTypes::parse("CBC|GCM").map(|types| types.show()), Some("CBC|GCM".to_owned()));
        assert_eq!(EncryptionTypes::parse("CLEAR|CBC|GCM"), Some(EncryptionTypes::ALL));
        assert_eq!(EncryptionTypes::parse("CBC,GCM"), None);
    }
}
