//! One incident: what its events add up to. Every list has a bound: an incident is some kilobytes, whatever its
//! source does.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    net::IpAddr,
    time::{Duration, SystemTime},
};

use haldane_core::{Class, Event, Honeycred, Login, Peer, Secret, Severity, Transport, Untrusted, Value};
use serde::{Deserialize, Serialize};

use super::{pace::Pace, ports::Ports, short, tools};

/// Kinds that are counted by name; the rest as `other`.
const KINDS: usize = 48;
/// See [`Incident::acts`].
const ACTS: Most = Most { usual: 40, lean: 10 };
/// User names that are kept of an act.
const USERS: Most = Most { usual: 4, lean: 2 };
/// Credentials that are kept, and bytes of each part.
const CREDENTIALS: Most = Most { usual: 50, lean: 5 };
const CREDENTIAL: usize = 64;
/// Addresses of ours that are kept.
const TARGETS: usize = 16;
/// Tools that are kept.
const TOOLS: usize = 8;

/// How many of something are kept of one incident: fewer, if there are very many incidents.
struct Most {
    usual: usize,
    lean: usize,
}

impl Most {
    fn of(&self, lean: bool) -> usize {
        if lean { self.lean } else { self.usual }
    }
}

/// Everything that one source did without a longer pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its number.
    pub number: u64,
    /// The two ends of its first event; none if it is about many sources, which are probably forged.
    pub peer: Option<Peer>,
    /// A handshake was completed from that source: it is not forged.
    #[serde(default)]
    pub proved: bool,
    /// What is known of the source besides its address.
    pub facts: Facts,
    /// Its first event.
    pub first: SystemTime,
    /// Its last event.
    pub last: SystemTime,
    /// That of its most severe event.
    pub severity: Severity,
    /// How many events.
    pub events: u64,
    /// Addresses of ours that were reached.
    pub targets: Vec<IpAddr>,
    /// Ports of ours that were reached.
    pub ports: Ports,
    /// How many ports a scan touched, as the sensor counted them.
    pub scanned: u64,
    /// How often each kind was seen.
    pub kinds: BTreeMap<Cow<'static, str>, u64>,
    /// What was done to which service, in the order in which it began.
    pub acts: Vec<Act>,
    /// What was tried, in the order in which it came, each once.
    pub credentials: Vec<Credential>,
    /// There were more.
    pub more_credentials: bool,
    /// Programs that gave themselves away.
    pub tools: Vec<String>,
    /// When it is told of.
    pub pace: Pace,
    /// It opened while there were very many: less is kept of it.
    pub lean: bool,
    #[serde(skip)]
    looked: tools::Looked,
    /// When the table looks at it next.
    #[serde(skip)]
    pub(super) scheduled: Option<SystemTime>,
    /// It changed since it was last saved.
    #[serde(skip)]
    pub(super) changed: bool,
}

/// What is known of a source besides its address. Names are what others say: as little to be trusted as a peer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Its name by reverse lookup.
    pub name: Option<Untrusted>,
    /// Whether that name's address is the source: else its owner may call it anything.
    #[serde(default)]
    pub name_leads_back: bool,
    /// Its hardware address, if it is on a network of ours.
    pub mac: Option<String>,
    /// Who made that hardware.
    pub vendor: Option<Untrusted>,
    /// The country that a database says.
    pub country: Option<Untrusted>,
    /// The network that a database says.
    pub network: Option<Untrusted>,
}

/// What was done to one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// What sort of thing.
    pub class: Class,
    /// To which service.
    pub service: Cow<'static, str>,
    /// The most severe kind of it, in words.
    pub about: Cow<'static, str>,
    /// How severe that is.
    pub severity: Severity,
    /// How often.
    pub count: u64,
    /// User names, each once; not all if there are many.
    pub users: Vec<Untrusted>,
    /// There were more.
    pub more_users: bool,
    /// A honey-credential was among them.
    pub honeycred: bool,
}

/// What was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// At which service.
    pub service: Cow<'static, str>,
    /// As whom.
    pub username: Option<Untrusted>,
    /// With what: a password, or words for what is none.
    pub password: Untrusted,
}

/// When events are worth telling.
#[derive(Debug, Clone, Copy)]
pub(super) struct Telling {
    /// What opens an incident, and what is more than a number later on.
    pub(super) severity: Severity,
    /// How long the first message waits for facts about the source.
    pub(super) settle: Duration,
}

/// Whether it names nobody.
fn nameless(login: &Login) -> bool {
    login.username.as_ref().is_none_or(Untrusted::is_empty)
}

