//! What went wrong with a mail server, in words that say what to change, and whether trying again can help.
//!
//! Refused for good is only what a server said about this one message or its recipients. Whatever the
//! operator can mend (addresses, ports, passwords, rights to relay) is tried again, so that nothing is lost
//! while the configuration is wrong.

use std::{io::ErrorKind, time::Duration};

use super::{
    STEPS, Settings,
    talk::{Reply, Security, Step, Trouble},
};
use crate::{Failure, trust};

/// The longest wait that a server can ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// How long to wait when a server says "later" without saying when.
const GREYLISTED: Duration = Duration::from_secs(60);

/// What to report.
pub(super) fn failure(trouble: &Trouble, settings: &Settings) -> Failure {
    let server = format!("{}:{}", settings.host, settings.port);
    let why = match trouble {
        Trouble::Unresolved(error) => {
            format!(
                "the name {:?} was not found ({error}): check `host` and this machine's DNS",
                settings.host
            )
        }
        Trouble::Unreachable(error) => match error.kind() {
            ErrorKind::ConnectionRefused => {
                format!(
                    "{server} refused the connection: is it the right `port`, and is the mail server running?"
                )
            }
            _ => {
                format!("no connection to {server} ({error}): check `host`, `port` and the firewalls between")
            }
        },
        Trouble::Handshake(error) => handshake(error, settings, &server),
        Trouble::Silent(step) => silent(*step, settings, &server),
        Trouble::Closed(step, error) => {
            let reason = error.as_ref().map(|error| format!(" ({error})")).unwrap_or_default();
            let hint = if *step == Step::Greeting { wrong_port(settings) } else { "" };
            format!("{server} closed the connection at {step}{reason}{hint}")
        }
        Trouble::Garbled(step, text) => {
            let hint = if *step == Step::Greeting { "; check `host` and `port`" } else { "" };
            format!("{server} does not answer as a mail server at {step}: \"{text}\"{hint}")
        }
        Trouble::No(step, reply) => return no(*step, reply, &server),
        Trouble::NoStartTls => format!(
            "{server} does not offer STARTTLS: set `security = \"tls\"` with port 465 if it has that, or \
             \"none\" to send in the clear"
        ),
        Trouble::NoEncryption => format!(
            "{server} offers no encryption, so the password was not sent: use a port with STARTTLS (587) or TLS \
             (465), or set `security = \"none\"` to send it in the clear"
        ),
        Trouble::NoMechanism(offered) if offered.is_empty() => format!(
            "{server} offers no login on this port: leave out `username` and `password`, or use the submission \
             port (587 or 465)"
        ),
        Trouble::NoMechanism(offered) => {
            format!("{server} offers none of the ways to log in that `mechanism` allows, only: {offered}")
        }
        Trouble::Smuggled => format!(
            "{server} sent more in the clear before the TLS handshake: somebody on the way may be tampering with \
             the connection; use `security = \"tls\"` with port 465"
        ),
        Trouble::NoToken(failure) => return failure.clone(),
        Trouble::Token { reply, reason, .. } => token(reply, reason.as_deref(), settings, &server),
        Trouble::NoBearer(offered) if offered.is_empty() => format!(
            "{server} offers no login on this port: leave out `oauth2`, or use the submission port (587 or 465)"
        ),
        Trouble::NoBearer(offered) => format!(
            "{server} takes no tokens (XOAUTH2 or OAUTHBEARER), only {offered}: set `host` to the provider's own \
             server, or `username` and `password` instead of `oauth2`"
        ),
        Trouble::Unusable(why) => why.clone(),
    };
    Failure::later(why)
}

/// Whether an answer about a recipient or the message is final.
pub(super) fn refused(step: Step, reply: &Reply) -> bool {
    let about_this_mail = matches!(step, Step::Recipient | Step::Data | Step::Message);
    about_this_mail && matches!(reply.code, 550..=559 | 501 | 521) && !about_us(reply)
}

