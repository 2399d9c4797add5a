//! Alerts by mail, a few for each incident or one for each event: a subject and a text that a person can read,
//! the event as JSON beside it. Speaks SMTP itself (see `talk.rs`), since a refusal must be explained by the step at which it came;
//! keeps the connection while there is more to send.
//!
//! A mail is tried for each recipient until that recipient's server has taken or refused it, and is never
//! sent again to those who have it. What comes after a crash in between has the same `Message-ID`.

mod advice;
mod mail;
mod oauth2;
mod talk;

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use haldane_core::{Event, Notify, Record, Section, Severity, Wants};
use lettre::message::Mailbox;
use tokio::time::Instant;
use uuid::Uuid;

use self::{
    mail::{Json, Letterhead},
    oauth2::OAuth2,
    talk::{Call, Login, Mechanism, Patience, Security, Step, Talk, Trouble},
};
use crate::{Delivery, Failure, Sender, Sink, concealed::Concealed, encode::Layout, trust::Trust};

/// Longest wait for all that comes before the message.
const STEPS: Duration = Duration::from_secs(30);
/// Longest goodbye to a server.
const GOODBYE: Duration = Duration::from_secs(2);

/// The sink.
#[derive(Debug)]
pub struct Smtp {
    settings: Settings,
    head: Letterhead,
    layout: Layout,
    /// Where tokens are from, for a login without a password.
    oauth2: Option<OAuth2>,
    kept: Option<Talk>,
    progress: Progress,
}

#[derive(Debug)]
struct Settings {
    host: String,
    port: u16,
    security: Security,
    mechanism: Mechanism,
    /// User name and password.
    login: Option<(String, Concealed)>,
    /// The mailbox that a token is for, and whether the program logs in as itself.
    token: Option<(String, bool)>,
    password_file: Option<PathBuf>,
    helo: Option<String>,
    trust: Trust,
    patience: Duration,
    /// As they stand in the envelope.
    from: String,
    to: Vec<String>,
}

/// How far one mail has come.
#[derive(Debug, Default)]
struct Progress {
    event: Uuid,
    /// One for each recipient.
    done: Vec<Fate>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Open,
    Sent,
    Refused(String),
}

impl Sink for Smtp {
    const NAME: &'static str = "smtp";
    /// A server may take its time to look through a message; see RFC 5321, section 4.5.3.2.6.
    const TIMEOUT: Duration = Duration::from_secs(120);
    const WANTS: Wants = Wants { severity: Severity::Medium, operational: false, notify: Notify::Incident };

    fn configure(section: &mut Section<'_>, sender: &Sender) -> Self {
        let patience = Delivery::patience::<Self>(section);
        let security = security(section);
        let oauth2 = OAuth2::configure(section, patience.min(STEPS));
        let by_token = section.has("oauth2");
        let about = "The mail server; with `oauth2`, the provider's own if left out.";
        let mut host = section.text("host", "", about);
        if let (true, Some(oauth2)) = (host.trim().is_empty(), &oauth2) {
            host = oauth2.provider.host().to_owned();
        }
        if host.trim().is_empty() && !by_token {
            section.invalid("host", "expected the name of a mail server");
        }
        let (username, login, password_file) = login(section, by_token);
        let usual = match (security, login.is_some() || by_token) {
            (Security::Tls, _) => 465,
            (Security::StartTls, _) | (Security::Auto, true) => 587,
            (Security::None | Security::Auto, _) => 25,
        };
        let port =
            section.port("port", usual, "Its port; without it, what is usual for `security` and `username`.");
        let (from, to) = addresses(section);
        let token = oauth2.as_ref().map(|oauth2| {
            let mailbox = username.unwrap_or_else(|| from.email.to_string());
            (mailbox, oauth2.is_for_itself())
        });
        let settings = Settings {
            host: host.trim().to_owned(),
            port,
            security,
            mechanism: match section.choice(
                "mechanism",
                "auto",
                &["auto", "plain", "login"],
                "How to log in.",
            ) {
                "plain" => Mechanism::Plain,
                "login" => Mechanism::Login,
                _ => Mechanism::Auto,
            },
            login,
            token,
            password_file,
            helo: helo(section),
            trust: Trust::configure(section),
            patience,
            from: envelope(&from),
            to: to.iter().map(envelope).collect(),
        };
        let head = Letterhead {
            from,
            to,
            subject: subject(section),
            json: json(section),
            node: sender.node.clone(),
        };
        let layout = Layout::configure(section, "native", &sender.node);
        Self { settings, head, layout, oauth2, kept: None, progress: Progress::default() }
    }