/// Whether the source of that event completed a handshake. The sensor sees bare packets: a SYN is none.
pub(super) fn proved(event: &Event) -> bool {
    event.peer.is_some_and(|peer| peer.transport == Transport::Tcp) && event.service != "portscan"
}

impl Incident {
    pub(super) fn new(number: u64, peer: Option<Peer>, at: SystemTime, lean: bool) -> Self {
        Self {
            number,
            peer,
            proved: false,
            facts: Facts::default(),
            first: at,
            last: at,
            severity: Severity::Info,
            events: 0,
            targets: Vec::new(),
            ports: Ports::default(),
            scanned: 0,
            kinds: BTreeMap::new(),
            acts: Vec::new(),
            credentials: Vec::new(),
            more_credentials: false,
            tools: Vec::new(),
            pace: Pace::default(),
            lean,
            looked: tools::Looked::default(),
            scheduled: None,
            changed: false,
        }
    }

    /// Whose it is.
    pub fn source(&self) -> Option<IpAddr> {
        self.peer.map(|peer| peer.remote.ip())
    }

    /// Whether anybody was told of it, or will be.
    pub fn announced(&self) -> bool {
        self.pace.messages > 0 || self.pace.due.is_some()
    }

    /// Adds an event, and notes whether it is worth telling.
    pub(super) fn add(&mut self, event: &Event, telling: Telling) {
        // A clock that went back by a little is nothing; one that went back by much must not keep this open for ever.
        let back = self.last.duration_since(event.at).unwrap_or_default();
        if back.is_zero() || back > Duration::from_secs(60) {
            self.last = event.at;
        }
        self.events = self.events.saturating_add(1);
        self.proved |= proved(event);
        self.count(event);
        self.reach(event);
        let (new_service, bait) = self.act(event);
        let first_credential = event.login.is_some() && self.credentials.is_empty();
        if let Some(login) = &event.login {
            self.credential(event, login);
        }
        if self.tools.len() < TOOLS {
            let (tools, looked) = (&mut self.tools, &mut self.looked);
            tools::each(event, looked, |tool| {
                if !tools.iter().any(|known| known == tool) && tools.len() < TOOLS {
                    tools.push(tool.to_owned());
                }
            });
        }
        let before = self.severity;
        self.severity = before.max(severity(event));
        self.weigh(event, telling, Weight { before, new_service, bait, first_credential });
    }

    /// Credentials of an event that was added are a honey-credential.
    pub(super) fn confirm(&mut self, event: &Event, now: SystemTime) {
        self.severity = Severity::Critical;
        let act = self.acts.iter_mut().find(|act| act.class == Class::Login && act.service == event.service);
        if let Some(act) = act {
            act.honeycred = true;
        }
        self.pace.ask(honeycred_used(event), true, now, Duration::ZERO);
    }

    fn count(&mut self, event: &Event) {
        let name = match self.kinds.len() < KINDS || self.kinds.contains_key(event.kind.name) {
            true => event.kind.name,
            false => "other",
        };
        match self.kinds.get_mut(name) {
            Some(count) => *count = count.saturating_add(1),
            None => _ = self.kinds.insert(name.into(), 1),
        }
    }

    fn reach(&mut self, event: &Event) {
        if let Some(peer) = &event.peer {
            let ours = peer.local.ip();
            if self.targets.len() < TARGETS && !self.targets.contains(&ours) && !ours.is_unspecified() {
                self.targets.push(ours);
            }
            if peer.local.port() != 0 {
                self.ports.add(peer.local.port(), self.lean);
            }
        }
        if event.kind.class == Class::Scan
            && let Some(Value::Int(targets)) = event.fields.get("targets")
        {
            self.scanned = self.scanned.max(u64::try_from(*targets).unwrap_or_default());
        }
    }