/// What to report of an answer that says no.
pub(super) fn no(step: Step, reply: &Reply, server: &str) -> Failure {
    let words = reply.words();
    if refused(step, reply) {
        return Failure::Refused(format!("{server} refused {step}: {reply}"));
    }
    let advice = match (step, reply.code) {
        (_, 400..=499) => match greylisting(reply) {
            true => ": it asks new senders to try again later, which is done",
            false => "",
        },
        (Step::Login, 534) => ": it wants another way to log in, often a password made for applications",
        (_, 538) => ": it wants encryption before a login: set `security` to \"starttls\" or \"tls\"",
        (Step::Login, _) => {
            ": check `username` and `password` (Gmail and Microsoft 365 want a password made for applications)"
        }
        (_, 530) if words.contains("starttls") => {
            ": it wants encryption first: set `security = \"starttls\"`"
        }
        (_, 530) => ": it wants a login first: set `username` and `password`",
        (Step::Sender, _) => ": check that this server lets `from` send",
        (_, 500..) if words.contains("send as") || words.contains("sendas") => {
            ": who logs in may not send as `from`: use the address of that mailbox"
        }
        (Step::Recipient | Step::Data | Step::Message, _) => {
            ": it does not relay for this machine: set `username` and `password`, or let the mail server accept \
             mail from here"
        }
        (Step::Hello, _) => ": set `helo` to a name that it accepts",
        (Step::Greeting, _) => ": it does not want mail from this machine",
        _ => "",
    };
    Failure::Later { why: format!("{server} said no to {step} ({reply}){advice}"), after: wish(reply) }
}

/// Why a mail server does not take a token that its provider has handed out.
fn token(reply: &Reply, reason: Option<&str>, settings: &Settings, server: &str) -> String {
    let words = reply.words();
    let (mailbox, itself) =
        settings.token.as_ref().map_or(("", false), |(name, itself)| (name.as_str(), *itself));
    let advice = match () {
        () if words.contains("disabled for the tenant") => {
            "SMTP AUTH is disabled for the whole organisation: an administrator must allow it, for this mailbox alone \
             (Set-CASMailbox -SmtpClientAuthenticationDisabled $false) or for all"
                .to_owned()
        }
        () if words.contains("disabled for the mailbox") => format!(
            "SMTP AUTH is disabled for the mailbox {mailbox}: an administrator must allow it (Set-CASMailbox \
             -SmtpClientAuthenticationDisabled $false)"
        ),
        () if words.contains("security defaults") => {
            "the organisation's security defaults forbid SMTP AUTH: an administrator must turn them off, or use \
             conditional access instead"
                .to_owned()
        }
        () if words.contains("5.7.139") => {
            "the organisation does not let this login pass: an administrator must allow SMTP AUTH and look into the \
             sign-in logs"
                .to_owned()
        }
        () if reason.is_some_and(|reason| reason.contains("scope")) => {
            "the token does not let this mailbox send: check `username`, and log in once more with the scope that it names"
                .to_owned()
        }
        () if itself => format!(
            "check that {mailbox} is a mailbox, that the application has the permission SMTP.SendAsApp with an \
             administrator's consent, and that it is registered in Exchange (New-ServicePrincipal) with rights to that \
             mailbox (Add-MailboxPermission)"
        ),
        () => format!("check that the refresh token is for {mailbox} (`username`), and that `scope` lets it send mail"),
    };
    let reason = reason.map(|reason| format!("; {reason}")).unwrap_or_default();
    format!("{server} does not take the token ({reply}{reason}): {advice}")
}

/// Whether a refusal is about who we are rather than about this mail: rights to relay, a missing login. Text
/// decides where the codes are used for both (RFC 3463, section 3.8: X.7.1 is "not authorized").
fn about_us(reply: &Reply) -> bool {
    let words = reply.words();
    [
        "relay",
        "authenticat",
        "not authorized",
        "access denied",
        "blocked using",
        "reverse",
        "send as",
        "sendas",
    ]
    .iter()
    .any(|word| words.contains(word))
}

fn greylisting(reply: &Reply) -> bool {
    let words = reply.words();
    words.contains("greylist") || words.contains("graylist") || words.contains("try again later")
}

