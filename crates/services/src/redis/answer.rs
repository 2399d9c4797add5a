//! The words of a server that wants a password first.

use haldane_core::Flow;

use super::{
    commands::{COMMANDS, Command, EARLIER},
    resp::{Unauthenticated, integer},
};

/// What a client hears that has to authenticate first.
const NOAUTH: &str = "NOAUTH Authentication required.";
/// Redis looks at no more than this of an unknown command and of its arguments.
const SHOWN: usize = 128;

/// A version: major, minor, patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u16, u16, u16);

impl Version {
    /// Debian 12's.
    pub(super) const DEFAULT: Self = Self(7, 0, 15);

    /// Reads `7.0.15` or `6.2`; nothing before 2.8, where NOAUTH begins.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(|part| part.parse::<u16>());
        let version = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor)), None, None) => Self(major, minor, 0),
            (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch)), None) => Self(major, minor, patch),
            _ => return None,
        };
        (version >= Self(2, 8, 0) && version.0 < 100).then_some(version)
    }

    /// The bounds for clients that have not authenticated: since 5.0.14, 6.0.16 and 6.2.6 (CVE-2021-32675).
    pub(super) fn unauthenticated_limits(self) -> Unauthenticated {
        let fixed = match self {
            Self(5, 0, patch) => patch >= 14,
            Self(6, 0, patch) => patch >= 16,
            Self(6, 2, patch) => patch >= 6,
            other => other.0 >= 7,
        };
        fixed.then_some((10, 16_384))
    }

    fn since(self, major: u16, minor: u16) -> bool {
        (self.0, self.1) >= (major, minor)
    }
}

/// The answer to one command of `count` words, of which `words` were kept.
pub(super) fn to(version: Version, words: &[Vec<u8>], count: usize) -> (Vec<u8>, Flow) {
    let mut out = Vec::new();
    let flow = answer(version, words, count, &mut out);
    (out, flow)
}

fn answer(version: Version, words: &[Vec<u8>], count: usize, out: &mut Vec<u8>) -> Flow {
    let Some((name, arguments)) = words.split_first() else { return Flow::Continue };
    if name.eq_ignore_ascii_case(b"quit") {
        out.extend_from_slice(b"+OK\r\n");
        return Flow::Close;
    }
    let crossed = name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:");
    if crossed && version.since(3, 2) {
        return Flow::Close;
    }
    let Some(command) = find(COMMANDS, version, name) else {
        error(out, &unknown(version, name, arguments));
        return Flow::Continue;
    };
    let within = arguments.first().filter(|_| version.since(7, 0) && !command.within.is_empty());
    let (known, container) = match within {
        None => (command, None),
        Some(word) => match find(command.within, version, word) {
            Some(known) => (known, Some(command.name)),
            None => {
                let (word, upper) = (c_string(word, SHOWN), command.name.to_uppercase());
                let rest = format!("'. Try {upper} HELP.");
                error(out, &[b"ERR unknown subcommand '", word, rest.as_bytes()].concat());
                return Flow::Continue;
            }
        },
    };
    let refusal = if !fits(arity(known, version), count) {
        let name = container
            .map_or_else(|| known.name.to_owned(), |container| format!("{container}|{}", known.name));
        format!("ERR wrong number of arguments for '{name}' command")
    } else if let Some(what) = protected(version, command, arguments) {
        format!(
            "ERR {what} command not allowed. If the enable-{}-command option is set to \"local\", you can run it \
             from a local connection, otherwise you need to set this option in the configuration file, and then \
             restart the server.",
            what.to_lowercase()
        )
    } else {
        match command.name {
            "auth" => return auth(version, count, out),
            "hello" => return hello(version, arguments, out),
            "reset" => {
                out.extend_from_slice(b"+RESET\r\n");
                return Flow::Continue;
            }
            _ => NOAUTH.to_owned(),
        }
    };
    match command.name == "exec" && version.since(6, 0) {
        true => {
            let why = refusal.strip_prefix("ERR ").unwrap_or(&refusal);
            error(out, format!("EXECABORT Transaction discarded because of: {why}").as_bytes());
        }
        false => error(out, refusal.as_bytes()),
    }
    Flow::Continue
}

fn find<'c>(table: &'c [Command], version: Version, name: &[u8]) -> Option<&'c Command> {
    let lower = name.to_ascii_lowercase();
    let at = table.binary_search_by(|command| command.name.as_bytes().cmp(&lower)).ok()?;
    table.get(at).filter(|command| version.since(command.since.0, command.since.1))
}

