//! Events for NATS: published and confirmed by the server, or kept by a stream of JetStream and acknowledged.

mod protocol;

use std::time::Duration;

use haldane_core::{Notify, Record, Section, Severity, Untrusted, Wants};
use protocol::{Info, Said, publish, publish_named};
use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt, BufReader};
use uuid::Uuid;

use crate::{
    Failure, Sender, Sink,
    concealed::Concealed,
    delivery::Delivery,
    encode::Layout,
    link::{self, Far, Line, Publisher, Stream, Topic, Trouble, Words, foreign, tcp},
};

/// A server.
#[derive(Debug)]
pub struct Nats {
    client: Client,
    line: Option<Kept>,
    patience: Duration,
}

#[derive(Debug)]
struct Client {
    far: Far,
    subject: Topic,
    jetstream: bool,
    login: Login,
    layout: Layout,
}

#[derive(Debug)]
struct Login {
    username: Option<String>,
    password: Option<Concealed>,
    token: Option<Concealed>,
}

/// A connection on which all introductions are done.
#[derive(Debug)]
struct Kept {
    line: Line,
    max_payload: usize,
    /// Where answers of JetStream's go.
    inbox: String,
}

impl Sink for Nats {
    const NAME: &'static str = "nats";
    const BATCH: usize = 100;
    const WANTS: Wants = Wants { severity: Severity::Low, operational: true, notify: Notify::Event };

    fn configure(section: &mut Section<'_>, sender: &Sender) -> Self {
        let far = Far::configure(section, (4222, 4222));
        let subject = Topic::configure(
            section,
            "subject",
            "haldane.{node}.{service}",
            "The subject; {node}, {service}, {kind} and {severity} stand for what an event has.",
            &sender.node,
        );
        let jetstream = section.flag(
            "jetstream",
            false,
            "Whether a stream of JetStream takes the subject: delivered is then what it has stored.",
        );
        let username = section.optional("username", "Who logs in.");
        let password = section.optional("password", "The password that belongs to it.").map(Concealed::new);
        let token = section.optional("token", "A token instead of both.").map(Concealed::new);
        if token.is_some() && username.is_some() {
            section.invalid("token", "expected either a token or a user's name");
        }
        if password.is_some() && username.is_none() {
            section.invalid("password", "expected a username with it");
        }
        let layout = Layout::configure(section, "native", &sender.node);
        let login = Login { username, password, token };
        let client = Client { far, subject, jetstream, login, layout };
        Self { client, line: None, patience: Delivery::patience::<Self>(section) }
    }

    async fn deliver(&mut self, batch: &[Record]) -> Result<(), Failure> {
        link::deliver(&self.client, &mut self.line, batch, self.patience).await
    }

    fn reopen(&mut self) {
        self.client.far.renew();
        self.line = None;
    }
}

impl Client {
    /// The greeting comes before TLS.
    async fn greeted(&self) -> Result<(Line, Info), Trouble> {
        let stream = tcp(&self.far.host).await?;
        let mut line = BufReader::new(Stream::Tcp(stream));
        let Said::Info(info) = Said::read(&mut line).await? else { return Err(foreign("NATS").into()) };
        let Some(tls) = &self.far.tls else {
            return match info.tls_required {
                true => Err(self.far.later("the server wants TLS: set `tls = true`").into()),
                false => Ok((line, info)),
            };
        };
        if !info.tls_required && !info.tls_available {
            return Err(self
                .far
                .later("the server has no TLS: set `tls = false`, or set it up there")
                .into());
        }
        match line.into_inner() {
            Stream::Tcp(stream) => Ok((BufReader::new(tls.begin(stream).await?), info)),
            other => Ok((BufReader::new(other), info)),
        }
    }

    fn introduction(&self) -> String {
        let mut about = json!({
            "verbose": false, "pedantic": false, "tls_required": self.far.tls.is_some(), "name": "haldane",
            "lang": "rust", "version": env!("CARGO_PKG_VERSION"), "protocol": 1, "echo": false, "headers": true,
            "no_responders": true
        });
        let reveal = |secret: &Option<Concealed>| secret.as_ref().map(|secret| secret.reveal().to_owned());
        let Login { username, password, token } = &self.login;
        let keys = [("user", username.clone()), ("pass", reveal(password)), ("auth_token", reveal(token))];
        for (key, value) in keys {
            if let (Some(value), Some(about)) = (value, about.as_object_mut()) {
                about.insert(key.to_owned(), Value::String(value));
            }
        }
        format!("CONNECT {about}\r\n")
    }

