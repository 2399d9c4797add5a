//! Events for a topic of Kafka, or of what speaks its protocol (Redpanda, Event Hubs, WarpStream …): delivered is
//! what all replicas in sync have acknowledged.
//!
//! A record's key is the source's address, by which its partition is chosen: events of one source stay in order.

mod batch;
mod message;
mod sasl;

use std::{
    collections::{BTreeMap, btree_map},
    io::{self, ErrorKind},
    time::Duration,
};

use batch::{Entry, batch, crc32c};
use haldane_core::{Notify, Record, Section, Severity, Wants};
use jiff::Timestamp;
use message::{
    METADATA, Metadata, PRODUCE, Reader, SASL_AUTHENTICATE, SASL_HANDSHAKE, Writer, ask, meaning, produce,
    produced,
};
use sasl::{Mechanism, Scram, plain};
use tokio::io::BufReader;
use uuid::Uuid;

use crate::{
    Failure, Sender, Sink,
    concealed::Concealed,
    delivery::Delivery,
    encode::Layout,
    link::{self, Far, Host, Line, Publisher, Trouble, Words, foreign},
};

/// A cluster.
#[derive(Debug)]
pub struct Kafka {
    client: Client,
    kept: Option<Cluster>,
    patience: Duration,
}

#[derive(Debug)]
struct Client {
    /// The first broker that is asked, and how all of them are spoken to.
    far: Far,
    /// Others that may be asked.
    others: Vec<Host>,
    topic: String,
    login: Option<(Mechanism, String, Concealed)>,
    layout: Layout,
}

/// What is known of a cluster, and the connections to its brokers.
#[derive(Debug)]
struct Cluster {
    brokers: Vec<(i32, Host)>,
    /// Partitions and who leads them.
    leaders: Vec<(i32, i32)>,
    lines: BTreeMap<i32, Line>,
}

impl Sink for Kafka {
    const NAME: &'static str = "kafka";
    const BATCH: usize = 100;
    const WANTS: Wants = Wants { severity: Severity::Low, operational: true, notify: Notify::Event };

    fn configure(section: &mut Section<'_>, sender: &Sender) -> Self {
        let far = Far::configure(section, (9092, 9092));
        let others = section.list("others", &[], "More brokers to ask, should that one be down.");
        let others = others.iter().filter_map(|address| {
            let host = Host::parse(address, 9092);
            if host.is_none() {
                section.invalid("others", "expected hosts, or hosts and ports as in \"example.org:9092\"");
            }
            host
        });
        let others = others.collect();
        let topic = section.text("topic", "haldane", "The topic.");
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if topic.is_empty() || topic.len() > 249 || !topic.chars().all(plain) {
            section.invalid("topic", "expected at most 249 letters, digits, dots, dashes and underscores");
        }
        let login = login(section);
        let layout = Layout::configure(section, "native", &sender.node);
        let client = Client { far, others, topic, login, layout };
        Self { client, kept: None, patience: Delivery::patience::<Self>(section) }
    }

    async fn deliver(&mut self, batch: &[Record]) -> Result<(), Failure> {
        link::deliver(&self.client, &mut self.kept, batch, self.patience).await
    }

    fn reopen(&mut self) {
        self.client.far.renew();
        self.kept = None;
    }
}

fn login(section: &mut Section<'_>) -> Option<(Mechanism, String, Concealed)> {
    let word = section.choice(
        "sasl",
        "none",
        &["none", "plain", "scram-sha-256", "scram-sha-512"],
        "How to log in: none, plain (over TLS only, or the password is for everybody to read), scram-sha-256 or \
         scram-sha-512.",
    );
    let username = section.optional("username", "Who logs in.");
    let password = section.optional("password", "The password that belongs to it.");
    let mechanism = match word {
        "none" => return None,
        "plain" => Mechanism::Plain,
        "scram-sha-256" => Mechanism::Scram256,
        _ => Mechanism::Scram512,
    };
    match (username, password) {
        (Some(username), Some(password)) => Some((mechanism, username, Concealed::new(password))),
        _ => {
            section.invalid("sasl", "expected username and password with it");
            None
        }
    }
}

impl Client {
    /// A connection to that broker, logged in.
    async fn connect(&self, host: &Host) -> Result<Line, Trouble> {
        let stream = self.far.connect_to(host).await?;
        let mut line = BufReader::new(stream);
        let Some((mechanism, username, password)) = &self.login else { return Ok(line) };
        let mut hello = Writer::default();
        hello.text(mechanism.name());
        let answer = ask(&mut line, SASL_HANDSHAKE, &hello.0).await.map_err(silent)?;
        self.judge(Reader(&answer).i16())?;
        if *mechanism == Mechanism::Plain {
            self.authenticate(&mut line, &plain(username, password.reveal())).await?;
            return Ok(line);
        }
        let mut scram = Scram::new(*mechanism, username, Uuid::new_v4().simple().to_string());
        let challenge = self.authenticate(&mut line, &scram.first()).await?;
        if challenge.starts_with(b"e=") {
            // Brokers differ in how they say no.
            return self.judge(Some(REFUSED)).and(Err(foreign("SCRAM").into()));
        }
        let answer = scram.answer(&challenge, password.reveal()).ok_or_else(|| foreign("SCRAM"))?;
        let last = self.authenticate(&mut line, &answer).await?;
        match scram.is_proved(&last) {
            true => Ok(line),
            false => self.judge(Some(REFUSED)).and(Err(foreign("SCRAM").into())),
        }
    }

