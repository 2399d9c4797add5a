//! The shortest client of each protocol: one connection, one login, the answer read to its end.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

/// Logs in once; the number makes each password another.
pub type Login = fn(port: u16, number: u64) -> io::Result<()>;

/// Who logs in to a service.
pub enum Client {
    /// The shortest client there can be.
    Ours(Login),
    /// A real one, from a virtual environment with drivers.
    Paramiko,
}

/// A service to be measured.
pub struct Service {
    /// Its name.
    pub name: &'static str,
    /// Who logs in.
    pub client: Client,
    /// `logtype` of the line that one login leaves.
    pub logtype: u32,
    /// Whether the peer can do it.
    pub peer: bool,
    /// Its section in our configuration, beside the port.
    pub settings: &'static str,
}

/// All of them.
pub const SERVICES: &[Service] = &[
    Service {
        name: "ftp",
        client: Client::Ours(ftp),
        logtype: 2000,
        peer: true,
        settings: "login_delay = 0\n",
    },
    Service {
        name: "telnet",
        client: Client::Ours(telnet),
        logtype: 6001,
        peer: false,
        settings: "login_delay = 0\n",
    },
    Service {
        name: "http",
        client: Client::Ours(http),
        logtype: 3001,
        peer: true,
        settings: "skin = \"basicLogin\"\n",
    },
    Service {
        name: "https",
        client: Client::Ours(https),
        logtype: 3001,
        peer: true,
        settings: "skin = \"basicLogin\"\n",
    },
    Service {
        name: "ssh",
        client: Client::Paramiko,
        logtype: 4002,
        peer: true,
        settings: "login_delay = 0\n",
    },
    Service { name: "mysql", client: Client::Ours(mysql), logtype: 8001, peer: true, settings: "" },
    Service { name: "redis", client: Client::Ours(redis), logtype: 17001, peer: true, settings: "" },
    Service { name: "git", client: Client::Ours(git), logtype: 16001, peer: true, settings: "" },
];

fn connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn read_some(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut buffer = [0; 4096];
    let count = stream.read(&mut buffer)?;
    match count {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        count => Ok(buffer.get(..count).unwrap_or_default().to_vec()),
    }
}

fn read_until(stream: &mut impl Read, end: &[u8]) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    while !all.windows(end.len()).any(|window| window == end) {
        all.extend(read_some(stream)?);
    }
    Ok(all)
}

/// What any login costs at least.
pub fn floor(port: u16, number: u64) -> io::Result<()> {
    let mut stream = connect(port)?;
    write!(stream, "*2\r\n$4\r\nAUTH\r\n$12\r\n{number:012}\r\n")?;
    read_until(&mut stream, b"\r\n").map(drop)
}

fn redis(port: u16, number: u64) -> io::Result<()> {
    floor(port, number)
}

fn git(port: u16, number: u64) -> io::Result<()> {
    let mut stream = connect(port)?;
    write!(stream, "002dgit-upload-pack /{number:012}.git\0host=a\0")?;
    read_until(&mut stream, b".git").map(drop)
}

fn ftp(port: u16, number: u64) -> io::Result<()> {
    let mut stream = connect(port)?;
    read_until(&mut stream, b"\r\n")?;
    stream.write_all(b"USER root\r\n")?;
    read_until(&mut stream, b"\r\n")?;
    write!(stream, "PASS {number:012}\r\n")?;
    read_until(&mut stream, b"\r\n").map(drop)
}

/// Refuses every option; then name and password.
fn telnet(port: u16, number: u64) -> io::Result<()> {
    let mut stream = connect(port)?;
    let mut seen = Vec::new();
    let (mut answered, mut step) = (0, 0);
    loop {
        seen.extend(read_some(&mut stream)?);
        let mut refusals = Vec::new();
        while let Some(&[255, verb, option]) = seen.get(answered..).and_then(|rest| rest.first_chunk()) {
            match verb {
                253 => refusals.extend([255, 252, option]),
                251 => refusals.extend([255, 254, option]),
                _ => {}
            }
            answered += 3;
        }
        stream.write_all(&refusals)?;
        let text = seen.get(answered..).unwrap_or_default();
        let holds = |word: &[u8]| text.windows(word.len()).any(|window| window == word);
        match step {
            0 if holds(b"login: ") => {
                stream.write_all(b"root\r\n")?;
                step = 1;
            }
            1 if holds(b"assword: ") => {
                write!(stream, "{number:012}\r\n")?;
                step = 2;
            }
            2 if holds(b"incorrect") => return Ok(()),
            _ => {}
        }
        // Options in the middle of text.
        if let Some(next) = text.iter().position(|byte| *byte == 255).filter(|_| step < 2) {
            answered += next;
        }
    }
}

fn http_login(stream: &mut (impl Read + Write), number: u64) -> io::Result<()> {
    let body = format!("username=root&password={number:012}");
    write!(
        stream,
        "POST /index.html HTTP/1.1\r\nHost: nas\r\nUser-Agent: bench\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if answer.is_empty() => return Err(error),
        _ => {}
    }
    if answer.starts_with(b"HTTP/1.1 200") { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

fn http(port: u16, number: u64) -> io::Result<()> {
    http_login(&mut connect(port)?, number)
}

fn https(port: u16, number: u64) -> io::Result<()> {
    use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
    use std::sync::OnceLock;
    static CONNECTOR: OnceLock<SslConnector> = OnceLock::new();
    let connector = CONNECTOR.get_or_init(|| {
        #[expect(clippy::expect_used, reason = "a tool that cannot have TLS cannot go on")]
        let mut builder = SslConnector::builder(SslMethod::tls_client()).expect("TLS");
        builder.set_verify(SslVerifyMode::NONE);
        builder.build()
    });
    let mut stream = connector.connect("localhost", connect(port)?).map_err(io::Error::other)?;
    http_login(&mut stream, number)
}

/// Handshake response 41 with mysql_native_password (MySQL internals, "Protocol::HandshakeResponse41").
fn mysql(port: u16, number: u64) -> io::Result<()> {
    let mut stream = connect(port)?;
    read_some(&mut stream)?;
    let mut payload = vec![0x85, 0xa6, 0x0f, 0x00, 0, 0, 0, 1, 33];
    payload.extend([0; 23]);
    payload.extend(b"root\0");
    payload.push(20);
    payload.extend(format!("{number:020}").as_bytes());
    payload.extend(b"mysql_native_password\0");
    let length = u8::try_from(payload.len()).unwrap_or_default();
    let mut packet = vec![length, 0, 0, 1];
    packet.extend(payload);
    stream.write_all(&packet)?;
    let answer = read_some(&mut stream)?;
    if answer.get(4) == Some(&0xff) { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}