    /// Reads until the server has said that it has done everything so far, and those answers have come.
    async fn settle(&self, line: &mut Line, mut answers: Vec<String>) -> Result<(), Trouble> {
        let mut done = false;
        while !done || !answers.is_empty() {
            match Said::read(line).await? {
                Said::Pong => done = true,
                Said::Ping => line.write_all(b"PONG\r\n").await?,
                Said::Error(text) => return Err(self.error(&text)),
                Said::Message { subject, status, payload } => {
                    if let Some(at) = answers.iter().position(|awaited| *awaited == subject) {
                        answers.swap_remove(at);
                        self.stored(status, &payload)?;
                    }
                }
                Said::Info(_) | Said::Ok => {}
            }
        }
        Ok(())
    }

    /// What an answer of JetStream's means.
    fn stored(&self, status: u16, payload: &[u8]) -> Result<(), Failure> {
        if status == 503 {
            return Err(self.far.later(
                "no stream of JetStream takes the subject: add one that does, or set `jetstream = false`",
            ));
        }
        let answer: Value = serde_json::from_slice(payload).unwrap_or_default();
        match answer.get("error") {
            None if answer.get("stream").is_some() => Ok(()),
            None => Err(self.far.later("what answers for JetStream is not JetStream")),
            Some(error) => {
                let text = error.get("description").and_then(Value::as_str).unwrap_or("no reason given");
                if error.get("err_code").and_then(Value::as_u64) == Some(TOO_LONG) {
                    return Err(Failure::Refused(format!("JetStream: {}", Untrusted::from(text))));
                }
                Err(self.far.later(format_args!("JetStream did not store it: {}", Untrusted::from(text))))
            }
        }
    }

    /// What an error of the server's means.
    fn error(&self, text: &str) -> Trouble {
        let lower = text.to_lowercase();
        let advice = match () {
            () if lower.contains("authorization") || lower.contains("authentication") => {
                "check `username` and `password`, or `token`"
            }
            () if lower.contains("permissions violation for subscription") => {
                "JetStream's answers come to _INBOX.>: allow this user to subscribe to that"
            }
            () if lower.contains("permissions violation") => "allow this user to publish to that subject",
            () if lower.contains("maximum payload") => "raise `max_payload` there",
            () if lower.contains("stale connection") => {
                return Trouble::Broken(Words(text.to_owned()).into());
            }
            () => "its log may say more",
        };
        self.far
            .later(format_args!("the server said {:?}: {advice}", Untrusted::from(text).to_string()))
            .into()
    }
}

impl Publisher for Client {
    type Kept = Kept;

    fn far(&self) -> &Far {
        &self.far
    }

    async fn open(&self) -> Result<Kept, Trouble> {
        let (mut line, info) = self.greeted().await?;
        if self.jetstream && !info.headers {
            return Err(self
                .far
                .later("the server is too old for JetStream: set `jetstream = false`")
                .into());
        }
        let inbox = format!("_INBOX.{}", Uuid::now_v7().simple());
        let mut hello = self.introduction();
        if self.jetstream {
            hello = format!("{hello}SUB {inbox}.* 1\r\n");
        }
        line.write_all(format!("{hello}PING\r\n").as_bytes()).await?;
        line.flush().await?;
        self.settle(&mut line, Vec::new()).await?;
        Ok(Kept { line, max_payload: info.max_payload, inbox })
    }

    async fn publish(&self, kept: &mut Kept, batch: &[Record]) -> Result<(), Trouble> {
        let mut text = Vec::new();
        let mut answers = Vec::new();
        for (record, number) in batch.iter().zip(1..) {
            let subject = self.subject.of(&record.event);
            let payload = self.layout.line(&record.event);
            if payload.len().saturating_add(HEADERS) > kept.max_payload {
                let most = kept.max_payload;
                return Err(Failure::Refused(format!("the server takes at most {most} bytes")).into());
            }
            if self.jetstream {
                let reply = format!("{}.{number}", kept.inbox);
                let id = record.event.id.to_string();
                text.append(&mut publish_named(&subject, &reply, &id, payload.as_bytes()));
                answers.push(reply);
            } else {
                text.append(&mut publish(&subject, payload.as_bytes()));
            }
        }
        text.extend_from_slice(b"PING\r\n");
        kept.line.write_all(&text).await?;
        kept.line.flush().await?;
        self.settle(&mut kept.line, answers).await
    }
}

/// JetStream's error for a message that is longer than its stream takes.
const TOO_LONG: u64 = 10_054;
/// Bytes of headers, which count as payload.
const HEADERS: usize = 100;
