//! One client.

use std::sync::Arc;

use haldane_core::{Cx, Flow, Halt, Input, Login, Secret as Proof, Session, Sighting};
use haldane_wire::vnc::CHALLENGE;

use super::{
    ACCOUNT, HANDSHAKE, LOGIN, Server,
    apple::{self, Account, Secret},
    backoff::Rule,
    persona::{APPLE_DH, APPLE_RSA, Dialect, Product, TIGHT, ULTRA, VNC, Version},
};

/// What TightVNC says to a client of its own type: no tunnels; one way to log in, the password's, with the codes of
/// its vendor and its name.
const TIGHT_LOGINS: &[u8] = b"\0\0\0\0\0\0\0\x01\0\0\0\x02STDVVNCAUTH_";
/// What UltraVNC says to a client of its own type: go on.
const ULTRA_CONTINUE: [u8; 4] = [0xff; 4];

/// What is awaited.
#[derive(Debug)]
enum Stage {
    /// The client's version.
    Version,
    /// Its choice among these security types.
    Type(&'static [u8]),
    /// Its choice among TightVNC's ways to log in.
    TightLogin,
    /// Its answer to that challenge.
    Answer([u8; CHALLENGE]),
    /// An account under our Diffie-Hellman key.
    Dh(Box<Secret>),
    /// An account under our RSA key, or the wish for that key.
    Rsa,
    /// Nothing: what there was to tell is told.
    Over,
}

/// One message.
#[derive(Debug)]
pub enum Message {
    /// The client's version, whatever it is.
    Version([u8; 12]),
    /// A security type.
    Type(u8),
    /// A way to log in.
    TightLogin(u32),
    /// The answer to a challenge.
    Answer([u8; CHALLENGE]),
    /// What a client of Apple's types sends.
    Apple(Vec<u8>),
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    server: Arc<Server>,
    stage: Stage,
    dialect: Dialect,
    /// As the client sent it.
    version: Option<[u8; 12]>,
    /// The security type that the client, or for it the oldest version, chose.
    chosen: Option<u8>,
}

impl Session for Connection {
    type Message = Message;

    fn greet(&mut self, cx: &mut Cx<'_>) {
        let product = self.server.product;
        if product.back_off == Some(Rule::Marks) && self.blocked(cx) {
            // The shortest conversation there is: a version that needs no answer, and why.
            cx.reply(b"RFB 003.003\n");
            cx.reply(Product::no_types(Dialect::Three, product.turned_away));
            self.leave("greeting", true, cx);
        } else {
            cx.reply(product.greeting);
        }
    }

    fn turns_away(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    fn parse(&self, input: &mut Input<'_>) -> Result<Message, Halt> {
        match &self.stage {
            Stage::Version => input.array().map(Message::Version),
            Stage::Type(_) => input.u8().map(Message::Type),
            Stage::TightLogin => input.u32().map(Message::TightLogin),
            Stage::Answer(_) => input.array().map(Message::Answer),
            Stage::Dh(_) => Secret::answer(input).map(Message::Apple),
            Stage::Rsa => apple::packet(input).map(Message::Apple),
            Stage::Over => Err(Halt::Malformed("after the end")),
        }
    }

    fn handle(&mut self, message: Message, cx: &mut Cx<'_>) -> Flow {
        match message {
            Message::Version(line) => self.version(line, cx),
            Message::Type(number) => self.choice(number, cx),
            Message::TightLogin(number) if number == u32::from(VNC) => self.challenge(cx),
            Message::TightLogin(_) => self.leave("security type", false, cx),
            Message::Answer(answer) => self.answer(&answer, cx),
            Message::Apple(packet) => self.apple(&packet, cx),
        }
    }

    fn malformed(&mut self, _why: &'static str, cx: &mut Cx<'_>) -> Flow {
        self.leave_unfinished(cx);
        Flow::Close
    }

    fn finished(&mut self, _left: &[u8], cx: &mut Cx<'_>) {
        self.leave_unfinished(cx);
    }
}

impl Connection {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self { server, stage: Stage::Version, dialect: Dialect::Three, version: None, chosen: None }
    }

    /// Whether the server turns this client away now.
    fn blocked(&self, cx: &Cx<'_>) -> bool {
        let source = cx.peer().remote.ip();
        self.server.back_off.as_ref().is_some_and(|back_off| back_off.connected(source, cx.now()))
    }

    fn version(&mut self, line: [u8; 12], cx: &mut Cx<'_>) -> Flow {
        self.version = Some(line);
        let product = self.server.product;
        self.dialect = match product.version(&line) {
            Version::Spoken(dialect) => dialect,
            Version::Explained(why) => {
                // It knows of no old version yet that has longer numbers.
                cx.reply(Product::no_types(Dialect::Seven, &why));
                return self.leave("version", false, cx);
            }
            Version::Unknown => return self.leave("version", false, cx),
        };
        if product.back_off != Some(Rule::Marks) && self.blocked(cx) {
            cx.reply(Product::no_types(self.dialect, product.turned_away));
            return self.leave("version", true, cx);
        }
        if self.dialect == Dialect::Three {
            cx.reply(u32::from(VNC).to_be_bytes());
            self.chosen = Some(VNC);
            return self.challenge(cx);
        }
        self.offer(product.types, cx)
    }

