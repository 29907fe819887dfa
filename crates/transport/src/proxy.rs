//! The PROXY protocol, versions 1 and 2: how a balancer that passes TCP on says whose connection it is.
//!
//! The header stands before everything else, TLS too, and whoever sends it is believed. So it is read from proxies
//! alone that the operator trusts.
//!
//! | version | layout |
//! | --- | --- |
//! | 1 | `PROXY TCP4 client reached client-port reached-port\r\n`, also with `TCP6`, and `PROXY UNKNOWN ...\r\n`; 107 bytes at most |
//! | 2 | 12 bytes [`SIGNATURE`], u8 version 2 and command (0 local, 1 proxied), u8 family (1 IPv4, 2 IPv6, 3 Unix) and protocol (1 stream), u16 length of the rest, addresses, then type (u8), length (u16) and value as often as they fit |

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// Longest header. Balancers append some hundred bytes of their own to version 2.
pub const MAX_HEADER_BYTES: usize = 2048;
/// Longest header of version 1.
const MAX_LINE_BYTES: usize = 107;
/// How a header of version 1 begins.
pub const LINE_START: [u8; 6] = *b"PROXY ";
/// How a header of version 2 begins; no other protocol does.
pub const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Length of a header of version 2 without what its length field counts.
const FIXED_BYTES: usize = 16;
/// The type of what says that the client spoke TLS to the proxy, and the bit of its first byte.
const TLS: (u8, u8) = (0x20, 0x01);

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// The connection is the proxy's own, or it does not know whose it is: its addresses are those of the socket.
    Local,
    /// The connection is a client's.
    Proxied {
        /// The client's address.
        client: SocketAddr,
        /// The address that the client reached.
        reached: SocketAddr,
        /// The client spoke TLS to the proxy.
        tls: bool,
    },
}

/// Why bytes are no header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// Neither version begins so.
    Missing,
    /// A line that does not follow version 1.
    Line(String),
    /// Longer than [`MAX_HEADER_BYTES`] or than the length that it tells.
    Length(usize),
    /// A version or a command of version 2 that is not known.
    Command(u8),
    /// A family and protocol of version 2 without meaning for TCP.
    Family(u8),
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("expected a PROXY protocol header as the first bytes, got something else"),
            Self::Line(line) => write!(f, "expected `PROXY TCP4|TCP6 address address port port`, got {line:?}"),
            Self::Length(length) => {
                write!(
                    f,
                    "a PROXY protocol header of {length} bytes does not fit what it says; at most {MAX_HEADER_BYTES} are read"
                )
            }
            Self::Command(command) => write!(f, "expected version 2 with command 0 or 1 (20 or 21), got {command:02x}"),
            Self::Family(family) => write!(f, "expected a TCP connection (00, 11, 21 or 31), got family {family:02x}"),
        }
    }
}

impl std::error::Error for HeaderError {}

/// The header at the start of `bytes` and its length; `None` = there may be more of it to come.
///
/// # Errors
/// If what is there cannot become a header.
pub fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, HeaderError> {
    if begins(bytes, &LINE_START) {
        parse_line(bytes)
    } else if begins(bytes, &SIGNATURE) {
        parse_binary(bytes)
    } else {
        Err(HeaderError::Missing)
    }
}

/// Whether whole bytes begin as a header does.
#[must_use]
pub fn is_header(bytes: &[u8]) -> bool {
    bytes.starts_with(&LINE_START) || bytes.starts_with(&SIGNATURE)
}

/// Whether `bytes` begin with `start` as far as they go.
fn begins(bytes: &[u8], start: &[u8]) -> bool {
    bytes.iter().zip(start).all(|(have, want)| have == want)
}

fn parse_line(bytes: &[u8]) -> Result<Option<(Header, usize)>, HeaderError> {
    let searched = bytes.get(..MAX_LINE_BYTES).unwrap_or(bytes);
    let Some(end) = searched.windows(2).position(|pair| pair == b"\r\n") else {
        let is_too_long = searched.len() == MAX_LINE_BYTES;
        return if is_too_long { Err(HeaderError::Length(bytes.len())) } else { Ok(None) };
    };
    let line = String::from_utf8_lossy(searched.get(..end).unwrap_or_default());
    let mut words = line.split(' ').skip(1);
    let header = match words.next() {
        Some("UNKNOWN") => Some(Header::Local),
        Some("TCP4") => ends::<Ipv4Addr>(words),
        Some("TCP6") => ends::<Ipv6Addr>(words),
        _ => None,
    };
    let header = header.ok_or_else(|| HeaderError::Line(line.into_owned()))?;
    Ok(Some((header, end + 2)))
}

