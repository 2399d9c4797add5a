//! One connection.

use std::{sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use haldane_core::{Cx, Flow, Halt, Input, Kind, Login, Secret, Session, Sighting, Timeout, Untrusted};

use super::{
    COMMAND, CONNECTION, DISCONNECT, ERROR, LOGIN, RANSOM,
    bson::{self, Value, Writer},
    persona::{Persona, Refusal},
    scram::{self, Conversation, MECHANISMS},
    wire::{self, Message, Way},
};

/// What mongod tells a browser.
const HTTP: &str = "HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 85\r\n\r\n\
    It looks like you are trying to access MongoDB over HTTP on the native driver port.\r\n";
/// The longest that a driver lets its question for news wait.
const LONGEST_AWAIT: Duration = Duration::from_secs(10);

/// Commands that exist and want a login (MongoDB manual, "Database Commands").
#[rustfmt::skip]
const KNOWN: &[&str] = &[
    "abortTransaction", "aggregate", "appendOplogNote", "applyOps", "authSchemaUpgrade", "cloneCollectionAsCapped",
    "collMod", "collStats", "commitTransaction", "compact", "connPoolStats", "convertToCapped", "count", "create",
    "createIndexes", "createRole", "createUser", "currentOp", "dataSize", "dbHash", "dbStats", "delete", "distinct",
    "driverOIDTest", "drop", "dropAllRolesFromDatabase", "dropAllUsersFromDatabase", "dropConnections", "dropDatabase",
    "dropIndexes", "dropRole", "dropUser", "explain", "filemd5", "find", "findAndModify", "findandmodify", "fsync",
    "fsyncUnlock", "getCmdLineOpts", "getDefaultRWConcern", "getDiagnosticData", "getFreeMonitoringStatus",
    "getLastError", "getLog", "getMore", "getParameter", "grantPrivilegesToRole", "grantRolesToRole",
    "grantRolesToUser", "hostInfo", "insert", "invalidateUserCache", "killAllSessions", "killCursors", "killOp",
    "killSessions", "listCollections", "listCommands", "listDatabases", "listIndexes", "lockInfo", "logRotate",
    "mapReduce", "planCacheClear", "profile", "reIndex", "refreshSessions", "renameCollection", "replSetFreeze",
    "replSetGetConfig", "replSetGetStatus", "replSetInitiate", "replSetReconfig", "replSetStepDown", "resetError",
    "revokePrivilegesFromRole", "revokeRolesFromUser", "rolesInfo", "serverStatus", "setFeatureCompatibilityVersion",
    "setParameter", "shutdown", "startSession", "top", "update", "updateUser", "usersInfo", "validate",
];
/// Those of them that exist in the database `admin` alone; that is looked at first (MongoDB source, `commands.cpp`).
#[rustfmt::skip]
const ADMIN_ONLY: &[&str] = &[
    "appendOplogNote", "applyOps", "currentOp", "dropConnections", "fsync", "fsyncUnlock", "getCmdLineOpts",
    "getDefaultRWConcern", "getLog", "getParameter", "killOp", "listDatabases", "lockInfo", "logRotate",
    "renameCollection", "replSetFreeze", "replSetGetConfig", "replSetGetStatus", "replSetInitiate", "replSetReconfig",
    "replSetStepDown", "setFeatureCompatibilityVersion", "setParameter", "shutdown", "top",
];
/// What is still taken in OP_QUERY, beside `hello` and the commands of a login (MongoDB source,
/// `check_allowed_op_query_cmd.cpp`).
const QUERIED: [&str; 2] = ["buildInfo", "buildinfo"];
/// Words of collections, databases and documents that are ransom notes, in lower case.
#[rustfmt::skip]
const NOTES: [&[u8]; 10] = [
    b"ransom", b"readme", b"read_me", b"please_read", b"warning", b"recover", b"hacked", b"your_data", b"bitcoin", b"btc",
];

/// One conversation.
#[derive(Debug)]
pub struct Connection {
    persona: Arc<Persona>,
    host: Arc<str>,
    number: u32,
    introduced: bool,
    /// A message came.
    spoken: bool,
    scram: Option<Box<Conversation>>,
    /// What was offered along with a `hello`, by a mechanism that needs no answer: drivers offer it again.
    offered: Option<Box<Login>>,
    /// The end was reported.
    over: bool,
}

impl Connection {
    pub(super) fn new(persona: Arc<Persona>, host: Arc<str>) -> Self {
        let number = persona.connection();
        Self {
            persona,
            host,
            number,
            introduced: false,
            spoken: false,
            scram: None,
            offered: None,
            over: false,
        }
    }

    fn reply(&self, way: Way, document: Writer, cx: &mut Cx<'_>) {
        if way.answered {
            cx.reply(wire::answer(way, self.persona.message(), &document.finish()));
        }
    }

    fn command(&mut self, way: Way, database: &[u8], body: &[u8], more: &[u8], cx: &mut Cx<'_>) {
        let first = bson::elements(body).next().and_then(Result::ok);
        let name =
            String::from_utf8_lossy(first.map(|element| element.name).unwrap_or_default()).into_owned();
        let seen = |kind: &'static Kind| {
            Sighting::of(kind)
                .with("action", "mongodb.command")
                .with("command", name.as_str())
                .with("database", database)
                .with("query", Untrusted::new([&bson::shown(body)[..], more].concat()))
        };
        let document = match name.as_str() {
            "hello" | "isMaster" | "ismaster" => {
                return self.hello(way, name == "hello", body, seen(&COMMAND), cx);
            }
            "saslStart" => self.start(database, body, cx),
            "saslContinue" => self.go_on(database, body, cx),
            "authenticate" => self.authenticate(database, body, cx),
            _ => {
                let kind = if is_ransom(&name, database, body, more) { &RANSOM } else { &COMMAND };
                cx.report(seen(kind));
                self.carry_out(way, &name, database, cx)
            }
        };
        self.reply(way, document, cx);
    }

    /// What anybody may ask for is answered, all else refused.
    fn carry_out(&self, way: Way, name: &str, database: &[u8], cx: &mut Cx<'_>) -> Writer {
        let fine = || Writer::default();
        let answer = match name {
            "serverStatus" if self.persona.reveal => self.persona.server_status(&self.host, cx.now()),
            _ if self.persona.refuses_query(way) && !QUERIED.contains(&name) => {
                let text = format!(
                    "Unsupported OP_QUERY command: {name}. The client driver may require an upgrade. For more details see \
                     https://dochub.mongodb.org/core/legacy-opcode-removal"
                );
                return Refusal::new(352, "UnsupportedOpQueryCommand", text).document();
            }
            "ping" | "logout" | "endSessions" => fine(),
            "buildInfo" | "buildinfo" => self.persona.build_info(),
            "whatsmyuri" => fine().text("you", cx.peer().remote.to_string()),
            "connectionStatus" => {
                let nobody = fine().texts("authenticatedUsers", &[]).texts("authenticatedUserRoles", &[]);
                fine().document("authInfo", nobody)
            }
            "getnonce" if !self.persona.since((4, 4)) => {
                let nonce: [u8; 8] = cx.random();
                fine().text("nonce", nonce.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
            }
            _ if ADMIN_ONLY.contains(&name) && database != b"admin" => {
                let text = format!("{name} may only be run against the admin database.");
                return Refusal::new(13, "Unauthorized", text).document();
            }
            _ if KNOWN.contains(&name) => {
                // With a capital since 7.0 (seen of 6.0.8 and 7.0.3).
                let command = if self.persona.since((7, 0)) { "Command" } else { "command" };
                let text = format!("{command} {name} requires authentication");
                return Refusal::new(13, "Unauthorized", text).document();
            }
            _ => {
                return Refusal::new(59, "CommandNotFound", format!("no such command: '{name}'")).document();
            }
        };
        answer.double("ok", 1.0)
    }

    fn hello(&mut self, way: Way, modern: bool, body: &[u8], seen: Sighting, cx: &mut Cx<'_>) {
        let found = |name| bson::find(body, name);
        // An earlier release passes over an attempt that comes along: this is where it shows.
        let passed = found("speculativeAuthenticate").is_some() && !self.persona.since((4, 4));
        if !std::mem::replace(&mut self.introduced, true) || passed {
            cx.report(introduced(body, seen));
        }
        let mut extra = Writer::default();
        if let Some(Value::Array(offered)) = found("compression") {
            let zlib = bson::elements(offered).flatten().any(|element| element.value == Value::Text(b"zlib"));
            if zlib {
                extra = extra.texts("compression", &["zlib"]);
            }
        }
        if found("saslSupportedMechs").is_some() && self.persona.since((4, 0)) {
            extra = extra.texts("saslSupportedMechs", &MECHANISMS.each_ref().map(|mechanism| mechanism.name));
        }
        if let Some(Value::Document(start)) = found("speculativeAuthenticate")
            && self.persona.since((4, 4))
        {
            match self.begin(start, cx) {
                Some(begun) => extra = extra.document("speculativeAuthenticate", begun),
                // The server passes over it. It is an attempt all the same.
                None => self.offered(start, cx),
            }
        }
        let knows = found("helloOk") == Some(Value::Bool(true));
        if found("topologyVersion").is_some()
            && let Some(Value::Int(millis)) = found("maxAwaitTimeMS")
        {
            // Nothing changes here, so a driver that waits for news waits as long as it said.
            let wait = Duration::from_millis(u64::try_from(millis).unwrap_or_default());
            cx.pause(wait.min(LONGEST_AWAIT));
        }
        let document = self.persona.hello(modern, knows, self.number, cx.now(), extra).double("ok", 1.0);
        self.reply(way, document, cx);
    }

    /// Begins a conversation of SCRAM; `None` for anything else.
    fn begin(&mut self, start: &[u8], cx: &mut Cx<'_>) -> Option<Writer> {
        let (Some(Value::Text(name)), Some(Value::Binary(payload))) =
            (bson::find(start, "mechanism"), bson::find(start, "payload"))
        else {
            return None;
        };
        let mechanism = MECHANISMS.iter().find(|mechanism| mechanism.name.as_bytes() == name)?;
        let (begun, answer) = Conversation::begin(mechanism, payload, &self.persona, cx.random())?;
        self.leave_open(cx);
        self.scram = Some(Box::new(begun));
        // A connection has one conversation at a time, and mongod never gives it another number.
        Some(Writer::default().int("conversationId", 1).flag("done", false).binary("payload", &answer))
    }

    /// An attempt that came along with a `hello`.
    fn offered(&mut self, start: &[u8], cx: &mut Cx<'_>) {
        let database = match bson::find(start, "db") {
            Some(Value::Text(name)) => name,
            _ => &[],
        };
        let login = match bson::elements(start).next() {
            Some(Ok(first)) if first.name == b"authenticate" => certificate(start),
            _ => simple(start),
        };
        self.report(login.clone(), database, start, cx);
        self.offered = Some(Box::new(login));
    }

    /// Reports an attempt, unless it is the one that came along before.
    fn report(&mut self, login: Login, database: &[u8], body: &[u8], cx: &mut Cx<'_>) {
        if self.offered.take().is_none_or(|offered| *offered != login) {
            cx.report(attempt(login, database, body));
        }
    }

    /// A conversation that ends without a proof has told a user name.
    fn leave_open(&mut self, cx: &mut Cx<'_>) {
        if let Some(open) = self.scram.take() {
            cx.report(attempt(open.login(None), &[], &[]));
        }
    }

    fn start(&mut self, database: &[u8], body: &[u8], cx: &mut Cx<'_>) -> Writer {
        if let Some(begun) = self.begin(body, cx) {
            return begun.double("ok", 1.0);
        }
        let login = simple(body);
        let name = login.mechanism.to_string();
        self.report(login, database, body, cx);
        if MECHANISMS.iter().any(|known| known.name == name) {
            return failed().document();
        }
        let text = format!("Received authentication for mechanism {name} which is not enabled");
        Refusal::new(334, "MechanismUnavailable", text).document()
    }

    fn go_on(&mut self, database: &[u8], body: &[u8], cx: &mut Cx<'_>) -> Writer {
        let payload = match bson::find(body, "payload") {
            Some(Value::Binary(payload)) => Some(payload),
            _ => None,
        };
        match self.scram.take() {
            Some(open) => {
                cx.report(attempt(open.login(payload), database, body));
                failed().document()
            }
            None => {
                cx.report(attempt(Login::new("sasl"), database, body));
                Refusal::new(17, "ProtocolError", "No SASL session state found").document()
            }
        }
    }

    /// X.509, and the challenge and response of old (MONGODB-CR).
    fn authenticate(&mut self, database: &[u8], body: &[u8], cx: &mut Cx<'_>) -> Writer {
        let login = certificate(body);
        let name = login.mechanism.to_string();
        self.report(login, database, body, cx);
        if name == "MONGODB-X509" {
            return failed().document();
        }
        let text = format!("Received authentication for mechanism {name} which is not enabled");
        Refusal::new(334, "MechanismUnavailable", text).document()
    }

    fn error(error: &'static str, excerpt: &[u8], cx: &mut Cx<'_>) {
        let seen = Sighting::of(&ERROR).with("action", "mongodb.error").with("error", error);
        cx.report(if excerpt.is_empty() { seen } else { seen.with("excerpt", Untrusted::new(excerpt)) });
    }

    /// The end, whoever makes it: nothing more is asked of a session that hung up itself.
    fn gone(&mut self, cx: &mut Cx<'_>) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        self.leave_open(cx);
        cx.report(Sighting::of(&DISCONNECT).with("action", "mongodb.disconnect"));
    }
}

impl Session for Connection {
    type Message = Message;

    fn greet(&mut self, cx: &mut Cx<'_>) {
        cx.report(Sighting::of(&CONNECTION).with("action", "mongodb.connection"));
    }

    fn parse(&self, input: &mut Input<'_>) -> Result<Message, Halt> {
        wire::message(input, !self.spoken)
    }

    fn handle(&mut self, message: Message, cx: &mut Cx<'_>) -> Flow {
        self.spoken = true;
        match message {
            Message::Command { way, database, body, more } => {
                self.command(way, &database, &body, &more, cx);
                Flow::Continue
            }
            Message::Legacy { name, collection, more } => {
                let ransom = name == "insert" && (is_note(&collection) || is_note(&more));
                let seen = Sighting::of(if ransom { &RANSOM } else { &COMMAND })
                    .with("action", "mongodb.command")
                    .with("command", name)
                    .with("collection", Untrusted::new(&collection));
                cx.report(if more.is_empty() { seen } else { seen.with("query", more) });
                // Those that change something are not answered; mongod hangs up over all of them since 5.1.
                if !self.persona.since((5, 1)) {
                    return Flow::Continue;
                }
                self.gone(cx);
                Flow::Close
            }
            Message::Http => {
                Self::error("HTTP on the port of drivers", &[], cx);
                cx.reply(HTTP);
                self.gone(cx);
                Flow::Close
            }
            Message::Broken(why, head) => {
                Self::error(why, &head, cx);
                self.gone(cx);
                Flow::Close
            }
        }
    }

    fn malformed(&mut self, _why: &'static str, cx: &mut Cx<'_>) -> Flow {
        self.gone(cx);
        Flow::Close
    }

    fn timeout(&mut self, _what: Timeout, cx: &mut Cx<'_>) {
        self.gone(cx);
    }

    fn finished(&mut self, left: &[u8], cx: &mut Cx<'_>) {
        if !left.is_empty() {
            Self::error("unfinished message", left.get(..256).unwrap_or(left), cx);
        }
        self.gone(cx);
    }
}

/// X.509, and the challenge and response of old (MONGODB-CR).
fn certificate(body: &[u8]) -> Login {
    let text = |name| match bson::find(body, name) {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    };
    let mechanism = text("mechanism").unwrap_or(b"MONGODB-CR");
    let name = String::from_utf8_lossy(mechanism).into_owned();
    let mut login = Login { mechanism: name.clone().into(), ..Login::new("") };
    login.username = text("user").map(Untrusted::new);
    if let (Some(user), Some(nonce), Some(key)) = (text("user"), text("nonce"), text("key")) {
        let clean = |part: &[u8]| {
            std::str::from_utf8(part).ok().filter(|part| !part.contains('$')).map(str::to_owned)
        };
        let parts = [user, nonce, key].map(clean);
        let crackable = match &parts {
            [Some(user), Some(nonce), Some(key)] => Some(format!("$mongodb$1${user}${nonce}${key}")),
            _ => None,
        };
        login = login.secret(Secret::Response {
            scheme: "mongodb-cr".into(),
            challenge: nonce.into(),
            response: key.into(),
            crackable,
        });
    }
    login
}

/// An attempt by a mechanism that says everything at once, or by one that is not taken.
fn simple(body: &[u8]) -> Login {
    let name = match bson::find(body, "mechanism") {
        Some(Value::Text(name)) => name,
        _ => &[],
    };
    let payload = match bson::find(body, "payload") {
        Some(Value::Binary(payload)) => payload.to_vec(),
        // Old clients send it in base64.
        Some(Value::Text(text)) => BASE64_STANDARD.decode(text).unwrap_or_else(|_| text.to_vec()),
        _ => Vec::new(),
    };
    let mechanism = String::from_utf8_lossy(name).into_owned();
    match (name, plain(&payload)) {
        (b"PLAIN", Some((user, password))) => Login::password("PLAIN", user, password),
        _ => Login { mechanism: mechanism.into(), username: scram::name(&payload), ..Login::new("") },
    }
}

fn failed() -> Refusal {
    Refusal::new(18, "AuthenticationFailed", "Authentication failed.")
}

fn attempt(login: Login, database: &[u8], body: &[u8]) -> Sighting {
    let seen = Sighting::of(&LOGIN)
        .with("action", "mongodb.auth_attempt")
        .with("mechanism", login.mechanism.as_ref())
        .with("auth_data", Untrusted::new(bson::shown(body)));
    let seen = if database.is_empty() { seen } else { seen.with("database", database) };
    seen.login(login)
}

/// What a driver says of itself (driver specification `handshake`), and for whom it asks.
fn introduced(body: &[u8], mut seen: Sighting) -> Sighting {
    let Some(Value::Document(client)) = bson::find(body, "client") else { return seen };
    let places = [
        ("application", "application", "name"),
        ("driver", "driver", "name"),
        ("driver_version", "driver", "version"),
        ("os", "os", "type"),
        ("os_version", "os", "version"),
    ];
    for (field, part, name) in places {
        if let Some(Value::Document(part)) = bson::find(client, part)
            && let Some(Value::Text(text)) = bson::find(part, name)
        {
            seen = seen.with(field, Untrusted::new(text));
        }
    }
    if let Some(Value::Text(platform)) = bson::find(client, "platform") {
        seen = seen.with("platform", Untrusted::new(platform));
    }
    if let Some(Value::Text(user)) = bson::find(body, "saslSupportedMechs") {
        seen = seen.with("user", Untrusted::new(user));
    }
    seen
}

/// `authzid NUL authcid NUL password` (RFC 4616, section 2).
fn plain(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = payload.splitn(3, |&byte| byte == 0);
    parts.next()?;
    Some((parts.next()?, parts.next()?))
}

fn is_note(text: &[u8]) -> bool {
    let lower = text.to_ascii_lowercase();
    NOTES.iter().any(|note| lower.windows(note.len()).any(|window| window == *note))
}

/// Data is destroyed, or a note is left.
fn is_ransom(name: &str, database: &[u8], body: &[u8], more: &[u8]) -> bool {
    match name {
        "drop" | "dropDatabase" => true,
        "insert" | "create" | "update" => is_note(database) || is_note(&bson::shown(body)) || is_note(more),
        _ => false,
    }
}
