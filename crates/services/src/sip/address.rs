//! What stands in the fields that an answer repeats: Via (RFC 3261, section 20.42), URIs (section 19.1) and addresses
//! (section 20.10).

use super::message::number;

/// A parameter: its name, and its value behind the equals sign if there is one.
pub type Parameter<'a> = (&'a [u8], Option<&'a [u8]>);

/// The first value of a Via field.
#[derive(Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// As in `UDP`.
    pub transport: &'a [u8],
    /// Name or address, the latter of IPv6 in its brackets.
    pub host: &'a [u8],
    /// As sent; empty if there is none.
    pub port: &'a [u8],
    /// In their order.
    pub parameters: Vec<Parameter<'a>>,
}

impl<'a> Via<'a> {
    /// Reads one value.
    pub fn read(value: &'a [u8]) -> Option<Self> {
        let (name, rest) = cut(value, b'/')?;
        let (version, rest) = cut(rest, b'/')?;
        if !name.trim_ascii().eq_ignore_ascii_case(b"SIP") || version.trim_ascii() != b"2.0" {
            return None;
        }
        let rest = rest.trim_ascii();
        let (transport, rest) = rest.split_at_checked(rest.iter().position(u8::is_ascii_whitespace)?)?;
        let mut parts = rest.split(|byte| *byte == b';');
        let sender = parts.next()?.trim_ascii();
        let (host, port) = host_and_port(sender);
        let parameters = parameters(parts);
        // A comment may follow a value, not a name.
        let bare =
            |(name, _): &Parameter<'_>| !name.iter().any(|byte| byte.is_ascii_whitespace() || *byte == b'(');
        (!host.is_empty() && parameters.iter().all(bare)).then_some(Self {
            transport,
            host,
            port,
            parameters,
        })
    }

    /// The value of that parameter.
    pub fn parameter(&self, name: &str) -> Option<Option<&'a [u8]>> {
        let named = |(own, _): &&Parameter<'a>| own.eq_ignore_ascii_case(name.as_bytes());
        self.parameters.iter().find(named).map(|(_, value)| *value)
    }
}

fn parameters<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Vec<Parameter<'a>> {
    parts
        .map(|part| match cut(part, b'=') {
            Some((name, value)) => (name.trim_ascii(), Some(value.trim_ascii())),
            None => (part.trim_ascii(), None),
        })
        .collect()
}

/// The values of a field that holds several, with commas between them.
pub fn values(field: &[u8]) -> Vec<&[u8]> {
    let mut quoted = false;
    field
        .split(|byte| {
            quoted ^= *byte == b'"';
            *byte == b',' && !quoted
        })
        .map(<[u8]>::trim_ascii)
        .collect()
}

/// A URI, as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    /// Before the colon.
    pub scheme: &'a [u8],
    /// Empty in schemes other than `sip` and `sips`.
    pub host: &'a [u8],
    /// As sent; empty if there is none.
    pub port: &'a [u8],
}

impl<'a> Uri<'a> {
    /// Reads one. `None`: it is none, or of a scheme that SIP has no use for.
    pub fn read(text: &'a [u8]) -> Option<Self> {
        let (scheme, rest) = cut(text, b':').filter(|_| text.is_ascii())?;
        let other = Some(Self { scheme, host: b"", port: b"" });
        if scheme.eq_ignore_ascii_case(b"tel") || scheme.eq_ignore_ascii_case(b"urn") {
            return other.filter(|_| !rest.is_empty());
        }
        if !scheme.eq_ignore_ascii_case(b"sip") && !scheme.eq_ignore_ascii_case(b"sips") {
            return None;
        }
        let rest = rest.split(|byte| *byte == b'?').next()?;
        let (user, rest) = match rest.iter().position(|byte| *byte == b'@') {
            Some(at) => (rest.get(..at)?, rest.get(at.saturating_add(1)..)?),
            None => (&b"-"[..], rest),
        };
        let (host, port) = host_and_port(rest.split(|byte| *byte == b';').next()?);
        let uri = Self { scheme, host, port };
        (!user.is_empty() && !host.is_empty() && uri.port().is_some()).then_some(uri)
    }

    /// The port, 5060 if none is named; `None` if it is no number.
    pub fn port(&self) -> Option<u16> {
        if self.port.is_empty() { Some(5060) } else { number(self.port, 5) }
    }
}

