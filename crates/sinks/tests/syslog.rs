//! Syslog receivers: sockets of our own, and rsyslog where it is installed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a test may panic and listen"
)]

mod common;

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::{TcpListener, UdpSocket},
    os::unix::net::{UnixDatagram, UnixListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use common::{configured, record, records, sink, text};
use haldane_core::{Event, Record, Severity, section::Raw};
use haldane_sinks::{AnySink, Failure, encode};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("syslog-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn udp() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    (socket, address)
}

fn datagram(socket: &UdpSocket) -> Vec<u8> {
    let mut bytes = vec![0; 70_000];
    let length = socket.recv(&mut bytes).unwrap();
    bytes.truncate(length);
    bytes
}

async fn later(sink: &mut Box<dyn AnySink>, batch: &[Record]) -> String {
    match sink.once(batch).await {
        Err(Failure::Later { why, .. }) => why,
        outcome => panic!("{outcome:?}"),
    }
}

/// A syslog sink of whole native lines.
fn syslog(address: &str, transport: &str, more: &[(&str, Raw)]) -> Box<dyn AnySink> {
    let mut entries = vec![("address", text(address)), ("transport", text(transport))];
    entries.extend_from_slice(more);
    sink("syslog", &entries)
}

fn native(record: &Record) -> String {
    encode::native(&record.event, "canary-1")
}

#[tokio::test]
async fn over_udp_a_message_is_that_of_pythons_handler() {
    let (receiver, address) = udp();
    let python = [("protocol", text("python")), ("format", text("compatible"))];
    let mut sink = syslog(&address, "udp", &python);
    let batch = records(1..=2);
    sink.once(&batch).await.unwrap();
    for record in &batch {
        let expected = format!("<12>{}\0", encode::compatible(&record.event, "canary-1"));
        assert_eq!(String::from_utf8(datagram(&receiver)).unwrap(), expected);
    }
}

#[tokio::test]
async fn over_udp_the_default_is_rfc_5424() {
    let (receiver, address) = udp();
    let mut sink = syslog(&address, "auto", &[("facility", text("local3"))]);
    let batch = records([1]);
    sink.once(&batch).await.unwrap();
    let message = String::from_utf8(datagram(&receiver)).unwrap();
    let process = std::process::id();
    // Local 3 is 19, an error 3: 19 * 8 + 3.
    let (head, rest) = message.split_at("<155>1 2026-11-24T00:00:00.000000+00:00".len());
    assert!(head.starts_with("<155>1 2026-11-2"), "{head}");
    let version = env!("CARGO_PKG_VERSION");
    let origin = format!("[origin software=\"haldane\" swVersion=\"{version}\"]");
    assert_eq!(rest, format!(" canary-1 haldane {process} test.login {origin} {}", native(&batch[0])));
}

#[tokio::test]
async fn rfc_3164_has_a_short_date_and_a_level_for_each_severity() {
    let (receiver, address) = udp();
    let mut sink = syslog(&address, "udp", &[("protocol", text("rfc3164")), ("facility", Raw::Int(4))]);
    let batch: Vec<_> = (1..)
        .zip(Severity::ALL)
        .map(|(seq, severity)| {
            let record = record(seq, "x");
            Record { event: Arc::new(Event { severity, ..(*record.event).clone() }), ..record }
        })
        .collect();
    sink.once(&batch).await.unwrap();
    for level in [6, 5, 4, 3, 2] {
        let message = String::from_utf8(datagram(&receiver)).unwrap();
        assert!(message.starts_with(&format!("<{}>Nov 2", 32 + level)), "{message}");
        assert!(message.contains(&format!(" canary-1 haldane[{}]: {{", std::process::id())), "{message}");
    }
}

#[tokio::test]
async fn a_port_that_refuses_udp_is_noticed_and_everything_sent_again() {
    let (receiver, address) = udp();
    drop(receiver);
    let mut sink = syslog(&address, "udp", &[]);
    let why = later(&mut sink, &records(1..=3)).await;
    assert!(why.starts_with(&format!("cannot send to syslog at {address} (UDP): ")), "{why}");
    let receiver = UdpSocket::bind(&address).unwrap();
    receiver.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    sink.once(&records(1..=3)).await.unwrap();
    for seq in 1..=3 {
        let message = String::from_utf8(datagram(&receiver)).unwrap();
        assert!(message.contains(&format!("\"user{seq}\"")), "{message}");
    }
}

#[tokio::test]
async fn what_is_too_long_for_a_datagram_is_cut() {
    let (receiver, address) = udp();
    let mut sink = syslog(&address, "udp", &[]);
    let mut long = record(1, "x");
    let mut event = (*long.event).clone();
    for name in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] {
        event.fields.insert(name.into(), "\u{e9}".repeat(4000).into());
    }
    long.event = Arc::new(event);
    sink.once(&[long, record(2, "next")]).await.unwrap();
    let cut = datagram(&receiver);
    assert!((65_000..=65_507).contains(&cut.len()), "{}", cut.len());
    assert!(std::str::from_utf8(&cut).is_ok());
    assert!(String::from_utf8(datagram(&receiver)).unwrap().contains("next"));
}