    async fn authenticate(&self, line: &mut Line, message: &[u8]) -> Result<Vec<u8>, Trouble> {
        let mut request = Writer::default();
        request.bytes(message);
        let response = ask(line, SASL_AUTHENTICATE, &request.0).await?;
        let mut response = Reader(&response);
        self.judge(response.i16())?;
        response.text().ok_or_else(|| foreign("Kafka"))?;
        Ok(response.bytes().ok_or_else(|| foreign("Kafka"))?.to_vec())
    }

    /// Whether that error is none.
    fn judge(&self, error: Option<i16>) -> Result<(), Trouble> {
        match error.ok_or_else(|| foreign("Kafka"))? {
            0 => Ok(()),
            10 | 18 | 87 => Err(Failure::Refused(meaning(error.unwrap_or_default())).into()),
            // The partition has moved: ask anew who leads it.
            error @ (5 | 6) => Err(Trouble::Broken(Words(meaning(error)).into())),
            33 | 34 | REFUSED => Err(self.far.later(meaning(error.unwrap_or_default())).into()),
            error => Err(self.far.later(format_args!("topic {}: {}", self.topic, meaning(error))).into()),
        }
    }

    /// Asks one broker for the whole cluster.
    async fn ask(&self, host: &Host) -> Result<Cluster, Trouble> {
        let mut line = self.connect(host).await?;
        let answer = ask(&mut line, METADATA, &Metadata::request(&self.topic)).await.map_err(silent)?;
        let about = Metadata::parse(&answer).ok_or_else(|| foreign("Kafka"))?;
        self.judge(Some(about.error))?;
        let leaders: Vec<_> = about.leaders.into_iter().filter(|(_, leader)| *leader >= 0).collect();
        match leaders.is_empty() {
            true => Err(Words(format!("topic {}: {}", self.topic, meaning(5))).into()),
            false => Ok(Cluster { brokers: about.brokers, leaders, lines: BTreeMap::new() }),
        }
    }

    fn entry(&self, record: &Record) -> Entry {
        let at = Timestamp::try_from(record.event.at).unwrap_or(Timestamp::UNIX_EPOCH).as_millisecond();
        let source = record.event.peer.as_ref().map(|peer| peer.remote.ip().to_string());
        let value = self.layout.line(&record.event).into_bytes();
        Entry { at, key: source.unwrap_or_default().into_bytes(), value }
    }
}

impl Publisher for Client {
    type Kept = Cluster;

    fn far(&self) -> &Far {
        &self.far
    }

    async fn open(&self) -> Result<Cluster, Trouble> {
        let mut first = None;
        for host in [&self.far.host].into_iter().chain(&self.others) {
            match self.ask(host).await {
                Ok(cluster) => return Ok(cluster),
                Err(trouble) => first = first.or(Some(trouble)),
            }
        }
        Err(first.unwrap_or_else(|| foreign("Kafka").into()))
    }

    async fn publish(&self, cluster: &mut Cluster, batch_of: &[Record]) -> Result<(), Trouble> {
        // By leader and by partition.
        let mut shares: BTreeMap<i32, BTreeMap<i32, Vec<Entry>>> = BTreeMap::new();
        for record in batch_of {
            let entry = self.entry(record);
            let count = u32::try_from(cluster.leaders.len()).unwrap_or(u32::MAX);
            let at = crc32c(&entry.key).checked_rem(count).and_then(|at| usize::try_from(at).ok());
            let place = at.and_then(|at| cluster.leaders.get(at));
            let (partition, leader) = place.ok_or_else(|| Words(meaning(5)))?;
            shares.entry(*leader).or_default().entry(*partition).or_default().push(entry);
        }
        for (leader, partitions) in shares {
            let line = match cluster.lines.entry(leader) {
                btree_map::Entry::Occupied(line) => line.into_mut(),
                btree_map::Entry::Vacant(place) => {
                    let host = cluster.brokers.iter().find(|(id, _)| *id == leader).map(|(_, host)| host);
                    let host = host.ok_or_else(|| io::Error::from(Words(meaning(5))))?;
                    let line = self.connect(host).await.map_err(|trouble| at(host, trouble))?;
                    place.insert(line)
                }
            };
            let batches: Vec<_> =
                partitions.iter().map(|(partition, entries)| (*partition, batch(entries))).collect();
            let response = ask(line, PRODUCE, &produce(&self.topic, &batches)).await?;
            let outcomes = produced(&response).ok_or_else(|| foreign("Kafka"))?;
            for (partition, _) in batches {
                self.judge(outcomes.iter().find(|(found, _)| *found == partition).map(|(_, error)| *error))?;
            }
        }
        Ok(())
    }
}

/// The error for a login.
const REFUSED: i16 = 58;

/// A broker to which the first one pointed may be at fault, or its name: clusters announce names of their own.
fn at(host: &Host, trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Broken(error) => {
            let why = link::why(&error);
            Words(format!("it points to its broker {host}, and there: {why}")).into()
        }
        said @ Trouble::Said(_) => said,
    }
}

/// Kafka does not say what it misses.
fn silent(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => Words(format!(
            "it hung up ({error}), as Kafka does without a word if it wants TLS (`tls`) or a login (`sasl`)"
        ))
        .into(),
        _ => error,
    }
}
