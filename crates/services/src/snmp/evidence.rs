//! What a request reveals, as events.

use std::collections::BTreeMap;

use haldane_core::{Login, Secret, Severity, Sighting, Untrusted, Value as Fact};
use haldane_wire::ber::{self, INTEGER, NULL, OBJECT, OCTETS, Oid};

use super::{
    DISCOVERY, LOGIN, REQUEST,
    message::{
        ADDRESS, BULK, COUNTER, COUNTER64, Community, Flaw, GAUGE, GET, INFORM, NEXT, Pdu, REPORT, RESPONSE,
        SET, Scoped, Secured, TICKS, TRAP, TRAP2, V1, V2C, Value,
    },
    usm::{self, hex},
};

/// How many variables are recorded one by one. Their number is recorded, too.
const RECORDED: usize = 64;

/// The community that everybody knows.
const PUBLIC: &[u8] = b"public";

/// A request of v1 or v2c. `known`: the community is one that is answered.
pub fn request(asked: &Community, known: bool) -> Sighting {
    let version = match asked.version {
        V1 => "1".to_owned(),
        V2C => "2c".to_owned(),
        other => format!("unknown ({other})"),
    };
    let writes = asked.pdu.as_ref().is_ok_and(|pdu| pdu.tag == SET);
    // "public" is asked by printer drivers and inventories all day; any other word was guessed or found.
    let guessed = asked.community != PUBLIC;
    let severity = if writes || guessed { Severity::High } else { REQUEST.severity };
    let secret = Secret::Password(asked.community.as_slice().into());
    let seen = Sighting::of(&REQUEST)
        .login(Login::new("community").secret(secret))
        .with("version", version)
        .with("known", known)
        .severity(severity);
    with_tool(with_pdu(seen, asked.pdu.as_ref()), tool_of_community(asked))
}

/// A message of v3, all of which is `message`. `known`: the agent has a user of that name.
pub fn secured(asked: &Secured, message: &[u8], known: bool) -> Sighting {
    let named = !asked.user.is_empty();
    let mut seen = Sighting::of(if named { &LOGIN } else { &DISCOVERY });
    if named || !asked.digest.is_empty() {
        seen = seen.login(usm::login(asked, message)).with("known", known);
    }
    seen = seen.with("version", "3").with("flags", asked.flags).with("message_id", asked.id);
    if !asked.engine.is_empty() {
        seen = seen.with("engine", hex(&asked.engine));
    }
    if asked.model != 3 {
        seen = seen.with("security_model", asked.model);
    }
    match &asked.scoped {
        Scoped::Plain { name, pdu, .. } => {
            if !name.is_empty() {
                seen = seen.with("context", name.as_slice());
            }
            seen = with_pdu(seen, pdu.as_ref());
        }
        Scoped::Sealed => seen = seen.with("encrypted", true),
        Scoped::Broken => seen = seen.with("malformed", "no scoped PDU"),
    }
    with_tool(seen, tool_of_secured(asked))
}

fn with_tool(seen: Sighting, tool: Option<&'static str>) -> Sighting {
    match tool {
        Some(tool) => seen.with("tool", tool),
        None => seen,
    }
}

fn with_pdu(seen: Sighting, pdu: Result<&Pdu, &Flaw>) -> Sighting {
    let pdu = match pdu {
        Ok(pdu) => pdu,
        Err(flaw) => {
            let seen = if flaw.tag == 0 { seen } else { seen.with("pdu", name(flaw.tag)) };
            return seen.with("requests", Fact::List(Vec::new())).with("malformed", flaw.why);
        }
    };
    let named = pdu.bindings.iter().take(RECORDED);
    let names = named.clone().map(|binding| binding.name.to_string().into()).collect();
    let mut seen = seen.with("pdu", name(pdu.tag)).with("requests", Fact::List(names));
    if pdu.bindings.len() > RECORDED {
        seen = seen.with("count", pdu.bindings.len());
    }
    if pdu.tag == BULK {
        seen = seen.with("non_repeaters", pdu.status).with("max_repetitions", pdu.index);
    }
    if pdu.tag == TRAP {
        seen = seen.with("generic_trap", pdu.status).with("specific_trap", pdu.index);
    }
    let values: Vec<Fact> = named
        .filter(|binding| binding.value.tag != NULL)
        .map(|binding| {
            let (kind, value) = shown(&binding.value);
            let parts = [("oid", binding.name.to_string().into()), ("type", kind.into()), ("value", value)];
            Fact::Map(parts.into_iter().map(|(key, part)| (key.to_owned(), part)).collect::<BTreeMap<_, _>>())
        })
        .collect();
    if values.is_empty() { seen } else { seen.with("values", Fact::List(values)) }
}

/// The name of a kind of PDU.
fn name(tag: u8) -> &'static str {
    match tag {
        GET => "get",
        NEXT => "getnext",
        RESPONSE => "response",
        SET => "set",
        TRAP => "trap",
        BULK => "getbulk",
        INFORM => "inform",
        TRAP2 => "trap2",
        REPORT => "report",
        _ => "unknown",
    }
}

/// A value with the name of its type.
fn shown(value: &Value) -> (&'static str, Fact) {
    let text = || Untrusted::from(value.content.as_slice()).into();
    let number = || ber::number(&value.content).map_or(Fact::Null, Into::into);
    match value.tag {
        INTEGER => ("integer", number()),
        OCTETS => ("octets", text()),
        OBJECT => ("oid", Oid::decode(&value.content).map_or(Fact::Null, |oid| oid.to_string().into())),
        ADDRESS => match value.content.as_slice() {
            [a, b, c, d] => ("address", format!("{a}.{b}.{c}.{d}").into()),
            _ => ("address", text()),
        },
        COUNTER => ("counter", number()),
        GAUGE => ("gauge", number()),
        TICKS => ("ticks", number()),
        COUNTER64 => ("counter64", number()),
        _ => ("other", hex(&value.content).into()),
    }
}

/// Request ids that are always the same: nmap 7's probe SNMPv1public, and hydra 9.
const NMAP: i64 = 0x4c33_a756;
const HYDRA: i64 = 0x1a5e_9700;
/// onesixtyone 0.3 counts down from -1, in four bytes, for each community that it tries.
const ONESIXTYONE: std::ops::RangeInclusive<i64> = -0x1_0000..=-1;
/// nmap 7's probe SNMPv3GetRequest: its message and request.
const NMAP_V3: (i64, i64) = (0x4a69, 0x37f0);

fn tool_of_community(asked: &Community) -> Option<&'static str> {
    let pdu = asked.pdu.as_ref().ok().filter(|pdu| pdu.tag == GET)?;
    match pdu.id {
        NMAP => Some("nmap"),
        HYDRA => Some("hydra"),
        // Four bytes are one number of 32 bits without a sign there: padded only if nobody counted them.
        id if ONESIXTYONE.contains(&id) && pdu.padded && asked.version == V1 => Some("onesixtyone"),
        _ => None,
    }
}

fn tool_of_secured(asked: &Secured) -> Option<&'static str> {
    match &asked.scoped {
        Scoped::Plain { pdu: Ok(pdu), .. } if (asked.id, pdu.id) == NMAP_V3 => Some("nmap"),
        _ => None,
    }
}