fn ends<'a, A: FromStr + Into<IpAddr>>(mut words: impl Iterator<Item = &'a str>) -> Option<Header> {
    let mut address = || Some(words.next()?.parse::<A>().ok()?.into());
    let (client, reached) = (address()?, address()?);
    let mut port = || words.next()?.parse().ok();
    let (client, reached) = (SocketAddr::new(client, port()?), SocketAddr::new(reached, port()?));
    words.next().is_none().then_some(Header::Proxied { client, reached, tls: false })
}

fn parse_binary(bytes: &[u8]) -> Result<Option<(Header, usize)>, HeaderError> {
    let Some(&[.., command, family, high, low]) = bytes.first_chunk::<FIXED_BYTES>() else { return Ok(None) };
    let length = FIXED_BYTES + usize::from(u16::from_be_bytes([high, low]));
    let is_local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(HeaderError::Command(command)),
    };
    if length > MAX_HEADER_BYTES {
        return Err(HeaderError::Length(length));
    }
    let Some(rest) = bytes.get(FIXED_BYTES..length) else { return Ok(None) };
    let header = match (is_local, family) {
        // The path of a Unix socket is no address.
        (true, _) | (false, 0x00 | 0x31) => Some(Header::Local),
        (false, 0x11) => addresses::<4>(rest),
        (false, 0x21) => addresses::<16>(rest),
        _ => return Err(HeaderError::Family(family)),
    };
    header.map(|header| Some((header, length))).ok_or(HeaderError::Length(length))
}

fn addresses<const N: usize>(rest: &[u8]) -> Option<Header>
where
    IpAddr: From<[u8; N]>,
{
    let (client, rest) = rest.split_first_chunk::<N>()?;
    let (reached, rest) = rest.split_first_chunk::<N>()?;
    let (client_port, rest) = rest.split_first_chunk::<2>()?;
    let (reached_port, rest) = rest.split_first_chunk::<2>()?;
    let end = |ip: &[u8; N], port: &[u8; 2]| SocketAddr::new(IpAddr::from(*ip), u16::from_be_bytes(*port));
    let (client, reached) = (end(client, client_port), end(reached, reached_port));
    Some(Header::Proxied { client, reached, tls: client_spoke_tls(rest)? })
}

