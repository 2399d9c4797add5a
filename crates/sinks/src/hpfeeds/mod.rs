//! Events for an hpfeeds broker, as OpenCanary's HpfeedsHandler publishes them: the same message to each channel.
//!
//! The protocol has no specification but its implementations (<https://hpfeeds.org/wire-protocol>). It has no
//! acknowledgements, only errors, after which the broker hangs up; what may be lost with a connection is sent
//! again on the next.

mod frame;

use std::time::Duration;

use frame::{Frame, LONGEST};
use haldane_core::{Notify, Record, Section, Severity, Untrusted, Wants};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    Failure, Sender, Sink,
    concealed::Concealed,
    delivery::Delivery,
    encode::Layout,
    link::{Answers, Courier, Far, Stream, Trouble, foreign},
    step::step,
};

/// A broker.
#[derive(Debug)]
pub struct Hpfeeds {
    far: Far,
    ident: String,
    secret: Concealed,
    channels: Vec<String>,
    layout: Layout,
    courier: Courier,
    patience: Duration,
}

impl Sink for Hpfeeds {
    const NAME: &'static str = "hpfeeds";
    const BATCH: usize = 100;
    const WANTS: Wants = Wants { severity: Severity::Low, operational: false, notify: Notify::Event };

    fn configure(section: &mut Section<'_>, sender: &Sender) -> Self {
        let far = Far::configure(section, (10_000, 10_000));
        let ident = section.text("ident", "", "The name that the broker knows this canary by.");
        let secret = section.text("secret", "", "The secret that belongs to it.");
        let channels = section.list(
            "channels",
            &["opencanary.events"],
            "The channels to which each event is published.",
        );
        if ident.is_empty() {
            section.invalid("ident", "expected the name that the broker knows this canary by");
        }
        if channels.is_empty() {
            section.invalid("channels", "expected at least one channel");
        }
        for (key, name) in channels.iter().map(|name| ("channels", name)).chain([("ident", &ident)]) {
            if name.len() > 255 {
                section.invalid(key, "expected names of at most 255 bytes");
            }
        }
        let layout = Layout::configure(section, "compatible", &sender.node);
        let patience = Delivery::patience::<Self>(section);
        let courier = Courier::new(Answers::Errors, REFUSAL);
        Self { far, ident, secret: Concealed::new(secret), channels, layout, courier, patience }
    }

    async fn deliver(&mut self, batch: &[Record]) -> Result<(), Failure> {
        let frames = self.frames(batch)?;
        let patience = self.patience;
        match tokio::time::timeout(patience, self.send(frames)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Trouble::Said(failure))) => Err(failure),
            Ok(Err(Trouble::Broken(error))) => Err(Failure::later(self.far.why(&error))),
            Err(_) => Err(self
                .far
                .later(format_args!("no answer for {patience:?}: it hangs, or a firewall is silent"))),
        }
    }

    fn reopen(&mut self) {
        self.far.renew();
        self.courier.close();
    }
}

impl Hpfeeds {
    fn frames(&self, batch: &[Record]) -> Result<Vec<u8>, Failure> {
        let mut frames = Vec::new();
        for record in batch {
            let line = self.layout.line(&record.event);
            for channel in &self.channels {
                let frame = Frame::publish(&self.ident, channel, line.as_bytes());
                let frame = frame.ok_or_else(|| {
                    Failure::Refused(format!("an event is longer than hpfeeds allows ({LONGEST} bytes)"))
                })?;
                frames.extend_from_slice(&frame);
            }
        }
        Ok(frames)
    }

    async fn send(&mut self, frames: Vec<u8>) -> Result<(), Trouble> {
        let stands = self.courier.stands().await.map_err(|said| self.error(&said))?;
        if !stands {
            let stream = self.log_in().await?;
            self.courier.opened(stream).await?;
        }
        self.courier.write(frames).await?.map_err(|said| self.error(&said).into())
    }

    /// Connects and says who we are. The broker says nothing if it believes that.
    async fn log_in(&self) -> Result<Stream, Trouble> {
        let mut stream = self.far.connect().await?;
        let mut head = [0; 5];
        stream.read_exact(&mut head).await?;
        let length = Frame::body(head).ok_or_else(|| foreign("hpfeeds"))?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let Some(Frame::Info { nonce }) = Frame::parse(head, &body) else {
            let mut said = head.to_vec();
            said.extend_from_slice(&body);
            return Err(self.error(&said).into());
        };
        // The name is short enough: `configure` saw to it.
        let auth = Frame::auth(&nonce, &self.ident, self.secret.reveal()).unwrap_or_default();
        stream.write_all(&auth).await?;
        stream.flush().await?;
        let heard = stream.listen(REFUSAL).await?;
        match heard.said.is_empty() {
            true if heard.stands => {
                step("the broker took name and secret");
                Ok(stream)
            }
            true => Err(self.far.later("it hung up after it was told name and secret: check both").into()),
            false => Err(self.error(&heard.said).into()),
        }
    }

    /// What an error of the broker's means.
    fn error(&self, said: &[u8]) -> Failure {
        let Some(Frame::Error { text }) = Frame::first(said) else {
            return Failure::later(self.far.why(&foreign("hpfeeds")));
        };
        let lower = String::from_utf8_lossy(&text).to_lowercase();
        let advice = match () {
            () if lower.contains("authentication failed") || lower.contains("authfail") => {
                "check `ident` and `secret`"
            }
            () if lower.contains("not allowed to pub") || lower.contains("accessfail") => {
                "allow `ident` to publish to all of `channels`"
            }
            () => "its log may say more",
        };
        self.far.later(format_args!("the broker said {:?}: {advice}", Untrusted::from(&*text).to_string()))
    }
}

/// How long to wait for an error: longer than the way to a broker far away and back.
const REFUSAL: Duration = Duration::from_millis(250);
