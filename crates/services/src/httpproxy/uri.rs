//! Where a request wants to go: its target as squid 5 reads and shows it (RFC 9112, section 3.2).

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
};

use crate::http::request::Head;

/// The upper control characters (ISO 8859): with one of them, everything that no URI
/// has is shown with percent signs.
const CONTROLS: RangeInclusive<u8> = 0x80..=0x9f;

/// Longest target (MAX_URL - 1).
const MOST: usize = 8191;

/// Schemes that squid takes, with their ports.
const SCHEMES: &[(&str, u16)] = &[
    ("http", 80),
    ("https", 443),
    ("ftp", 21),
    ("cache_object", 3128),
    ("whois", 43),
    ("wais", 210),
    ("coap", 5683),
    ("coaps", 5683),
];

/// What a target names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Uri {
    /// As in `http`; `https` for CONNECT, too; empty where the target is `*`.
    pub(super) scheme: &'static str,
    /// `user:password`.
    pub(super) userinfo: Option<Vec<u8>>,
    /// In lower case, without brackets.
    pub(super) host: Vec<u8>,
    pub(super) port: u16,
    /// With its query; nothing for CONNECT.
    path: Vec<u8>,
    tunnel: bool,
}

impl Uri {
    /// Reads the target of a request. `None`: ERR_INVALID_URL.
    pub(super) fn read(method: &[u8], target: &[u8]) -> Option<Self> {
        if method == b"CONNECT" {
            return Self::authority(target);
        }
        if target == b"*" && matches!(method, b"OPTIONS" | b"TRACE") {
            let (host, path) = (Vec::new(), b"*".to_vec());
            return Some(Self { scheme: "", userinfo: None, host, port: 80, path, tunnel: false });
        }
        if target.len() > MOST {
            return None;
        }
        let colon = target.iter().position(|byte| *byte == b':')?;
        let (word, rest) = target.split_at_checked(colon)?;
        let (scheme, usual) =
            SCHEMES.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes())).copied()?;
        let rest = rest.strip_prefix(b"://")?;
        let end =
            rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#') || byte.is_ascii_whitespace());
        let (authority, path) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
        // A carriage return ends it, other blanks are left out.
        let path = path.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let at = authority.iter().rposition(|byte| *byte == b'@');
        let userinfo = at.and_then(|at| authority.get(..at)).map(<[u8]>::to_vec);
        let place = authority.get(at.map_or(0, |at| at.saturating_add(1))..)?;
        let (host, port) = match place.strip_prefix(b"[") {
            Some(inner) => {
                let end = inner.iter().position(|byte| *byte == b']').unwrap_or(inner.len());
                let (host, rest) = inner.split_at_checked(end)?;
                (host, rest.get(1..).and_then(|rest| rest.strip_prefix(b":")))
            }
            // Several colons without brackets: an address of IPv6, and no port.
            None => match place.iter().filter(|byte| **byte == b':').count() {
                1 => {
                    let colon = place.iter().position(|byte| *byte == b':')?;
                    (place.get(..colon)?, place.get(colon.saturating_add(1)..))
                }
                _ => (place, None),
            },
        };
        let port = port.map_or(Some(usual), |text| valid_port(leading(text).unwrap_or(0)))?;
        let slash: &[u8] = if path.starts_with(b"/") { b"" } else { b"/" };
        let blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
        let path = slash.iter().chain(path).copied().filter(|byte| !blank(byte)).collect();
        Some(Self { scheme, userinfo, host: valid_host(host)?, port, path, tunnel: false })
    }

    /// `host:port`, as squid's scanf has it: a port that is no number is 443.
    fn authority(target: &[u8]) -> Option<Self> {
        let (host, rest) = match target.strip_prefix(b"[") {
            Some(inner) => {
                let end = inner.iter().position(|byte| *byte == b']').unwrap_or(inner.len());
                let (host, rest) = inner.split_at_checked(end)?;
                (host, rest.get(1..).unwrap_or_default())
            }
            None => {
                let end = target.iter().position(|byte| *byte == b':').unwrap_or(target.len());
                target.split_at_checked(end)?
            }
        };
        let port = rest.strip_prefix(b":").and_then(leading).map_or(Some(443), valid_port)?;
        let host: Vec<u8> = host.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let host = valid_host(&host)?;
        Some(Self { scheme: "https", userinfo: None, host, port, path: Vec::new(), tunnel: true })
    }

    /// As error pages show it: no query, no usual port; a tunnel to port 443 as a site.
    pub(super) fn shown(&self) -> Vec<u8> {
        if self.tunnel && self.port == 443 {
            return [b"https://", self.place().as_slice(), b"/*"].concat();
        }
        let mut text = self.whole();
        if let Some(mark) = text.iter().position(|byte| *byte == b'?') {
            text.truncate(mark.saturating_add(1));
        }
        text
    }

    /// The same with its query; a tunnel as host and port.
    pub(super) fn whole(&self) -> Vec<u8> {
        if self.tunnel {
            let port = if self.port == 443 { ":443" } else { "" };
            return [self.place().as_slice(), port.as_bytes()].concat();
        }
        let scheme = if self.scheme.is_empty() { "http" } else { self.scheme };
        let user = self.userinfo.as_deref().filter(|_| scheme == "ftp");
        let user = user.map(|user| [user, b"@"].concat()).unwrap_or_default();
        let text = [scheme.as_bytes(), b"://", &user, &self.place(), &self.path].concat();
        if text.iter().all(|byte| !CONTROLS.contains(byte)) {
            return text;
        }
        let escaped = text.iter().flat_map(|byte| match byte {
            byte if !byte.is_ascii() || b"<>\"{}|\\^[]`".contains(byte) => {
                format!("%{byte:02X}").into_bytes()
            }
            byte => vec![*byte],
        });
        escaped.collect()
    }

    /// The host, with the port unless that is the usual one.
    pub(super) fn place(&self) -> Vec<u8> {
        let host = match self.address() {
            Some(IpAddr::V6(address)) if !address.is_unspecified() => {
                [b"[", self.host.as_slice(), b"]"].concat()
            }
            _ => self.host.clone(),
        };
        let usual = SCHEMES.iter().any(|(name, port)| *name == self.scheme && *port == self.port);
        match usual || self.scheme.is_empty() {
            true => host,
            false => [host.as_slice(), format!(":{}", self.port).as_bytes()].concat(),
        }
    }

    /// The host, if it is an address.
    pub(super) fn address(&self) -> Option<IpAddr> {
        std::str::from_utf8(&self.host).ok()?.parse().ok()
    }

    /// The scheme as the request had it: CONNECT has none.
    pub(super) fn written_scheme(&self) -> &'static str {
        if self.tunnel { "" } else { self.scheme }
    }

    /// The path with its query.
    pub(super) fn path(&self) -> &[u8] {
        &self.path
    }

    /// Whether squid can be asked this at all; if not, it says 501.
    pub(super) fn supports(&self, head: &Head) -> bool {
        match self.scheme {
            "" | "coap" | "coaps" => false,
            "ftp" => matches!(head.method.as_slice(), b"GET" | b"HEAD" | b"PUT" | b"TRACE" | b"PURGE"),
            "whois" | "wais" => matches!(head.method.as_slice(), b"GET" | b"HEAD" | b"TRACE" | b"PURGE"),
            _ => true,
        }
    }

    /// How far inside the target is, for addresses and names that nobody reaches from outside.
    pub(super) fn inside(&self) -> Option<&'static str> {
        let v4 = match self.address() {
            None if self.host == b"localhost" => return Some("loopback"),
            None if self.host == b"metadata.google.internal" => return Some("cloud metadata"),
            None => return None,
            Some(IpAddr::V6(v6)) => match v6.to_ipv4_mapped() {
                Some(v4) => v4,
                None if v6.is_loopback() || v6.is_unspecified() => return Some("loopback"),
                None => return private(v6),
            },
            Some(IpAddr::V4(v4)) => v4,
        };
        match v4.octets() {
            [169, 254, 169, 254] => Some("cloud metadata"),
            _ if v4.is_loopback() || v4.is_unspecified() => Some("loopback"),
            _ if v4.is_private() => Some("private network"),
            _ if v4.is_link_local() => Some("link-local"),
            _ => None,
        }
    }
}