    async fn deliver(&mut self, batch: &[Record]) -> Result<(), Failure> {
        for record in batch {
            self.send(&record.event).await?;
        }
        Ok(())
    }

    async fn idle(&mut self) {
        if let Some(talk) = self.kept.take() {
            goodbye(talk).await;
        }
    }

    fn reopen(&mut self) {
        self.kept = None;
        self.settings.trust.renew();
        if let Some(oauth2) = &mut self.oauth2 {
            oauth2.renew();
        }
        let password = self.settings.password_file.as_deref().map(from_file);
        if let (Some((_, old)), Some(Ok(new))) = (&mut self.settings.login, password) {
            *old = new;
        }
    }
}

impl Smtp {
    async fn send(&mut self, event: &Event) -> Result<(), Failure> {
        let json = self.layout.line(event);
        let mail = mail::compose(&self.head, event, &json)
            .map_err(|error| Failure::Refused(format!("no mail can be made of it: {error}")))?;
        if self.progress.event != event.id {
            self.progress = Progress { event: event.id, done: vec![Fate::Open; self.settings.to.len()] };
        }
        if self.progress.done.contains(&Fate::Open) {
            self.exchange(&mail).await?;
        }
        self.verdict()
    }

    /// Sends to those who are still open. A connection kept from before may have been closed by the server:
    /// then once more over a new one.
    async fn exchange(&mut self, mail: &[u8]) -> Result<(), Failure> {
        let now = Instant::now();
        let patience = Patience {
            steps: now.checked_add(self.settings.patience.min(STEPS)).unwrap_or(now),
            message: now.checked_add(self.settings.patience).unwrap_or(now),
        };
        if let Some(mut talk) = self.kept.take() {
            talk.patience = patience;
            match self.over(talk, mail).await {
                Err(Trouble::Closed(Step::Sender, _)) => {}
                Err(Trouble::No(Step::Sender, reply)) if reply.code == 421 => {}
                other => return other.map_err(|trouble| advice::failure(&trouble, &self.settings)),
            }
        }
        let opened = match self.open(patience).await {
            // It may have been revoked while it was kept.
            Err(Trouble::Token { old: true, .. }) => self.open(patience).await,
            opened => opened,
        };
        let sent = match opened {
            Ok(talk) => self.over(talk, mail).await,
            Err(trouble) => Err(trouble),
        };
        sent.map_err(|trouble| advice::failure(&trouble, &self.settings))
    }

    async fn open(&mut self, patience: Patience) -> Result<Talk, Trouble> {
        let (mut token, mut old) = (None, false);
        if let Some(oauth2) = &mut self.oauth2 {
            let (secret, kept) = oauth2.token().await.map_err(Trouble::NoToken)?;
            (token, old) = (Some(secret), kept);
        }
        let settings = &self.settings;
        let own = own_name();
        let login = match (&token, &settings.token, &settings.login) {
            (Some(token), Some((mailbox, _)), _) => Some(Login::token(mailbox, token.reveal())),
            (_, _, Some((name, password))) => Some(Login::password(name, password.reveal())),
            _ => None,
        };
        let opened = Talk::open(&Call {
            host: &settings.host,
            port: settings.port,
            security: settings.security,
            tls: settings.trust.config().map_err(Trouble::Unusable)?,
            verify: settings.trust.verifies(),
            helo: settings.helo.as_deref().or(own.as_deref()),
            login,
            mechanism: settings.mechanism,
            patience,
        })
        .await;
        match (opened, &mut self.oauth2) {
            (Err(Trouble::Token { reply, reason, .. }), Some(oauth2)) => {
                oauth2.discard();
                Err(Trouble::Token { reply, reason, old })
            }
            (opened, _) => opened,
        }
    }