#[tokio::test]
async fn a_unix_socket_gets_what_syslog_3_sends() {
    let path = folder("unix").join("log");
    let receiver = UnixDatagram::bind(&path).unwrap();
    let mut sink = syslog(path.to_str().unwrap(), "auto", &[]);
    let message = |receiver: &UnixDatagram| {
        let mut bytes = vec![0; 10_000];
        let length = receiver.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };
    sink.once(&records([1])).await.unwrap();
    let first = message(&receiver);
    assert!(first.starts_with("<11>Nov 2"), "{first}");
    assert_eq!(&first["<11>Nov 24 00:00:00".len()..][..9], " haldane[");
    // The daemon is restarted.
    drop(receiver);
    fs::remove_file(&path).unwrap();
    later(&mut sink, &records([2])).await;
    let receiver = UnixDatagram::bind(&path).unwrap();
    sink.once(&records([2])).await.unwrap();
    assert!(message(&receiver).contains("user2"));
}

#[tokio::test]
async fn a_unix_socket_may_be_a_stream() {
    let path = folder("stream").join("log");
    let receiver = UnixListener::bind(&path).unwrap();
    let mut sink = syslog(path.to_str().unwrap(), "unix", &[]);
    sink.once(&records(1..=2)).await.unwrap();
    drop(sink);
    let lines: Vec<_> = BufReader::new(receiver.accept().unwrap().0).lines().map(Result::unwrap).collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[1].contains("user2"));
}

/// The messages in an octet-counted stream.
fn counted(stream: &mut impl Read) -> Vec<String> {
    let mut reader = BufReader::new(stream);
    let mut messages = Vec::new();
    loop {
        let mut length = Vec::new();
        if reader.read_until(b' ', &mut length).unwrap_or_default() == 0 {
            return messages;
        }
        let length: usize = String::from_utf8(length).unwrap().trim_end().parse().unwrap();
        let mut message = vec![0; length];
        reader.read_exact(&mut message).unwrap();
        messages.push(String::from_utf8(message).unwrap());
    }
}