/// `None` if the values do not fill the rest.
fn client_spoke_tls(mut rest: &[u8]) -> Option<bool> {
    let mut spoke = false;
    while let Some((kind, behind)) = rest.split_first() {
        let (length, behind) = behind.split_first_chunk::<2>()?;
        let (value, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        spoke |= *kind == TLS.0 && value.first().is_some_and(|bits| bits & TLS.1 != 0);
        rest = behind;
    }
    Some(spoke)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE, [command, family].as_slice(), &length, rest].concat()
    }

    fn proxied(client: &str, reached: &str, tls: bool) -> Header {
        Header::Proxied { client: client.parse().unwrap(), reached: reached.parse().unwrap(), tls }
    }

    const IPV4: [u8; 12] = [203, 0, 113, 9, 10, 0, 0, 5, 0xD4, 0x31, 0x4A, 0x95];

    /// Every form of a header, and what it says.
    fn samples() -> Vec<(Vec<u8>, Header)> {
        let v6 = [Ipv6Addr::LOCALHOST.octets().as_slice(), &[0xFF; 16], &[0, 1, 0, 2]].concat();
        let with_tls = [IPV4.as_slice(), &[4, 0, 2, 0, 0], &[0x20, 0, 5, 1, 0, 0, 0, 0]].concat();
        let without = [IPV4.as_slice(), &[0x20, 0, 5, 4, 0, 0, 0, 0]].concat();
        let v4 = |tls| proxied("203.0.113.9:54321", "10.0.0.5:19093", tls);
        vec![
            (b"PROXY TCP4 203.0.113.9 10.0.0.5 54321 19093\r\n".to_vec(), v4(false)),
            (b"PROXY TCP6 2001:db8::9 ::1 1 65535\r\n".to_vec(), proxied("[2001:db8::9]:1", "[::1]:65535", false)),
            (b"PROXY UNKNOWN\r\n".to_vec(), Header::Local),
            (b"PROXY UNKNOWN ffff:: ffff:: 1 2\r\n".to_vec(), Header::Local),
            (binary(0x21, 0x11, &IPV4), v4(false)),
            (binary(0x21, 0x11, &with_tls), v4(true)),
            (binary(0x21, 0x11, &without), v4(false)),
            (binary(0x21, 0x21, &v6), proxied("[::1]:1", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:2", false)),
            (binary(0x20, 0x00, &[]), Header::Local),
            (binary(0x20, 0x11, &[1, 2, 3]), Header::Local),
            (binary(0x21, 0x31, &[0; 216]), Header::Local),
        ]
    }

    #[test]
    fn t28_each_form_of_a_header_is_read_and_what_follows_is_left() {
        for (bytes, header) in samples() {
            let followed = [bytes.as_slice(), b"\x16\x03\x01"].concat();
            assert_eq!(parse(&followed), Ok(Some((header, bytes.len()))), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn t28_a_header_cut_anywhere_waits_for_more() {
        for (bytes, _) in samples() {
            for end in 0..bytes.len() {
                assert_eq!(parse(&bytes[..end]), Ok(None), "{} at {end}", bytes.escape_ascii());
            }
        }
    }

    #[test]
    fn t28_what_is_no_header_is_refused_with_the_reason() {
        assert_eq!(parse(b"GET / HTTP/1.1\r\n"), Err(HeaderError::Missing));
        assert_eq!(parse(b"\x16\x03\x01"), Err(HeaderError::Missing));
        for line in [
            "PROXY \r\n",
            "PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n",
            "PROXY TCP4 1.1.1.1  2.2.2.2 1 2\r\n",
        ] {
            assert_eq!(parse(line.as_bytes()), Err(HeaderError::Line(line.trim_end_matches("\r\n").to_owned())));
        }
        assert_eq!(parse(&binary(0x22, 0x11, &IPV4)), Err(HeaderError::Command(0x22)));
        assert_eq!(parse(&binary(0x11, 0x11, &IPV4)), Err(HeaderError::Command(0x11)));
        assert_eq!(parse(&binary(0x21, 0x12, &IPV4)), Err(HeaderError::Family(0x12)));
        assert_eq!(parse(&binary(0x21, 0x11, &IPV4[1..])), Err(HeaderError::Length(27)));
        let cut_value = [IPV4.as_slice(), &[4, 0, 9, 0]].concat();
        assert_eq!(parse(&binary(0x21, 0x11, &cut_value)), Err(HeaderError::Length(32)));
    }

    #[test]
    fn t28_a_header_has_a_longest_length() {
        let line = [LINE_START.as_slice(), &[b'x'; MAX_LINE_BYTES]].concat();
        assert_eq!(parse(&line[..MAX_LINE_BYTES - 1]), Ok(None));
        assert!(matches!(parse(&line), Err(HeaderError::Length(_))));
        let filled = |total: usize| binary(0x20, 0, &vec![0; total - FIXED_BYTES]);
        assert_eq!(parse(&filled(MAX_HEADER_BYTES)), Ok(Some((Header::Local, MAX_HEADER_BYTES))));
        let longer = filled(MAX_HEADER_BYTES + 1);
        assert_eq!(parse(&longer[..FIXED_BYTES]), Err(HeaderError::Length(MAX_HEADER_BYTES + 1)));
    }

    proptest! {
        #[test]
        fn t28_whatever_comes_is_read_the_same_however_it_is_cut(
            sample in 0..samples().len(), end in 0..256_usize, at in 0..64_usize, change in any::<u8>(), tail: Vec<u8>,
        ) {
            let mut bytes = samples().swap_remove(sample).0;
            bytes.truncate(end);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= change;
            }
            bytes.extend(tail);
            if let Ok(Some((header, length))) = parse(&bytes) {
                prop_assert_eq!(parse(&bytes[..length]), Ok(Some((header, length))));
                for end in 0..length {
                    prop_assert_eq!(parse(&bytes[..end]), Ok(None));
                }
            }
        }
    }
}
