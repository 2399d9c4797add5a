//! What the tests of the sinks share: configuration from JSON, an event, certificates, and receivers whose
//! answers a test decides.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::as_conversions,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

pub mod gate;
pub mod preset;
pub mod process;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, SystemTime},
};

use haldane_core::{
    Class, Compat, Event, Health, Honeycred, Journal, Kind, Login, Page, Peer, Problem, Record, Section,
    Severity, Table, Transport, Wants,
    section::{Item, Node, Place, Raw},
};
use haldane_sinks::{ALL, AnySink, Delivery, Sender, Signals};
use serde_json::Value;

pub static FTP_LOGIN: Kind = Kind::new(2000, "ftp.login", Class::Login, Severity::High, "FTP login")
    .compat(&[Compat::USERNAME, Compat::PASSWORD]);

/// The event of a login; `number` makes it one of its own.
pub fn login(number: u128, username: &str, password: impl AsRef<[u8]>) -> Record {
    let local = "10.0.0.5:21".parse().unwrap();
    let event = Event {
        id: uuid::Uuid::from_u128(0x0193_5aad_0000_7000_8000_0000_0000_0000 | number),
        service: "ftp".into(),
        session: uuid::Uuid::from_u128(7),
        peer: Some(Peer::new("192.0.2.7:50123".parse().unwrap(), local, Transport::Tcp)),
        at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_000_000_123),
        kind: &FTP_LOGIN,
        severity: Severity::High,
        login: Some(Login::password("password", username, password.as_ref())),
        fields: [("banner".into(), "vsFTPd".into())].into(),
        tls: None,
        ignored: false,
        honeycred: Honeycred::No,
        incident: None,
    };
    Record { seq: 1, event: Arc::new(event) }
}

/// What an attacker sends who hopes to reach more than the decoy.
pub fn hostile() -> String {
    let noise: String = (0..4096_u32).map(|n| char::from_u32(33 + n * 7 % 90).unwrap()).collect();
    format!("a\r\nPUB x 1\r\n\0\"'`${{{{7*7}}}}@everyone<b>\u{1b}[31m\u{202e}{noise}")
}

/// What a receiver says who could not take the delivery.
pub async fn refusal(sink: &mut Box<dyn AnySink>) -> String {
    match sink.once(&[login(1, "root", "x")]).await {
        Err(haldane_sinks::Failure::Later { why, .. }) => why,
        outcome => panic!("{outcome:?}"),
    }
}

fn node(value: Value) -> Node {
    let value = match value {
        Value::Null => Raw::Null,
        Value::Bool(value) => Raw::Bool(value),
        Value::Number(number) => match number.as_i64() {
            Some(number) => Raw::Int(number),
            None => Raw::Float(number.as_f64().unwrap()),
        },
        Value::String(text) => Raw::Text(text),
        Value::Array(values) => Raw::List(values.into_iter().map(node).collect()),
        Value::Object(_) => Raw::Table(table(value)),
    };
    Node { place: Place { file: "test.toml".into(), line: 1 }, value }
}

fn table(value: Value) -> Table {
    let Value::Object(map) = value else { panic!("not a table: {value}") };
    let item = |(key, value): (String, Value)| Item { written: key.clone(), key, node: node(value) };
    Table { name: "sink.test".into(), entries: map.into_iter().map(item).collect() }
}

/// A sink with what it thinks of its configuration.
pub fn configured(kind: &str, configuration: Value) -> (Box<dyn AnySink>, Delivery, Vec<Problem>) {
    let table = table(configuration);
    let mut problems = Vec::new();
    let mut section = Section::new(&table, &mut problems);
    let entry = ALL.iter().find(|entry| entry.name == kind).unwrap();
    let (sink, delivery) = entry.build("test", &mut section, &Sender { node: "canary-1".into() });
    section.finish();
    (sink, delivery, problems)
}