fn assert_users(messages: &[String], seqs: std::ops::RangeInclusive<u64>) {
    let seqs: Vec<_> = seqs.collect();
    assert_eq!(messages.len(), seqs.len(), "{messages:#?}");
    for (message, seq) in messages.iter().zip(seqs) {
        assert!(message.contains(&format!("\"user{seq}\"")), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tcp_octets_are_counted_and_one_connection_is_kept() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let receiver = thread::spawn(move || counted(&mut listener.accept().unwrap().0));
    let mut sink = syslog(&address, "tcp", &[]);
    sink.once(&records(1..=3)).await.unwrap();
    sink.once(&records(4..=4)).await.unwrap();
    drop(sink);
    assert_users(&receiver.join().unwrap(), 1..=4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_closed_is_noticed_before_anything_is_written_to_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut sink = syslog(&address, "tcp", &[("protocol", text("rfc3164"))]);
    let (hang_up, told) = mpsc::channel();
    let (line, lines) = mpsc::channel();
    // One line from each connection, then in good order to the next one, once told to.
    let receiver = thread::spawn(move || {
        for _ in told {
            let mut read = String::new();
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            stream.read_line(&mut read).unwrap();
            drop(stream);
            line.send(read).unwrap();
        }
    });
    for seq in 1..=5 {
        sink.once(&records([seq])).await.unwrap();
        hang_up.send(()).unwrap();
        assert!(lines.recv().unwrap().contains(&format!("\"user{seq}\"")));
    }
    drop(hang_up);
    receiver.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_resets_the_connection_has_not_got_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut sink = syslog(&address, "tcp", &[]);
    let receiver = thread::spawn(move || {
        // Closed without being read: a reset.
        let (unread, _) = listener.accept().unwrap();
        unread.peek(&mut [0]).unwrap();
        drop(unread);
        counted(&mut listener.accept().unwrap().0)
    });
    later(&mut sink, &records(1..=2)).await;
    sink.once(&records(1..=2)).await.unwrap();
    drop(sink);
    assert_users(&receiver.join().unwrap(), 1..=2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_lost_with_a_connection_is_sent_again_on_the_next() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut sink = syslog(&address, "tcp", &[]);
    sink.once(&records(1..=2)).await.unwrap();
    let (unread, _) = listener.accept().unwrap();
    // The receiver loses its power, and knows of nothing once it is back.
    drop(unread);
    let receiver = thread::spawn(move || counted(&mut listener.accept().unwrap().0));
    sink.once(&records(3..=3)).await.unwrap();
    drop(sink);
    assert_users(&receiver.join().unwrap(), 1..=3);
}

#[tokio::test]
async fn a_receiver_that_is_down_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let why = later(&mut syslog(&address, "tcp", &[]), &records([1])).await;
    assert!(why.starts_with(&format!("cannot send to syslog at {address} (TCP): ")), "{why}");
    assert!(why.contains("refused"), "{why}");
}

/// A certificate authority and a certificate for localhost, made by openssl.
fn certificates(folder: &Path) -> bool {
    let script = "
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout ca.key -out ca.pem \
    -subj /CN=authority
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out request.pem -subj /CN=localhost
printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\\nbasicConstraints=CA:false\\n' > names
openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem
";
    let made = Command::new("sh").args(["-ec", script]).current_dir(folder).stderr(Stdio::null()).status();
    made.is_ok_and(|status| status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_octets_are_counted_and_only_a_trusted_receiver_gets_them() {
    let folder = folder("tls");
    if !certificates(&folder) {
        return eprintln!("no openssl here");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificate = CertificateDer::from_pem_file(folder.join("cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("localhost:{}", listener.local_addr().unwrap().port());
    let config = Arc::new(config);
    let receiver = thread::spawn(move || {
        let mut received = Vec::new();
        for stream in listener.incoming().take(3) {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            let mut first = [0; 8192];
            match stream.read(&mut first) {
                Ok(length) => received.push(counted(&mut &first[..length])),
                Err(error) => received.push(vec![error.to_string()]),
            }
            // Hangs up with a farewell.
            stream.conn.send_close_notify();
            let _ = stream.conn.complete_io(&mut stream.sock);
        }
        received
    });
    let why = later(&mut syslog(&address, "tls", &[]), &records([1])).await;
    assert!(
        why.contains("an authority that is not trusted here: name the file of its authority in `ca`"),
        "{why}"
    );
    let mut sink = syslog(&address, "tls", &[("ca", text(folder.join("ca.pem").display()))]);
    sink.once(&records(1..=2)).await.unwrap();
    sink.once(&records(3..=3)).await.unwrap();
    let received = receiver.join().unwrap();
    assert_users(&received[1], 1..=2);
    assert_users(&received[2], 3..=3);
}

#[test]
fn an_operators_mistakes_are_named() {
    let problems = |entries: &[(&str, Raw)]| configured("syslog", entries).2.join("\n");
    let tls = [("transport", text("tls")), ("address", text("h:1"))];
    for (entries, part) in [
        (vec![("address", text("a b"))], "expected a path, or a host and a port"),
        (
            vec![("address", text("/x")), ("transport", text("tcp"))],
            "expected a host and a port with transport",
        ),
        (vec![("address", text("h:1")), ("transport", text("unix"))], "expected the path of a socket with"),
        (vec![("facility", text("local9"))], "expected a number from 0 to 23 or one of kern, user"),
        (vec![("facility", Raw::Int(24))], "expected a number from 0 to 23 or one of kern, user"),
        (
            [&tls[..], &[("ca", text("/nowhere.pem"))]].concat(),
            "test.ca: expected a file of certificates in PEM form",
        ),
        ([&tls[..], &[("server_name", text("a b"))]].concat(), "test.server_name: expected a host's name"),
    ] {
        assert!(problems(&entries).contains(part), "{part}: {}", problems(&entries));
    }
    assert_eq!(problems(&[("facility", text("LOG_LOCAL0"))]), "");
}

/// A running rsyslogd, ended when dropped.
struct Rsyslog {
    child: Child,
    folder: PathBuf,
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Rsyslog {
    /// Starts it with a unix socket and with UDP and TCP on that port; `None` if it is not installed.
    fn start(folder: &Path, port: u16) -> Option<Self> {
        let conf = format!(
            r#"
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{folder}/log")
module(load="imudp")
input(type="imudp" address="127.0.0.1" port="{port}")
module(load="imtcp")
input(type="imtcp" address="127.0.0.1" port="{port}")
template(name="t" type="string" string="%syslogfacility-text% %syslogseverity-text% %hostname% %app-name% %procid% %msgid% %structured-data% |%msg%\n")
action(type="omfile" file="{folder}/out" template="t")
"#,
            folder = folder.display()
        );
        fs::write(folder.join("conf"), conf).unwrap();
        let child = Command::new("rsyslogd")
            .arg("-n")
            .arg("-f")
            .arg(folder.join("conf"))
            .arg("-i")
            .arg(folder.join("pid"))
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let rsyslog = Self { child, folder: folder.to_owned() };
        rsyslog.until(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(rsyslog)
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.join("out")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn until(&self, done: impl Fn() -> bool) {
        for _ in 0..1000 {
            if done() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("rsyslog took too long: {:#?}", self.lines());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rsyslog_understands_every_form_and_misses_nothing_over_a_restart() {
    let folder = folder("rsyslog");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let Some(rsyslog) = Rsyslog::start(&folder, port) else { return eprintln!("no rsyslog here") };
    let address = format!("127.0.0.1:{port}");
    let batch = records([1]);
    let line = native(&batch[0]);
    let process = std::process::id();
    let socket = folder.join("log");
    let origin = format!("[origin software=\"haldane\" swVersion=\"{}\"]", env!("CARGO_PKG_VERSION"));
    let old = format!("local0 err canary-1 haldane {process} - - | {line}");
    let new = format!("local0 err canary-1 haldane {process} test.login {origin} |{line}");
    for (address, transport, protocol, expected) in [
        (socket.to_str().unwrap(), "unix", "rfc3164", String::new()),
        (&address, "udp", "rfc3164", old.clone()),
        (&address, "udp", "rfc5424", new.clone()),
        (&address, "tcp", "rfc3164", old),
        (&address, "tcp", "rfc5424", new.clone()),
    ] {
        let before = rsyslog.lines().len();
        let more = [("protocol", text(protocol)), ("facility", text("local0"))];
        syslog(address, transport, &more).once(&batch).await.unwrap();
        rsyslog.until(|| rsyslog.lines().len() > before);
        let got = rsyslog.lines()[before].clone();
        match expected.as_str() {
            // Its own name for this host is none of our business.
            "" => assert!(got.ends_with(&format!(" haldane {process} - - | {line}")), "{got}"),
            _ => assert_eq!(got, expected, "{transport} {protocol}"),
        }
    }
    let mut sink = syslog(&address, "tcp", &[]);
    sink.once(&records(1..=10)).await.unwrap();
    rsyslog.until(|| rsyslog.lines().len() == 15);
    drop(rsyslog);
    later(&mut sink, &records(11..=12)).await;
    let rsyslog = Rsyslog::start(&folder, port).unwrap();
    sink.once(&records(11..=12)).await.unwrap();
    rsyslog.until(|| rsyslog.lines().len() >= 17);
    let lines = rsyslog.lines();
    for seq in 1..=12 {
        assert_eq!(
            lines[5..].iter().filter(|line| line.contains(&format!("\"user{seq}\""))).count(),
            1,
            "{seq}"
        );
    }
}