fn host_and_port(text: &[u8]) -> (&[u8], &[u8]) {
    let from = text.iter().position(|byte| *byte == b']').unwrap_or_default();
    let behind = text.get(from..).unwrap_or_default();
    match behind.iter().position(|byte| *byte == b':') {
        Some(colon) => {
            let (host, port) = text.split_at_checked(from.saturating_add(colon)).unwrap_or_default();
            (host.trim_ascii(), port.get(1..).unwrap_or_default().trim_ascii())
        }
        None => (text.trim_ascii(), b""),
    }
}

/// What From and To hold.
#[derive(Debug, PartialEq, Eq)]
pub struct Address<'a> {
    /// The name before the URI, without its quotes.
    pub display: &'a [u8],
    /// Not looked at.
    pub uri: &'a [u8],
    /// Behind it, in their order.
    pub parameters: Vec<Parameter<'a>>,
}

impl<'a> Address<'a> {
    /// Reads one; `None` if a bracket is open, or holds nothing.
    pub fn read(value: &'a [u8]) -> Option<Self> {
        let mut quoted = false;
        let mut escaped = false;
        let bracket = value.iter().position(|byte| {
            quoted ^= *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            *byte == b'<' && !quoted
        });
        let Some(bracket) = bracket else {
            let mut parts = value.split(|byte| *byte == b';');
            let uri = parts.next()?.trim_ascii();
            return Some(Self { display: b"", uri, parameters: parameters(parts) })
                .filter(|_| !uri.is_empty());
        };
        let (display, rest) = value.split_at_checked(bracket)?;
        let (uri, rest) = cut(rest.get(1..)?, b'>')?;
        let display = display.trim_ascii();
        let display =
            display.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")).unwrap_or(display);
        let parameters = parameters(rest.split(|byte| *byte == b';').skip(1));
        Some(Self { display, uri, parameters }).filter(|_| !uri.is_empty())
    }

    /// The tag, if there is one that is not empty.
    pub fn tag(&self) -> Option<&'a [u8]> {
        let tag = self.parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case(b"tag"));
        tag.and_then(|(_, value)| *value).filter(|value| !value.is_empty())
    }
}

/// Both sides of the first such byte.
pub fn cut(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let (before, behind) = text.split_at_checked(text.iter().position(|byte| *byte == at)?)?;
    Some((before, behind.get(1..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn via_uri_and_address_are_taken_apart() {
        let via = Via::read(b"SIP / 2.0 / UDP [2001:db8::1]:5070 ; rport ;branch = z9hG4bKx").unwrap();
        assert_eq!((via.transport, via.host, via.port), (&b"UDP"[..], &b"[2001:db8::1]"[..], &b"5070"[..]));
        assert_eq!(
            (via.parameter("RPORT"), via.parameter("branch")),
            (Some(None), Some(Some(&b"z9hG4bKx"[..])))
        );
        let uri = Uri::read(b"sip:100:pw@nm:99;transport=tcp?x=y").unwrap();
        assert_eq!((uri.host, uri.port()), (&b"nm"[..], Some(99)));
        let address = Address::read(b"\"a \\\" <b\" <sip:nm@nm;x=y>;a=b;tag=root;c").unwrap();
        assert_eq!((address.display, address.uri), (&b"a \\\" <b"[..], &b"sip:nm@nm;x=y"[..]));
        assert_eq!((address.tag(), address.parameters.len()), (Some(&b"root"[..]), 3));
        assert_eq!(Address::read(b"sip:a@b;tag=1").unwrap().tag(), Some(&b"1"[..]));
    }

    #[test]
    fn nonsense_is_none_of_these() {
        for via in ["nonsense", "SIP/1.0/UDP nm", "SIP/2.0/UDP", "SIP/2.0/UDP ;x", ""] {
            assert_eq!(Via::read(via.as_bytes()), None, "{via}");
        }
        for uri in ["nm", "sip:", "sip:@nm", "*", "http://nm/", "tel:", ""] {
            assert_eq!(Uri::read(uri.as_bytes()), None, "{uri}");
        }
        for address in ["<>", "<sip:nm@nm", "\"x\" <", "", ";tag=1"] {
            assert_eq!(Address::read(address.as_bytes()), None, "{address}");
        }
    }
}