/// How long the server wants us to wait: a number of seconds or minutes in its text, or a usual time.
fn wish(reply: &Reply) -> Option<Duration> {
    if !matches!(reply.code, 421 | 450 | 451) {
        return None;
    }
    let words = reply.words();
    let mut parts =
        words.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        let digits = part.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let Ok(number) = digits.parse::<u64>() else { continue };
        let unit = match part.strip_prefix(digits) {
            Some("") | None => parts.peek().copied().unwrap_or_default(),
            Some(unit) => unit,
        };
        let seconds = match unit {
            "s" | "sec" | "secs" | "second" | "seconds" => number,
            "m" | "min" | "mins" | "minute" | "minutes" => number.saturating_mul(60),
            _ => continue,
        };
        return Some(Duration::from_secs(seconds).min(LONGEST_WAIT));
    }
    (reply.code == 421 || greylisting(reply)).then_some(GREYLISTED)
}

fn handshake(error: &std::io::Error, settings: &Settings, server: &str) -> String {
    match (trust::tls_error(error), trust::advice(error, "ca")) {
        (Some(rustls::Error::InvalidMessage(_)), _) => format!(
            "{server} does not speak TLS from the first byte: set `security = \"starttls\"`, or use port 465 \
             (this is set to \"{}\")",
            word(settings.security)
        ),
        (_, Some(advice)) => format!("{server}: {advice}"),
        (_, None) => format!("{server} ended the TLS handshake ({error})"),
    }
}

fn silent(step: Step, settings: &Settings, server: &str) -> String {
    let patience = if step == Step::Message { settings.patience } else { settings.patience.min(STEPS) };
    let seconds = patience.as_secs_f64().ceil();
    match step {
        Step::Resolve => format!("no answer from DNS about {:?} within {seconds} s", settings.host),
        Step::Connect => format!(
            "no connection to {server} within {seconds} s: a firewall drops it, or the host is down (many \
             networks let nobody use port 25: try 587)"
        ),
        Step::Greeting => {
            format!(
                "{server} took the connection, but sent nothing within {seconds} s{}",
                wrong_port(settings)
            )
        }
        step => format!("{server} did not answer {step} within {seconds} s"),
    }
}

/// For a server that waits for us to begin, or hangs up on us.
fn wrong_port(settings: &Settings) -> &'static str {
    match settings.security {
        Security::Tls => "",
        Security::Auto if settings.port == 465 => "",
        _ => ": if it is a port for TLS from the first byte (as 465 is), set `security = \"tls\"`",
    }
}

/// As in the configuration.
pub(super) fn word(security: Security) -> &'static str {
    match security {
        Security::Auto => "auto",
        Security::None => "none",
        Security::StartTls => "starttls",
        Security::Tls => "tls",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(code: u16, text: &str) -> Reply {
        Reply { code, lines: vec![text.into()] }
    }

    #[test]
    fn a_greylisting_server_says_how_long_to_wait() {
        let seconds = |code, text| wish(&reply(code, text)).map(|wish| wish.as_secs());
        assert_eq!(seconds(451, "4.7.1 Greylisted, please try again in 300 seconds"), Some(300));
        assert_eq!(seconds(450, "4.2.0 <a@b>: Greylisted for 5 minutes"), Some(300));
        assert_eq!(seconds(451, "4.7.1 Try again later"), Some(60));
        assert_eq!(seconds(421, "4.7.0 Too many connections, come back in 90s"), Some(90));
        assert_eq!(seconds(451, "wait 999999999 minutes"), Some(3600));
        assert_eq!(seconds(452, "4.2.2 Mailbox full for 300 seconds"), None);
        assert_eq!(seconds(451, "4.3.0 Queue file write error"), None);
    }

    #[test]
    fn a_refusal_is_final_only_if_it_is_about_the_mail() {
        assert!(refused(Step::Recipient, &reply(550, "5.1.1 No such user")));
        assert!(refused(Step::Message, &reply(552, "5.3.4 Too big")));
        assert!(refused(Step::Message, &reply(554, "5.7.1 Looks like spam")));
        assert!(!refused(Step::Recipient, &reply(554, "5.7.1 <a@b>: Relay access denied")));
        assert!(!refused(Step::Recipient, &reply(550, "5.7.1 Authentication required")));
        assert!(!refused(Step::Greeting, &reply(554, "No service")));
        assert!(!refused(Step::Recipient, &reply(451, "Later")));
    }
}