    fn offer(&mut self, types: &'static [u8], cx: &mut Cx<'_>) -> Flow {
        cx.reply([u8::try_from(types.len()).unwrap_or_default()]);
        cx.reply(types);
        self.stage = Stage::Type(types);
        Flow::Continue
    }

    fn choice(&mut self, number: u8, cx: &mut Cx<'_>) -> Flow {
        let Stage::Type(offered) = self.stage else { return Flow::Close };
        self.chosen = Some(number);
        if !offered.contains(&number) {
            return self.leave("security type", false, cx);
        }
        match number {
            TIGHT => {
                cx.reply(TIGHT_LOGINS);
                self.stage = Stage::TightLogin;
                Flow::Continue
            }
            ULTRA => {
                cx.reply(ULTRA_CONTINUE);
                self.offer(&[VNC], cx)
            }
            APPLE_DH => {
                let secret = Box::new(Secret::new(cx.random()));
                let Ok(offer) = secret.offer() else { return self.leave("security type", false, cx) };
                cx.reply(offer);
                self.stage = Stage::Dh(secret);
                Flow::Continue
            }
            APPLE_RSA => {
                self.stage = Stage::Rsa;
                Flow::Continue
            }
            _ => self.challenge(cx),
        }
    }

    fn challenge(&mut self, cx: &mut Cx<'_>) -> Flow {
        let challenge = cx.random();
        cx.reply(challenge);
        self.stage = Stage::Answer(challenge);
        Flow::Continue
    }

    fn answer(&mut self, answer: &[u8; CHALLENGE], cx: &mut Cx<'_>) -> Flow {
        let Stage::Answer(challenge) = self.stage else { return Flow::Close };
        let crackable = format!("$vnc$*{:X}*{:X}", Hex(&challenge), Hex(answer));
        let login = Login::new("vnc").secret(Proof::Response {
            scheme: "vnc".into(),
            challenge: challenge.into(),
            response: answer.into(),
            crackable: Some(crackable),
        });
        let mut seen = self.described(Sighting::of(&LOGIN).login(login));
        seen = seen
            .with("challenge", format!("{:x}", Hex(&challenge)))
            .with("response", format!("{:x}", Hex(answer)));
        if let Some(password) = self.server.common.find(&challenge, answer) {
            seen = seen.with("password", password);
        }
        cx.report(seen);
        self.refuse(cx)
    }

    fn apple(&mut self, packet: &[u8], cx: &mut Cx<'_>) -> Flow {
        let opened = match (&self.stage, &self.server.apple) {
            (Stage::Dh(secret), _) => secret.open(packet),
            (Stage::Rsa, Some(keys)) if apple::asks(packet) => {
                cx.reply(keys.answer());
                return Flow::Continue;
            }
            (_, Some(keys)) => keys.open(packet),
            (_, None) => None,
        };
        let Some(account) = opened else { return self.leave("account", false, cx) };
        cx.report(self.account(account));
        if matches!(self.stage, Stage::Rsa) {
            cx.reply([0; 4]);
        }
        self.refuse(cx)
    }

    fn account(&self, (user, password): Account) -> Sighting {
        let mechanism = if self.chosen == Some(APPLE_DH) { "apple_dh" } else { "apple_rsa" };
        self.described(Sighting::of(&ACCOUNT).login(Login::password(mechanism, user, password)))
    }

    /// Says no to a login, and hangs up.
    fn refuse(&mut self, cx: &mut Cx<'_>) -> Flow {
        let source = cx.peer().remote.ip();
        if let Some(back_off) = &self.server.back_off {
            back_off.failed(source, cx.now());
        }
        cx.pause(self.server.pause);
        cx.reply(self.server.product.refusal(self.dialect, source));
        self.stage = Stage::Over;
        Flow::Close
    }

    /// The end without a login.
    fn leave(&mut self, stage: &'static str, turned_away: bool, cx: &mut Cx<'_>) -> Flow {
        let seen = Sighting::of(&HANDSHAKE).with("stage", stage);
        let seen = if turned_away { seen.with("turned_away", true) } else { seen };
        cx.report(self.described(seen));
        self.stage = Stage::Over;
        Flow::Close
    }

    /// The client has left, or made no sense.
    fn leave_unfinished(&mut self, cx: &mut Cx<'_>) {
        let stage = match self.stage {
            Stage::Version => "version",
            Stage::Type(_) | Stage::TightLogin => "security type",
            Stage::Answer(_) => "answer",
            Stage::Dh(_) | Stage::Rsa => "account",
            Stage::Over => return,
        };
        self.leave(stage, false, cx);
    }

    fn described(&self, mut seen: Sighting) -> Sighting {
        if let Some(version) = &self.version {
            seen = seen.with("client_version", version.strip_suffix(b"\n").unwrap_or(version));
        }
        if let Some(chosen) = self.chosen {
            seen = seen.with("security_type", chosen);
        }
        seen
    }
}

/// Bytes in hex.
struct Hex<'a>(&'a [u8]);

impl std::fmt::LowerHex for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::UpperHex for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}
