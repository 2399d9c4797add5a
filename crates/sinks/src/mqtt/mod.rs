//! Events for an MQTT broker (MQTT 5.0 and 3.1.1), published with QoS 1: delivered is what the broker has
//! acknowledged.

mod packet;

use std::time::Duration;

use haldane_core::{Notify, Record, Section, Severity, Wants};
use packet::{Answer, Introduction, Limits, Version, connect, publish, reason};
use tokio::io::{AsyncWriteExt, BufReader};

use crate::{
    Failure, Sender, Sink,
    concealed::Concealed,
    delivery::Delivery,
    encode::Layout,
    link::{self, Far, Line, Publisher, Topic, Trouble, Words, foreign},
};

/// A broker.
#[derive(Debug)]
pub struct Mqtt {
    client: Client,
    line: Option<(Line, Limits)>,
    patience: Duration,
}

#[derive(Debug)]
struct Client {
    far: Far,
    version: Version,
    id: String,
    username: Option<String>,
    password: Option<Concealed>,
    topic: Topic,
    layout: Layout,
}

impl Sink for Mqtt {
    const NAME: &'static str = "mqtt";
    const BATCH: usize = 100;
    const WANTS: Wants = Wants { severity: Severity::Low, operational: true, notify: Notify::Event };

    fn configure(section: &mut Section<'_>, sender: &Sender) -> Self {
        let far = Far::configure(section, (1883, 8883));
        let topic = Topic::configure(
            section,
            "topic",
            "haldane/{node}/{service}",
            "The topic; {node}, {service}, {kind} and {severity} stand for what an event has.",
            &sender.node,
        );
        let username = section.optional("username", "Who logs in.");
        let password = section.optional("password", "The password that belongs to it.");
        let name: String = sender.node.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        let id = section.optional(
            "client_id",
            "The name of this client, which no other may have; if left out, haldane- and the canary's name.",
        );
        let id = id.unwrap_or_else(|| format!("haldane-{name}"));
        if id.is_empty() || id.len() > 200 {
            section.invalid("client_id", "expected a name of at most 200 bytes");
        }
        let protocol = section.choice(
            "protocol",
            "5",
            &["5", "3.1.1"],
            "The version of MQTT: 5 or 3.1.1. With 3.1.1 a broker cannot say that a topic is forbidden.",
        );
        let version = if protocol == "5" { Version::V5 } else { Version::V3 };
        if password.is_some() && username.is_none() {
            section.invalid("password", "expected a username with it");
        }
        let layout = Layout::configure(section, "native", &sender.node);
        let password = password.map(Concealed::new);
        let client = Client { far, version, id, username, password, topic, layout };
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

impl Publisher for Client {
    type Kept = (Line, Limits);

    fn far(&self) -> &Far {
        &self.far
    }

    async fn open(&self) -> Result<Self::Kept, Trouble> {
        let mut line = BufReader::new(self.far.connect().await?);
        let password = self.password.as_ref().map(Concealed::reveal);
        let who = Introduction { client: &self.id, username: self.username.as_deref(), password };
        line.write_all(&connect(self.version, &who)).await?;
        line.flush().await?;
        match Answer::read(&mut line, self.version).await? {
            Answer::Connected { code: 0, limits: Limits { qos: 0, .. } } => {
                Err(self.far.later(reason(0x9b)).into())
            }
            Answer::Connected { code: 0, limits } => Ok((line, limits)),
            Answer::Connected { code, .. } | Answer::Disconnected { code } => {
                Err(self.far.later(reason(code)).into())
            }
            Answer::Taken { .. } | Answer::Other => Err(foreign("MQTT").into()),
        }
    }

    async fn publish(&self, (line, limits): &mut Self::Kept, batch: &[Record]) -> Result<(), Trouble> {
        let mut packets = Vec::new();
        let window = usize::from(limits.unacknowledged).min(WINDOW);
        // Nothing goes out unless all of it may.
        for (number, record) in batch.iter().enumerate() {
            packets.push(self.packet(record, number, window, limits)?);
        }
        for part in packets.chunks(window) {
            let mut awaited: Vec<(u16, &str)> = Vec::new();
            for (packet, topic, id) in part {
                line.write_all(packet).await?;
                awaited.push((*id, topic));
            }
            line.flush().await?;
            while !awaited.is_empty() {
                match Answer::read(line, self.version).await? {
                    Answer::Taken { id, code } => {
                        let Some(at) = awaited.iter().position(|(awaited, _)| *awaited == id) else {
                            continue;
                        };
                        let (_, topic) = awaited.swap_remove(at);
                        match code {
                            // From here on, codes are errors (2.4).
                            0x95 | 0x99 => return Err(Failure::Refused(reason(code)).into()),
                            0x80.. => {
                                return Err(self
                                    .far
                                    .later(format_args!("topic {topic}: {}", reason(code)))
                                    .into());
                            }
                            _ => {}
                        }
                    }
                    Answer::Disconnected { code } => return Err(Trouble::Broken(Words(reason(code)).into())),
                    Answer::Connected { .. } | Answer::Other => {}
                }
            }
        }
        Ok(())
    }
}

impl Client {
    /// The packet of a record, its topic and its number among those that are under way at once.
    fn packet(
        &self,
        record: &Record,
        number: usize,
        window: usize,
        limits: &Limits,
    ) -> Result<(Vec<u8>, String, u16), Failure> {
        let id = number.checked_rem(window).and_then(|id| u16::try_from(id).ok()).unwrap_or_default();
        let id = id.saturating_add(1);
        let topic = self.topic.of(&record.event);
        let packet = publish(self.version, &topic, id, self.layout.line(&record.event).as_bytes());
        if u32::try_from(packet.len()).is_ok_and(|length| length > limits.packet) {
            return Err(Failure::Refused(format!("the broker takes at most {} bytes", limits.packet)));
        }
        Ok((packet, topic, id))
    }
}

/// Messages that are under way at once. Brokers hold that many for each client.
const WINDOW: usize = 20;
