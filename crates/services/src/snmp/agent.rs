//! What is answered to a PDU: RFC 3416, section 4.2, in the manner of Net-SNMP 5.9.
//!
//! No answer may be larger than [`Room`] says. One that would be is `tooBig`, or a GETBULK's with fewer variables.

use haldane_wire::ber::{NULL, Oid};

use super::{
    message::{BULK, Binding, GET, NEXT, Pdu, SET, V1},
    mib::{Mib, Moment},
};

/// `error-status` (RFC 3416, section 3).
const TOO_BIG: i64 = 1;
const NO_SUCH_NAME: i64 = 2;
const BAD_VALUE: i64 = 3;
const NO_ACCESS: i64 = 6;
const WRONG_TYPE: i64 = 7;

/// How many bytes an answer may have.
pub type Room = usize;

/// The answer, written by `write`; `None` to what an agent does not answer.
pub fn answer(
    mib: &Mib,
    (version, pdu): (i64, &Pdu),
    moment: Moment,
    room: Room,
    write: impl Fn(&Pdu) -> Vec<u8>,
) -> Option<Vec<u8>> {
    let mut answer = match pdu.tag {
        GET => {
            let value = |name: &Oid| Binding { name: name.clone(), value: mib.get(name, moment) };
            values(version, pdu, pdu.bindings.iter().map(|asked| value(&asked.name)).collect())
        }
        NEXT => {
            let next = pdu.bindings.iter().map(|asked| mib.next(&asked.name, moment));
            values(version, pdu, next.collect())
        }
        BULK => values(version, pdu, bulk(mib, pdu, moment, room)),
        SET => refusal(version, pdu),
        _ => return None,
    };
    let mut written = write(&answer);
    while pdu.tag == BULK && written.len() > room && answer.bindings.pop().is_some() {
        written = write(&answer);
        if answer.bindings.is_empty() {
            return Some(write(&too_big(version, pdu)));
        }
    }
    Some(if written.len() > room { write(&too_big(version, pdu)) } else { written })
}

/// The answer with those values. v1 knows no exceptions: there, the last variable that has none is an error.
fn values(version: i64, pdu: &Pdu, found: Vec<Binding>) -> Pdu {
    let missing = found.iter().rposition(|binding| binding.value.is_exception());
    match missing.filter(|_| version == V1) {
        Some(at) => pdu.answer(NO_SUCH_NAME, index(at), pdu.bindings.clone()),
        None => pdu.answer(0, 0, found),
    }
}

/// Variables after those asked for (RFC 3416, section 4.2.3), as many as there is room for, and one more: whoever
/// takes from the end until it fits must find some that do not.
fn bulk(mib: &Mib, pdu: &Pdu, moment: Moment, room: Room) -> Vec<Binding> {
    let single = usize::try_from(pdu.status).unwrap_or(0).min(pdu.bindings.len());
    let (single, repeated) = pdu.bindings.split_at_checked(single).unwrap_or_default();
    let mut found: Vec<Binding> = Vec::new();
    let mut size = 0_usize;
    let mut add = |name: &Oid| {
        let binding = mib.next(name, moment);
        size = size.saturating_add(binding.encode().len());
        let (name, ended) = (binding.name.clone(), binding.value.is_exception());
        found.push(binding);
        (size <= room).then_some((name, ended))
    };
    let mut names: Vec<Oid> = repeated.iter().map(|asked| asked.name.clone()).collect();
    if single.iter().any(|asked| add(&asked.name).is_none()) {
        return found;
    }
    for _ in 0..pdu.index.max(0) {
        let mut all_ended = true;
        for name in &mut names {
            let Some((next, ended)) = add(name) else { return found };
            *name = next;
            all_ended &= ended;
        }
        if all_ended {
            break;
        }
    }
    found
}

/// Nothing may be written. A variable to be set to nothing is found before that.
fn refusal(version: i64, pdu: &Pdu) -> Pdu {
    if pdu.bindings.is_empty() {
        return pdu.answer(0, 0, Vec::new());
    }
    let empty = pdu.bindings.iter().position(|asked| asked.value.tag == NULL);
    let status = match (version, empty) {
        (V1, Some(_)) => BAD_VALUE,
        (V1, None) => NO_SUCH_NAME,
        (_, Some(_)) => WRONG_TYPE,
        (_, None) => NO_ACCESS,
    };
    pdu.answer(status, index(empty.unwrap_or_default()), pdu.bindings.clone())
}

/// The place of a variable, from 1.
fn index(at: usize) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX).saturating_add(1)
}

/// v1 repeats what was asked (RFC 1157, section 4.1.2); later versions leave it out (RFC 3416, section 4.2.1).
fn too_big(version: i64, pdu: &Pdu) -> Pdu {
    pdu.answer(TOO_BIG, 0, if version == V1 { pdu.bindings.clone() } else { Vec::new() })
}