    async fn over(&mut self, mut talk: Talk, mail: &[u8]) -> Result<(), Trouble> {
        let open: Vec<usize> = (0..self.progress.done.len())
            .filter(|index| self.progress.done.get(*index) == Some(&Fate::Open))
            .collect();
        let to: Vec<&str> =
            open.iter().filter_map(|index| self.settings.to.get(*index)).map(String::as_str).collect();
        let answers = talk.send(&self.settings.from, &to, mail).await?;
        let mut later = None;
        for (index, answer) in open.into_iter().zip(answers) {
            let Some(fate) = self.progress.done.get_mut(index) else { continue };
            match answer {
                Ok(()) => *fate = Fate::Sent,
                Err(reply) if advice::refused(Step::Recipient, &reply) => {
                    *fate = Fate::Refused(reply.to_string())
                }
                Err(reply) => later = later.or(Some(reply)),
            }
        }
        match later {
            Some(reply) => {
                goodbye(talk).await;
                Err(Trouble::No(Step::Recipient, reply))
            }
            None => {
                self.kept = Some(talk);
                Ok(())
            }
        }
    }

    /// What came of a mail whose recipients are all served.
    fn verdict(&self) -> Result<(), Failure> {
        let pairs = || self.settings.to.iter().zip(&self.progress.done);
        let refused: Vec<String> = pairs()
            .filter_map(|(to, fate)| match fate {
                Fate::Refused(reply) => Some(format!("{to}: {reply}")),
                Fate::Open | Fate::Sent => None,
            })
            .collect();
        if refused.is_empty() {
            return Ok(());
        }
        let sent: Vec<_> =
            pairs().filter(|(_, fate)| **fate == Fate::Sent).map(|(to, _)| to.as_str()).collect();
        let others = if sent.is_empty() { String::new() } else { format!("; sent to {}", sent.join(", ")) };
        Err(Failure::Refused(format!(
            "{}:{} refused {}{others}",
            self.settings.host,
            self.settings.port,
            refused.join("; ")
        )))
    }
}

async fn goodbye(mut talk: Talk) {
    talk.patience.steps = Instant::now().checked_add(GOODBYE).unwrap_or(talk.patience.steps);
    talk.quit().await;
}

/// The full name of this machine, if it has one.
fn own_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| name.contains('.') && is_domain(name))
}

fn is_domain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_[]:".contains(&b))
}

/// What stands in the envelope: without a domain for a user of the mail server itself.
fn envelope(mailbox: &Mailbox) -> String {
    let address = &mailbox.email;
    match address.domain() {
        "localhost" => address.user().to_owned(),
        _ => address.to_string(),
    }
}

fn security(section: &mut Section<'_>) -> Security {
    let word = section.choice(
        "security",
        "auto",
        &["auto", "none", "starttls", "tls"],
        "auto: TLS at once on port 465, else STARTTLS where it is offered, and no password without it; none: in \
         the clear; starttls: STARTTLS or nothing; tls: TLS from the first byte.",
    );
    match word {
        "none" => Security::None,
        "starttls" => Security::StartTls,
        "tls" => Security::Tls,
        _ => Security::Auto,
    }
}