/// A sink whose configuration must be right.
pub fn sink(kind: &str, configuration: Value) -> Box<dyn AnySink> {
    let (sink, _, problems) = configured(kind, configuration);
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{problems:#?}");
    sink
}

/// A store in memory, and a sink that runs from it.
#[derive(Default)]
pub struct Store {
    records: Mutex<Vec<Record>>,
    cursor: AtomicU64,
    pub buried: Mutex<Vec<(u64, String)>>,
    pub health: Mutex<Option<Health>>,
}

impl Journal for Store {
    fn after(&self, cursor: u64, most: usize, wants: &Wants) -> Result<Page, String> {
        let records = self.records.lock().unwrap();
        let page: Vec<_> = records.iter().filter(|record| record.seq > cursor).take(most).cloned().collect();
        let next = page.last().map_or(cursor, |record| record.seq);
        Ok(Page { records: page.into_iter().filter(|record| wants.accepts(&record.event)).collect(), next })
    }

    fn cursor(&self, _: &str) -> u64 {
        self.cursor.load(Ordering::Relaxed)
    }

    fn save(&self, _: &str, cursor: u64) {
        self.cursor.store(cursor, Ordering::Relaxed);
    }

    fn bury(&self, _: &str, seq: u64, reason: &str) {
        self.buried.lock().unwrap().push((seq, reason.to_owned()));
    }

    fn health(&self, _: &str, health: &Health) {
        *self.health.lock().unwrap() = Some(health.clone());
    }
}

/// Runs a sink over these records until it has been through all of them, then stops it.
pub async fn run(kind: &str, configuration: Value, records: Vec<Record>) -> Arc<Store> {
    let (sink, delivery, problems) = configured(kind, configuration);
    assert!(problems.is_empty(), "{problems:#?}");
    let store = Arc::new(Store::default());
    let numbered = records.into_iter().zip(1..).map(|(record, seq)| Record { seq, ..record });
    *store.records.lock().unwrap() = numbered.collect();
    let last = store.records.lock().unwrap().last().unwrap().seq;
    let (_grown, grown) = tokio::sync::watch::channel(last);
    let (_reopen, reopen) = tokio::sync::watch::channel(0);
    let stop = tokio_util::sync::CancellationToken::new();
    let signals = Signals { grown, reopen, stop: stop.clone() };
    let journal: Arc<dyn Journal> = Arc::clone(&store) as _;
    let running = sink.run(delivery, journal, signals);
    let through = async {
        while store.cursor.load(Ordering::Relaxed) < last {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.cancel();
    };
    let both = async { tokio::join!(running, through) };
    tokio::time::timeout(Duration::from_secs(20), both).await.expect("the sink is not through");
    store
}

/// A folder of this test's own, gone with it.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("haldane-sinks-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An authority with a server's and a client's certificate: `ca.pem`, `server.pem`, `server.key`, `client.pem`,
/// `client.key`. The server is `localhost` and 127.0.0.1; `elsewhere.pem` is for another name.
pub fn certificates() -> Folder {
    let folder = Folder::new();
    let openssl = |arguments: &str| {
        let output =
            Command::new("openssl").args(arguments.split(' ')).current_dir(&folder.0).output().unwrap();
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=Test-authority"));
    let server = "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n";
    let client = "extendedKeyUsage=clientAuth\n";
    let elsewhere = "subjectAltName=DNS:elsewhere.example\nextendedKeyUsage=serverAuth\n";
    for (name, extensions) in [("server", server), ("elsewhere", elsewhere), ("client", client)] {
        std::fs::write(folder.0.join("extensions"), extensions).unwrap();
        openssl(&format!("req {key} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out {name}.pem"
        ));
    }
    folder
}

/// What a TLS server of these certificates is configured with; with `client`, it insists on a client's.
pub fn tls_server(folder: &Path, client: bool) -> Arc<rustls::ServerConfig> {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = CertificateDer::pem_file_iter(folder.join("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match client {
        false => builder.with_no_client_auth(),
        true => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(folder.join("ca.pem")).unwrap()).unwrap();
            let verifier =
                rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    Arc::new(builder.with_single_cert(chain.map(Result::unwrap).collect(), key).unwrap())
}

/// A port on which nobody listens.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Serves each connection in a thread of its own for as long as the test runs.
pub fn serve(handle: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let handle = Arc::new(handle);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let handle = Arc::clone(&handle);
            thread::spawn(move || handle(stream));
        }
    });
    port
}

/// What a receiver saw.
pub type Seen<T> = Arc<Mutex<Vec<T>>>;

/// A mail server that says what the test tells it to.
pub struct Mailbox {
    pub port: u16,
    /// Every line that came, connections begun with `(connected)`; of a message, its lines.
    pub lines: Seen<String>,
}

impl Mailbox {
    /// `answer` gets the line and may answer otherwise than usual: `Some("")` closes the connection,
    /// `Some("hang")` says nothing more. The greeting is asked for with `(connected)`, the answer to a message
    /// with `.`.
    pub fn new(answer: impl Fn(&str) -> Option<&'static str> + Send + Sync + 'static) -> Self {
        let lines = Seen::default();
        let seen = Arc::clone(&lines);
        let port = serve(move |stream| {
            let mut input = BufReader::new(stream.try_clone().unwrap()).lines();
            let mut output = stream;
            let mut message = false;
            let mut line = "(connected)".to_owned();
            loop {
                seen.lock().unwrap().push(line.clone());
                let end = message && line == ".";
                let verb = line.split(' ').next().unwrap_or_default();
                let usual = match verb {
                    _ if message && !end => None,
                    "(connected)" => Some("220 test ESMTP"),
                    "EHLO" => Some("250-test\r\n250 AUTH PLAIN LOGIN"),
                    "DATA" => Some("354 go on"),
                    "QUIT" => Some("221 bye"),
                    "AUTH" => Some("235 welcome"),
                    _ => Some("250 fine"),
                };
                if let Some(usual) = usual {
                    let said = answer(&line).unwrap_or(usual);
                    match said {
                        "" => return,
                        "hang" => {
                            for _ in input.by_ref() {}
                            return;
                        }
                        said => {
                            if output.write_all(format!("{said}\r\n").as_bytes()).is_err() {
                                return;
                            }
                            message = said.starts_with("354");
                        }
                    }
                }
                line = match input.next() {
                    Some(Ok(line)) => line,
                    _ => return,
                };
            }
        });
        Self { port, lines }
    }

    /// The lines that begin so.
    pub fn count(&self, start: &str) -> usize {
        self.lines.lock().unwrap().iter().filter(|line| line.starts_with(start)).count()
    }

    /// The lines of the last message.
    pub fn message(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        let start = lines.iter().rposition(|line| line == "DATA").unwrap();
        lines[start + 1..].iter().take_while(|line| *line != ".").cloned().collect()
    }
}

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// As in `POST /path HTTP/1.1`.
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// Reads one; `None` at the end of the connection.
    pub fn read(input: &mut impl BufRead) -> Option<Self> {
        let mut line = String::new();
        let mut request = Self::default();
        input.read_line(&mut line).ok().filter(|count| *count > 0)?;
        request.line = line.trim().to_owned();
        loop {
            line.clear();
            input.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim().split_once(':') else { break };
            request.headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
        let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        input.read_exact(&mut body).ok()?;
        request.body = String::from_utf8(body).unwrap();
        Some(request)
    }
}

/// A receiver of webhooks that answers what the test tells it to.
pub struct Receiver {
    pub port: u16,
    pub requests: Seen<Request>,
}

impl Receiver {
    /// `answer` gets the request and how many came before; it gives status line and headers without `HTTP/1.1`
    /// and without the empty line, then body, as in `("200 OK", "fine")`; an empty status never answers.
    pub fn new(answer: impl Fn(&Request, usize) -> (String, &'static str) + Send + Sync + 'static) -> Self {
        Self::over(None, answer)
    }

    /// The same over TLS.
    pub fn over(
        tls: Option<Arc<rustls::ServerConfig>>,
        answer: impl Fn(&Request, usize) -> (String, &'static str) + Send + Sync + 'static,
    ) -> Self {
        let requests = Seen::<Request>::default();
        let seen = Arc::clone(&requests);
        let port = serve(move |stream| match &tls {
            None => Self::converse(stream, &seen, &answer),
            Some(config) => {
                let connection = rustls::ServerConnection::new(Arc::clone(config)).unwrap();
                Self::converse(rustls::StreamOwned::new(connection, stream), &seen, &answer);
            }
        });
        Self { port, requests }
    }

    fn converse(
        stream: impl Read + Write,
        seen: &Seen<Request>,
        answer: &impl Fn(&Request, usize) -> (String, &'static str),
    ) {
        let mut stream = BufReader::new(stream);
        while let Some(request) = Request::read(&mut stream) {
            let before = seen.lock().unwrap().len();
            let (head, body) = answer(&request, before);
            seen.lock().unwrap().push(request);
            if head.is_empty() {
                while let Ok(1..) = stream.read(&mut [0; 1024]) {}
                return;
            }
            let length = body.len();
            let answer = format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\n\r\n{body}");
            if stream.get_mut().write_all(answer.as_bytes()).is_err() {
                return;
            }
            let _ = stream.get_mut().flush();
        }
    }

    /// Where it is, over plain HTTP.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The request of that number.
    pub fn request(&self, number: usize) -> Request {
        self.requests.lock().unwrap()[number].clone()
    }

    pub fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

/// A Python that has that module: of the virtual environment that `.ci/run` makes, or any other. `None` (the
/// test is skipped) if there is none, but not where `CI` is set.
pub fn python(module: &str) -> Option<PathBuf> {
    let named = std::env::var_os("HALDANE_TEST_VENV").map(PathBuf::from);
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-venv");
    let pythons =
        named.into_iter().chain([usual]).map(|venv| venv.join("bin/python")).chain(["python3".into()]);
    let found = pythons.into_iter().find(|python| {
        let asked =
            Command::new(python).args(["-c", &format!("import {module}")]).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    });
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "no Python with {module}");
        eprintln!("skipped: no Python with {module}");
    }
    found
}