    /// Notes what was done. Says whether that service had not been touched before, and whether bait was taken.
    fn act(&mut self, event: &Event) -> (bool, bool) {
        // Redis has a command for logging in, HTTP a header.
        let tried = event.login.as_ref().is_some_and(|login| login.secret.is_some());
        let class = match event.kind.class {
            Class::Command | Class::Access | Class::Probe if tried => Class::Login,
            // Nobody, without a password, is asked in by many protocols.
            Class::Login if !tried && event.login.as_ref().is_some_and(nameless) => Class::Probe,
            class => class,
        };
        let honeycred = event.honeycred == Honeycred::Yes;
        let is_new =
            !self.acts.iter().any(|act| act.service == event.service && act.class != Class::Connection);
        let known = self.acts.iter().position(|act| act.class == class && act.service == event.service);
        let lean = self.lean;
        if known.is_none() && self.acts.len() < ACTS.of(lean) {
            self.acts.push(Act {
                class,
                service: event.service.clone(),
                about: event.kind.about.into(),
                severity: event.severity,
                count: 0,
                users: Vec::new(),
                more_users: false,
                honeycred,
            });
        }
        if let Some(act) = known.or(self.acts.len().checked_sub(1)).and_then(|at| self.acts.get_mut(at))
            && act.class == class
            && act.service == event.service
        {
            act.count = act.count.saturating_add(1);
            act.honeycred |= honeycred;
            if event.severity > act.severity {
                (act.severity, act.about) = (event.severity, event.kind.about.into());
            }
            if let Some(user) = event.login.as_ref().and_then(|login| login.username.as_ref()) {
                let user = cut(user);
                if !act.users.contains(&user) {
                    match act.users.len() < USERS.of(lean) {
                        true => act.users.push(user),
                        false => act.more_users = true,
                    }
                }
            }
        }
        (is_new && class != Class::Connection, class == Class::Bait)
    }

    fn credential(&mut self, event: &Event, login: &Login) {
        if self.more_credentials {
            return;
        }
        let username = login.username.as_ref().map(cut);
        let password = match &login.secret {
            None => return,
            Some(Secret::Password(text)) => cut(text),
            Some(Secret::Token(text)) => cut(text),
            Some(Secret::PublicKey { fingerprint, .. }) => Untrusted::from(fingerprint),
            Some(Secret::Response { scheme, .. }) => {
                Untrusted::from(format!("(answer to a {} challenge)", short(scheme, 32)))
            }
        };
        let known = |tried: &Credential| {
            tried.service == event.service && tried.username == username && tried.password == password
        };
        if self.credentials.iter().any(known) {
            return;
        }
        match self.credentials.len() < CREDENTIALS.of(self.lean) {
            true => self.credentials.push(Credential { service: event.service.clone(), username, password }),
            false => self.more_credentials = true,
        }
    }

    fn weigh(&mut self, event: &Event, telling: Telling, weight: Weight) {
        let Weight { before, new_service, bait, first_credential } = weight;
        let urgent = severity(event) == Severity::Critical;
        let mut ask = |reason: String, urgent| self.pace.ask(reason, urgent, event.at, telling.settle);
        if event.honeycred == Honeycred::Yes {
            ask(honeycred_used(event), true);
        } else if bait || urgent {
            ask(format!("{}{}", if bait { "bait: " } else { "" }, event.kind.about), true);
        }
        // What a scan sensor says about a scan that is known or long over is worth keeping, and no more.
        let mild = event.kind.class == Class::Scan && event.severity < Severity::Medium;
        if severity(event) < telling.severity || mild {
            return;
        }
        if !self.announced() {
            self.pace.ask("opened".to_owned(), urgent, event.at, telling.settle);
            return;
        }
        // Until the first message is out, all that comes is part of it.
        if self.pace.messages == 0 {
            return;
        }
        let mut ask = |reason: String| self.pace.ask(reason, false, event.at, telling.settle);
        if severity(event) > before {
            ask(format!("more severe: {}", severity(event)));
        }
        if new_service {
            ask(format!("new service: {}", event.service));
        }
        if first_credential {
            ask("first credentials".to_owned());
        }
        if self.events >= 10 && is_power_of_ten(self.events) {
            ask(format!("{} events", self.events));
        }
    }
}

/// What an event brought.
struct Weight {
    before: Severity,
    new_service: bool,
    bait: bool,
    first_credential: bool,
}

/// A honey-credential is critical, whatever its event was.
fn severity(event: &Event) -> Severity {
    if event.honeycred == Honeycred::Yes { Severity::Critical } else { event.severity }
}

fn honeycred_used(event: &Event) -> String {
    let user = event.login.as_ref().and_then(|login| login.username.as_ref());
    let user = user.map(|user| format!(" {}", short(&user.to_string(), 32))).unwrap_or_default();
    format!("honey-credential{user} on {}", event.service)
}

fn is_power_of_ten(mut number: u64) -> bool {
    while number >= 10 && number.is_multiple_of(10) {
        number = number.checked_div(10).unwrap_or_default();
    }
    number == 1
}

fn cut(text: &Untrusted) -> Untrusted {
    let raw = text.raw();
    Untrusted::new(raw.get(..CREDENTIAL).unwrap_or(raw))
}