fn private(address: Ipv6Addr) -> Option<&'static str> {
    match address.segments() {
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] => Some("cloud metadata"),
        [0xfe80..=0xfebf, ..] => Some("link-local"),
        [0xfc00..=0xfdff, ..] => Some("private network"),
        _ => None,
    }
}

/// Longest host (SQUIDHOSTNAMELEN - 1); what is longer is cut.
const HOST: usize = 255;

/// In lower case, without dots at its end; a number as the address that it is. `None` where squid refuses it.
fn valid_host(host: &[u8]) -> Option<Vec<u8>> {
    let host = host.get(..HOST).unwrap_or(host);
    let end = host.iter().rposition(|byte| *byte != b'.').map_or(0, |last| last.saturating_add(1));
    let host = host.get(..end)?.to_ascii_lowercase();
    let refused = host.is_empty() || host.starts_with(b".") || host.windows(2).any(|pair| pair == b"..");
    if refused {
        return None;
    }
    Some(number_as_address(&host).map_or(host, |address| address.to_string().into_bytes()))
}

/// An address of IPv4 as inet_aton has it: one to four numbers, decimal, octal or hexadecimal, the last of which fills
/// the rest. A way around filters that look for `127.0.0.1`.
fn number_as_address(host: &[u8]) -> Option<Ipv4Addr> {
    let text = std::str::from_utf8(host).ok()?;
    let number = |part: &str| match part.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None if !part.starts_with(|c: char| c.is_ascii_digit()) => None,
        None if part.len() > 1 && part.starts_with('0') => u32::from_str_radix(part, 8).ok(),
        None => part.parse().ok(),
    };
    let parts: Vec<u32> = text.split('.').take(5).map(number).collect::<Option<_>>()?;
    let (last, front) = parts.split_last()?;
    let bits =
        32_u32.checked_sub(u32::try_from(front.len()).ok()?.saturating_mul(8)).filter(|bits| *bits > 0)?;
    let mut octets = last.to_be_bytes();
    if bits < 32 && last.checked_shr(bits)? > 0 {
        return None;
    }
    for (octet, part) in octets.iter_mut().zip(front) {
        *octet = u8::try_from(*part).ok()?;
    }
    Some(octets.into())
}

