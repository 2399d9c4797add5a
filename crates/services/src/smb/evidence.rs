//! What is reported of the use of shares.

use haldane_core::{Cx, Sighting, Untrusted, Value};
use haldane_wire::ntlm::Negotiate;

use super::{
    AUDIT, BROKEN, CHALLENGE, EXPLOIT, LOGIN, RPC,
    rpc::Seen,
    server::{Server, Who},
    status::Status,
};

/// Bytes that an event shows of what was not understood.
const EXCERPT: usize = 64;

/// Where a session stands: what each event of it has.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Us.
    pub server: &'a Server,
    /// Who it is.
    pub who: &'a Who,
    /// The dialect, in Samba's words: `SMB3_11`.
    pub version: &'static str,
    /// The client's system as Samba guesses it: `Vista`, `UNKNOWN`.
    pub arch: &'static str,
    /// The share's name.
    pub share: &'a str,
}

impl Place<'_> {
    /// Something was done, or tried, with a file. `action`: as Samba's `full_audit` calls it.
    pub fn used(
        &self,
        action: &'static str,
        file: impl Into<Value>,
        status: Status,
        cx: &Cx<'_>,
    ) -> Sighting {
        let text = |text: &Untrusted| Value::Text(text.clone());
        // As Samba: who does not say what its machine is called is known by its address.
        let remote = match self.who.workstation.is_empty() {
            true => Value::from(cx.peer().remote.ip().to_string()),
            false => text(&self.who.workstation),
        };
        Sighting::of(&AUDIT)
            .with("user", text(&self.who.user))
            .with("remote_name", remote)
            .with("share", self.share)
            .with("local_name", self.server.windows.computer.as_str())
            .with("version", self.version)
            .with("arch", self.arch)
            .with("domain", text(&self.who.domain))
            .with("action", action)
            .with("status", status.audit())
            .with("file", file)
    }

    /// Reports what was heard on a pipe. A login there is one beside that of SMB, and always refused.
    pub fn heard(&self, pipe: &str, heard: Vec<Seen>, cx: &mut Cx<'_>) {
        for mut seen in heard {
            match seen.login.take() {
                Some(attempt) => {
                    let login = Sighting::of(&LOGIN)
                        .with("status", Status::ACCESS_DENIED.name())
                        .with("version", self.version)
                        .with("pipe", pipe);
                    cx.report(attempt.facts(login).login(attempt.login.clone()));
                }
                None => cx.report(self.called(pipe, seen)),
            }
        }
    }

    /// What was asked over a pipe.
    pub fn called(&self, pipe: &str, seen: Seen) -> Sighting {
        let kind = if seen.exploit.is_some() { &EXPLOIT } else { &RPC };
        let mut sighting = Sighting::of(kind)
            .with("user", Value::Text(self.who.user.clone()))
            .with("pipe", pipe)
            .with("call", seen.call);
        if let Some(exploit) = seen.exploit {
            sighting = sighting.with("exploit", exploit);
        }
        if seen.arguments.is_empty() { sighting } else { sighting.with("arguments", seen.arguments) }
    }
}

/// What breaks the protocol, with its beginning.
pub fn broken(why: &'static str, message: &[u8]) -> Sighting {
    Sighting::of(&BROKEN).with("why", why).with("excerpt", excerpt(message))
}

/// As much as an event shows of what was not understood.
pub fn excerpt(message: &[u8]) -> &[u8] {
    message.get(..EXCERPT).unwrap_or(message)
}

/// A login that was begun, by which a client learns our names, and that was not finished.
pub fn challenged(first: &Negotiate, version: &'static str) -> Sighting {
    first.facts(Sighting::of(&CHALLENGE).with("version", version))
}

/// A known attack.
pub fn exploit(name: &'static str) -> Sighting {
    Sighting::of(&EXPLOIT).with("exploit", name)
}
