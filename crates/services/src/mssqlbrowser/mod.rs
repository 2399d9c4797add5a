//! SQL Server Browser (UDP 1434): tells which instances of SQL Server a machine has, and where they listen.
//!
//! Reports `mssqlbrowser.query` for each question: what was asked (`instances`, `instance`, `administration`) and which
//! instance. An answer is several times as long as its question, and the source of a datagram may be forged: so answers
//! longer than twice their question are not sent, which leaves most questions without one.
//!
//! Protocol: MC-SQLR, section 2.2.

use haldane_core::{Class, Cx, Datagrams, Halt, Host, Input, Kind, Section, Severity, Sighting, Untrusted};

use crate::mssql::persona::{self, Version};

/// Somebody asked for instances: fields `asked`, `instance`, `answered`.
pub static QUERY: Kind = Kind::new(
    32102,
    "mssqlbrowser.query",
    Class::Probe,
    Severity::Low,
    "SQL Server Browser was asked for instances",
);

/// The longest name of an instance (MC-SQLR, section 2.2.3).
const LONGEST_NAME: usize = 32;
/// SVR_RESP.
const RESPONSE: u8 = 5;

/// The service.
#[derive(Debug)]
pub struct MssqlBrowser {
    instance: String,
    /// What is told about it.
    entry: String,
}

/// A question.
#[derive(Debug, PartialEq, Eq)]
enum Query<'a> {
    /// All instances: CLNT_BCAST_EX, CLNT_UCAST_EX.
    Instances,
    /// One: CLNT_UCAST_INST.
    Instance(&'a [u8]),
    /// The port of its administrators: CLNT_UCAST_DAC.
    Administration(&'a [u8]),
}

impl<'a> Query<'a> {
    fn read(datagram: &mut Input<'a>) -> Result<Self, Halt> {
        Ok(match datagram.u8()? {
            2 | 3 => {
                datagram.take_rest();
                Self::Instances
            }
            4 => Self::Instance(name(datagram)?),
            0x0f => match datagram.u8()? {
                1 => Self::Administration(name(datagram)?),
                _ => return Err(Halt::Malformed("unknown version")),
            },
            _ => return Err(Halt::Malformed("unknown question")),
        })
    }
}

/// A name, its NUL, and what stands behind.
fn name<'a>(datagram: &mut Input<'a>) -> Result<&'a [u8], Halt> {
    let found = datagram.until(0, LONGEST_NAME)?;
    datagram.take_rest();
    Ok(found)
}

impl Datagrams for MssqlBrowser {
    const NAME: &'static str = "mssqlbrowser";
    const PORT: u16 = 1434;
    const KINDS: &'static [&'static Kind] = &[&QUERY];
    const TRY: &'static str = "printf '\\002' | nc -u -w1 {host} {port}";

    fn configure(section: &mut Section<'_>, host: &Host) -> Self {
        let version = section.choice(
            "version",
            Version::USUAL,
            &Version::NAMES,
            "The version of the SQL Server that it tells of; that of [service.mssql].",
        );
        let instance = section.text("instance", persona::INSTANCE, "The name of its instance.");
        let port = section.port("tcp_port", 1433, "Where that listens.");
        let entry = format!(
            "ServerName;{};InstanceName;{instance};IsClustered;No;Version;{};tcp;{port};;",
            host.windows.computer,
            Version::named(version).product(),
        );
        Self { instance, entry }
    }

    fn answer(&self, datagram: &mut Input<'_>, cx: &mut Cx<'_>) -> Result<(), Halt> {
        let room = datagram.rest().len().saturating_mul(2);
        let query = Query::read(datagram)?;
        let (asked, instance, known) = match query {
            Query::Instances => ("instances", None, true),
            Query::Instance(name) => {
                ("instance", Some(name), name.eq_ignore_ascii_case(self.instance.as_bytes()))
            }
            // Administrators get in from the machine itself alone unless told otherwise.
            Query::Administration(name) => ("administration", Some(name), false),
        };
        let length = u16::try_from(self.entry.len()).unwrap_or_default();
        let answer = [&[RESPONSE][..], &length.to_le_bytes(), self.entry.as_bytes()].concat();
        let answered = known && answer.len() <= room;
        let mut seen = Sighting::of(&QUERY).with("asked", asked).with("answered", answered);
        if let Some(name) = instance {
            seen = seen.with("instance", Untrusted::new(name));
        }
        cx.report(seen);
        if answered {
            cx.reply(answer);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use haldane_core::Entry;

    use super::*;
    use crate::replay::{build, datagram, show};

    fn ask(bytes: &[u8]) -> (Vec<String>, Vec<u8>) {
        let outcome = datagram(&build(&Entry::datagrams::<MssqlBrowser>(), &[]).unwrap(), bytes);
        (outcome.seen.iter().map(show).collect(), outcome.reply)
    }

    #[test]
    fn each_question_is_recorded_and_none_amplified() {
        for (question, seen) in [
            (&b"\x02"[..], "asked=\"instances\""),
            (b"\x03", "asked=\"instances\""),
            (b"\x04MSSQLSERVER\0", "asked=\"instance\" instance=\"MSSQLSERVER\""),
            (b"\x0f\x01PAYROLL\0", "asked=\"administration\" instance=\"PAYROLL\""),
        ] {
            let (events, reply) = ask(question);
            assert_eq!((events.len(), reply.len()), (1, 0));
            let (before, rest) = events[0].split_once("answered=false ").unwrap();
            assert_eq!(format!("{before}{rest}"), format!("mssqlbrowser.query {seen}"));
        }
        assert_eq!(ask(b"\x04MSSQLSERVER").0, Vec::<String>::new());
    }

    #[test]
    fn a_question_that_is_long_enough_is_answered() {
        let (_, reply) = ask(&[2; 64]);
        let told =
            "ServerName;FILES01;InstanceName;MSSQLSERVER;IsClustered;No;Version;15.0.2000.5;tcp;1433;;";
        assert_eq!(reply, [&[5, 89, 0], told.as_bytes()].concat());
    }
}