fn valid_port(number: i64) -> Option<u16> {
    u16::try_from(number).ok().filter(|port| *port > 0)
}

/// The number with which a text begins, as C's atoi finds it. `None` if there is none.
fn leading(text: &[u8]) -> Option<i64> {
    let text = text.trim_ascii_start();
    let (sign, digits) = match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        rest => (1, rest),
    };
    let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    let digits = std::str::from_utf8(digits.get(..end)?).ok().filter(|digits| !digits.is_empty())?;
    Some(digits.parse::<i64>().unwrap_or(i64::MAX).saturating_mul(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(method: &str, target: &str) -> Option<String> {
        Uri::read(method.as_bytes(), target.as_bytes()).map(|uri| String::from_utf8(uri.shown()).unwrap())
    }

    #[test]
    fn targets_are_shown_as_squid_shows_them() {
        for (target, expected) in [
            ("http://A.Example/B%20c?q=%3Cx%3E", "http://a.example/B%20c?"),
            ("http://a", "http://a/"),
            ("http://a?x", "http://a/?"),
            ("HTTP://a:80/", "http://a/"),
            ("https://a:443/x", "https://a/x"),
            ("http://a:443/x", "http://a:443/x"),
            ("http://u:p@a/", "http://a/"),
            ("ftp://u:p@a/x", "ftp://u:p@a/x"),
            ("http://a/x y", "http://a/xy"),
            ("http://a b/", "http://a/b/"),
            ("http://[::1]x/", "http://[::1]/"),
            ("http://[::1/", "http://[::1]/"),
            ("http://[zz]/", "http://zz/"),
            ("http://a:b:80/", "http://a:b:80/"),
            ("http://a:+80/", "http://a/"),
            ("http://a:80x/", "http://a/"),
            ("http://a./#f", "http://a/#f"),
            ("http://8/", "http://0.0.0.8/"),
            ("http://a / x", "http://a//x"),
            ("cache_object://localhost/info", "cache_object://localhost/info"),
        ] {
            assert_eq!(shown("GET", target).as_deref(), Some(expected), "{target}");
        }
        for (target, expected) in [
            ("A.B:8443", "a.b:8443"),
            ("a:443", "https://a/*"),
            ("a", "https://a/*"),
            ("a:x", "https://a/*"),
            ("http://a/", "https://http/*"),
            ("[::1]:22", "[::1]:22"),
            ("/", "https:////*"),
        ] {
            assert_eq!(shown("CONNECT", target).as_deref(), Some(expected), "{target}");
        }
    }

    #[test]
    fn targets_that_squid_calls_invalid_are() {
        for target in [
            "/",
            "a",
            "*",
            "http:/a",
            "http://",
            "http:///x",
            "gopher://a/",
            "urn:foo",
            "http://a:/",
            "http://a:0/",
            "http://a:abc/",
            "http://a:65536/",
            "http://a..b/",
            "http://.a/",
            "http://[::1]:/",
        ] {
            assert_eq!(shown("GET", target), None, "{target}");
        }
        for target in [":80", "::1:22", "a:0", "a:-5", "a:99999", "a..b:443"] {
            assert_eq!(shown("CONNECT", target), None, "{target}");
        }
        assert_eq!(shown("GET", &format!("http://a/{}", "x".repeat(8_200))), None);
    }

    #[test]
    fn targets_inside_are_told_apart() {
        let inside = |target: &str| Uri::read(b"CONNECT", target.as_bytes()).unwrap().inside();
        assert_eq!(inside("127.0.0.1:22"), Some("loopback"));
        assert_eq!(inside("[::ffff:10.0.0.1]:22"), Some("private network"));
        assert_eq!(inside("[::1]:22"), Some("loopback"));
        assert_eq!(inside("169.254.169.254:80"), Some("cloud metadata"));
        assert_eq!(inside("[fe80::1]:80"), Some("link-local"));
        for disguised in ["2130706433:80", "0x7f.1:80", "0177.0.0.1:80", "127.1:80", "127.0.1:22"] {
            assert_eq!(inside(disguised), Some("loopback"), "{disguised}");
        }
        for name in
            ["256.0.0.1:80", "1.2.3.4.5:80", "127.0.0.x:80", "4294967296:80", "1.16777216:80", "+1:80"]
        {
            assert_eq!(inside(name), None, "{name}");
        }
        assert_eq!(inside("example.com:80"), None);
        assert_eq!(inside("8.8.8.8:53"), None);
    }
}