fn arity(command: &Command, version: Version) -> i16 {
    let earlier =
        EARLIER.iter().find(|(name, until, _)| *name == command.name && !version.since(until.0, until.1));
    earlier.map_or(command.arity, |(_, _, arity)| *arity)
}

fn fits(arity: i16, count: usize) -> bool {
    let words = usize::from(arity.unsigned_abs());
    if arity < 0 { count >= words } else { count == words }
}

/// Commands that 7.0 and later refuse to everybody unless an option allows them.
fn protected(version: Version, command: &Command, arguments: &[Vec<u8>]) -> Option<&'static str> {
    let sub = arguments.first().map(Vec::as_slice).unwrap_or_default();
    match command.name {
        "debug" if version.since(7, 0) => Some("DEBUG"),
        "module" if version.since(7, 0) => {
            let loads =
                [&b"load"[..], b"loadex", b"unload"].iter().any(|word| sub.eq_ignore_ascii_case(word));
            loads.then_some("MODULE")
        }
        _ => None,
    }
}

/// No password is the right one.
fn auth(version: Version, count: usize, out: &mut Vec<u8>) -> Flow {
    match count > 3 {
        true => error(out, b"ERR syntax error"),
        false => wrong_password(version, out),
    }
    Flow::Continue
}

fn wrong_password(version: Version, out: &mut Vec<u8>) {
    let text = match version {
        Version(..6, _, _) => "ERR invalid password",
        Version(6, ..2, _) => "WRONGPASS invalid username-password pair",
        _ => "WRONGPASS invalid username-password pair or user is disabled.",
    };
    error(out, text.as_bytes());
}

/// `HELLO [version [AUTH username password] [SETNAME name]]`: the first mistake is answered.
fn hello(version: Version, arguments: &[Vec<u8>], out: &mut Vec<u8>) -> Flow {
    if let Some(wanted) = arguments.first() {
        match integer(wanted) {
            Some(2 | 3) => {}
            None if version.since(6, 2) => {
                error(out, b"ERR Protocol version is not an integer or out of range");
                return Flow::Continue;
            }
            _ => {
                error(out, b"NOPROTO unsupported protocol version");
                return Flow::Continue;
            }
        }
    }
    let mut rest = arguments.get(1..).unwrap_or_default();
    loop {
        rest = match rest {
            [] => break,
            [option, _, _, ..] if option.eq_ignore_ascii_case(b"auth") => {
                wrong_password(version, out);
                return Flow::Continue;
            }
            [option, name, tail @ ..] if option.eq_ignore_ascii_case(b"setname") => {
                if !name.iter().all(|byte| matches!(byte, b'!'..=b'~')) {
                    error(out, b"ERR Client names cannot contain spaces, newlines or special characters.");
                    return Flow::Continue;
                }
                tail
            }
            [option, ..] => {
                error(
                    out,
                    &[b"ERR Syntax error in HELLO option '", c_string(option, usize::MAX), b"'"].concat(),
                );
                return Flow::Continue;
            }
        };
    }
    error(
        out,
        b"NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> \
          option can be used to authenticate the client and select the RESP protocol version at the same time",
    );
    Flow::Continue
}

/// The text for a command that this version does not have.
fn unknown(version: Version, name: &[u8], arguments: &[Vec<u8>]) -> Vec<u8> {
    if !version.since(5, 0) {
        return [b"ERR unknown command '", c_string(name, usize::MAX), b"'"].concat();
    }
    let (open, close, after): (&[u8], &[u8], &[u8]) = match version.since(7, 0) {
        true => (b"'", b"'", b"' "),
        false => (b"`", b"`", b"`, "),
    };
    let most = if version.since(7, 0) { SHOWN } else { usize::MAX };
    let mut args: Vec<u8> = Vec::new();
    for argument in arguments {
        if args.len() >= SHOWN {
            break;
        }
        let room = SHOWN.saturating_sub(args.len());
        args.extend_from_slice(&[open, c_string(argument, room), after].concat());
    }
    let name = c_string(name, most);
    [b"ERR unknown command ", open, name, close, b", with args beginning with: ", &args].concat()
}

/// What C's `%.*s` prints of it.
fn c_string(bytes: &[u8], most: usize) -> &[u8] {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.get(..end.min(most)).unwrap_or(bytes)
}

/// An error reply: one line, whatever is in the text.
fn error(out: &mut Vec<u8>, text: &[u8]) {
    let line: Vec<u8> =
        text.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }).collect();
    out.extend_from_slice(b"-");
    out.extend_from_slice(&line);
    out.extend_from_slice(b"\r\n");
}