/// User name, the same with its password, and the file that the password is from. `by_token`: there is none.
fn login(
    section: &mut Section<'_>,
    by_token: bool,
) -> (Option<String>, Option<(String, Concealed)>, Option<PathBuf>) {
    let about =
        "For servers that want a login; with `oauth2`, the mailbox, which is that of `from` if left out.";
    let username = section.optional("username", about).filter(|name| !by_token || !name.is_empty());
    let password = section.optional("password", "The password for it.");
    let file = section.path("password_file", "A file that holds the password alone.");
    if by_token {
        for key in ["password", "password_file"] {
            if section.has(key) {
                section.invalid(key, "expected no password beside `oauth2`");
            }
        }
        return (username, None, None);
    }
    let password = match (password, file.as_deref().map(from_file)) {
        (Some(_), Some(_)) => {
            section.invalid("password_file", "expected only one of `password` and `password_file`");
            None
        }
        (None, Some(Err(error))) => {
            section.invalid("password_file", format!("expected a readable file ({error})"));
            None
        }
        (None, Some(Ok(password))) => Some(password),
        (password, None) => password.map(Concealed::new),
    };
    let login = match (username, password) {
        (Some(username), Some(password)) => Some((username, password)),
        (Some(_), None) if file.is_none() => {
            section.invalid("password", "expected a password for `username`");
            None
        }
        (None, Some(_)) => {
            section.invalid("username", "expected a user name for the password");
            None
        }
        (_, None) => None,
    };
    (None, login, file)
}

fn from_file(path: &Path) -> io::Result<Concealed> {
    std::fs::read_to_string(path).map(|text| Concealed::new(text.trim_end_matches(['\r', '\n'])))
}

/// Who writes, and to whom.
fn addresses(section: &mut Section<'_>) -> (Mailbox, Vec<Mailbox>) {
    const EXPECTED: &str =
        "expected an address, as in \"canary@example.org\" or \"Canary <canary@example.org>\"";
    let from = section.text("from", "", "The sender's address.");
    let to = section.list("to", &[], "The addresses that are told.");
    let sender = mail::mailbox(&from);
    if sender.is_none() {
        section.invalid("from", EXPECTED);
    }
    let recipients: Option<Vec<_>> = to.iter().map(|address| mail::mailbox(address)).collect();
    let recipients = recipients.filter(|recipients| !recipients.is_empty());
    if recipients.is_none() {
        section.invalid("to", EXPECTED);
    }
    (sender.unwrap_or_else(nobody), recipients.unwrap_or_default())
}

/// Stands where an address is missing; such a configuration never runs.
fn nobody() -> Mailbox {
    Mailbox::new(None, lettre::Address::new_dangerous("nobody", "localhost"))
}

fn helo(section: &mut Section<'_>) -> Option<String> {
    let name = section
        .optional("helo", "How this machine calls itself; without it, its full name or its address.")?;
    if !is_domain(&name) {
        section.invalid("helo", "expected a domain name");
        return None;
    }
    Some(name)
}

fn subject(section: &mut Section<'_>) -> String {
    let subject = section.text(
        "subject",
        "{node}: {sentence}",
        "The subject. {sentence}, {severity}, {service}, {kind}, {source} and {node} are filled in.",
    );
    for word in subject.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(word, _)| word) {
        if !mail::PLACEHOLDERS.contains(&word)
            && let Some(near) = haldane_core::section::nearest(word, mail::PLACEHOLDERS)
        {
            section.invalid("subject", format!("expected {{{near}}} instead of {{{word}}}"));
        }
    }
    subject
}

fn json(section: &mut Section<'_>) -> Json {
    let word = section.choice(
        "json",
        "attached",
        &["attached", "inline", "only", "none"],
        "Where the event stands for machines: attached (as a file), inline (under the text), only (instead of \
         the text, as OpenCanary does it) or none.",
    );
    match word {
        "inline" => Json::Inline,
        "only" => Json::Only,
        "none" => Json::None,
        _ => Json::Attached,
    }
}
