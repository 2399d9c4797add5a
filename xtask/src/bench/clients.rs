//! The shortest client of each protocol: one connection, one login, the answer read to its end.

use std::{
    io::{self, Read, Write},
    net::{TcpStream, UdpSocket},
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
    /// Whether it is spoken in datagrams. The peer answers none of those that it takes.
    pub datagrams: bool,
}

const PLAIN: Service =
    Service { name: "", client: Client::Paramiko, logtype: 0, peer: true, settings: "", datagrams: false };

/// All of them.
#[rustfmt::skip]
pub const SERVICES: &[Service] = &[
    Service { name: "ftp", client: Client::Ours(ftp), logtype: 2000, settings: "login_delay = 0\n", ..PLAIN },
    Service { name: "telnet", client: Client::Ours(telnet), logtype: 6001, peer: false, settings: "login_delay = 0\n", ..PLAIN },
    Service { name: "http", client: Client::Ours(http), logtype: 3001, settings: "skin = \"basicLogin\"\n", ..PLAIN },
    Service { name: "https", client: Client::Ours(https), logtype: 3001, settings: "skin = \"basicLogin\"\n", ..PLAIN },
    Service { name: "ssh", client: Client::Paramiko, logtype: 4002, settings: "login_delay = 0\n", ..PLAIN },
    Service { name: "mysql", client: Client::Ours(mysql), logtype: 8001, ..PLAIN },
    Service { name: "redis", client: Client::Ours(redis), logtype: 17001, ..PLAIN },
    Service { name: "git", client: Client::Ours(git), logtype: 16001, ..PLAIN },
    Service { name: "httpproxy", client: Client::Ours(httpproxy), logtype: 7001, ..PLAIN },
    Service { name: "mongodb", client: Client::Ours(mongodb), logtype: 20001, ..PLAIN },
    Service { name: "vnc", client: Client::Ours(vnc), logtype: 12001, settings: "back_off = false\nlogin_delay = 0\n", ..PLAIN },
    Service { name: "smb", client: Client::Ours(smb), logtype: 31_900, peer: false, ..PLAIN },
    Service { name: "rdp", client: Client::Ours(rdp), logtype: 14001, ..PLAIN },
    Service { name: "mssql", client: Client::Ours(mssql), logtype: 9001, settings: "version = \"2012\"\n", ..PLAIN },
    Service { name: "winrm", client: Client::Ours(winrm), logtype: 32300, peer: false, ..PLAIN },
    Service { name: "ldap", client: Client::Ours(ldap), logtype: 32200, peer: false, settings: "transport = \"tcp\"\n", ..PLAIN },
    Service { name: "sip", client: Client::Ours(sip), logtype: 15001, datagrams: true, ..PLAIN },
    Service { name: "snmp", client: Client::Ours(snmp), logtype: 13001, datagrams: true, ..PLAIN },
    Service { name: "tftp", client: Client::Ours(tftp), logtype: 10001, datagrams: true, ..PLAIN },
    Service { name: "ntp", client: Client::Ours(ntp), logtype: 31200, datagrams: true, ..PLAIN },
];

/// From an address of loopback that is this thread's own: the ports of one would be used up in a second.
fn connect(port: u16) -> io::Result<TcpStream> {
    use socket2::{Domain, Socket, Type};
    use std::{
        net::SocketAddr,
        sync::atomic::{AtomicU8, Ordering},
    };
    static THREADS: AtomicU8 = AtomicU8::new(0);
    thread_local! {
        static OWN: u8 = THREADS.fetch_add(1, Ordering::Relaxed) % 250 + 1;
    }
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from(([127, 0, 1, OWN.with(|own| *own)], 0)).into())?;
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into())?;
    let stream = TcpStream::from(socket);
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

/// A pkt-line with a request (gitprotocol-pack(5), "Git Transport").
fn git(port: u16, number: u64) -> io::Result<()> {
    let mut stream = connect(port)?;
    let request = format!("git-upload-pack /{number:012}.git\0host=localhost\0");
    write!(stream, "{:04x}{request}", request.len().saturating_add(4))?;
    expect(&read_some(&mut stream)?, b"ERR")
}

fn httpproxy(port: u16, number: u64) -> io::Result<()> {
    let mut stream = connect(port)?;
    let credentials = openssl::base64::encode_block(format!("root:{number:010}").as_bytes());
    write!(
        stream,
        "GET http://example.invalid/ HTTP/1.1\r\nHost: example.invalid\r\nProxy-Authorization: Basic {credentials}\r\n\
         Connection: close\r\n\r\n"
    )?;
    expect(&read_until(&mut stream, b"\r\n\r\n")?, b" 407 ")
}

/// `saslStart` with PLAIN in an OP_MSG (MongoDB wire protocol).
fn mongodb(port: u16, number: u64) -> io::Result<()> {
    let mut stream = connect(port)?;
    let payload = format!("\0root\0{number:012}");
    let mut document = b"\x10saslStart\0\x01\0\0\0\x02mechanism\0\x06\0\0\0PLAIN\0\x05payload\0".to_vec();
    document.extend(length(payload.len()));
    document.push(0);
    document.extend(payload.as_bytes());
    document.extend(b"\x02$db\0\x0a\0\0\0$external\0\0");
    let mut message = length(document.len().saturating_add(25)).to_vec();
    message.extend([1, 0, 0, 0, 0, 0, 0, 0, 0xdd, 0x07, 0, 0, 0, 0, 0, 0, 0]);
    message.extend(length(document.len().saturating_add(4)));
    message.extend(document);
    stream.write_all(&message)?;
    expect(&read_some(&mut stream)?, b"errmsg")
}

/// A length as BSON has it: 32 bits, little-endian.
fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or_default().to_le_bytes()
}

/// A password in clear, and the refusal with its reason.
fn ldap(port: u16, number: u64) -> io::Result<()> {
    let mut stream = connect(port)?;
    let password = format!("{number:012}");
    let login = b"0\x23\x02\x01\x01\x60\x1e\x02\x01\x03\x04\x0bcn=root,o=a\x80\x0c";
    stream.write_all(&[&login[..], password.as_bytes()].concat())?;
    read_until(&mut stream, b"AcceptSecurityContext error").map(drop)
}

/// RFC 6143, sections 7.1 and 7.2.2.
fn vnc(port: u16, number: u64) -> io::Result<()> {
    let mut stream = connect(port)?;
    stream.read_exact(&mut [0; 12])?;
    stream.write_all(b"RFB 003.008\n")?;
    stream.read_exact(&mut [0; 2])?;
    stream.write_all(&[2])?;
    stream.read_exact(&mut [0; 16])?;
    write!(stream, "{number:016}")?;
    stream.read_exact(&mut [0; 4])
}

/// MS-SMB2: negotiation, and a session with NTLM (MS-NLMP) whose answer is made up.
fn smb(port: u16, number: u64) -> io::Result<()> {
    let mut stream = connect(port)?;
    let mut ask = |command: u8, id: u8, session: &[u8; 8], body: &[u8]| -> io::Result<Vec<u8>> {
        let mut message = b"\xfeSMB\x40\0\0\0\0\0\0\0".to_vec();
        message.extend([command, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, id, 0, 0, 0, 0, 0, 0, 0]);
        message.extend([0; 8]);
        message.extend(session);
        message.extend([0; 16]);
        message.extend(body);
        stream.write_all(&u32::try_from(message.len()).unwrap_or_default().to_be_bytes())?;
        stream.write_all(&message)?;
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut answer = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap_or_default()];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    };
    let negotiate = [&[36, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0][..], &[0; 24], &[0x10, 2]].concat();
    ask(0, 0, &[0; 8], &negotiate)?;
    let setup = |token: &[u8]| {
        let length = u16::try_from(token.len()).unwrap_or_default().to_le_bytes();
        [&[25, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 88, 0][..], &length, &[0; 8], token].concat()
    };
    let first = b"NTLMSSP\0\x01\0\0\0\x07\x82\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let challenged = ask(1, 1, &[0; 8], &setup(first))?;
    let session =
        challenged.get(40..48).and_then(|id| id.try_into().ok()).ok_or(io::ErrorKind::InvalidData)?;
    let answer = [&number.to_le_bytes()[..], &[7; 40]].concat();
    let mut last = b"NTLMSSP\0\x03\0\0\0".to_vec();
    // Length, room and place of: the old answer, the answer, domain, user, workstation, key.
    for (length, at) in [(0, 64), (48, 66), (0, 64), (2, 64), (0, 64), (0, 64)] {
        last.extend([length, 0, length, 0, at, 0, 0, 0]);
    }
    last.extend([0x07, 0x82, 0x08, 0]);
    last.extend(b"e\0");
    last.extend(answer);
    expect(&ask(1, 2, session, &setup(&last))?, &[0x6d, 0, 0, 0xc0])
}

/// The first packet, with a cookie (MS-RDPBCGR, section 2.2.1.1): all that the peer takes.
fn rdp(port: u16, number: u64) -> io::Result<()> {
    let mut stream = connect(port)?;
    let mut packet = b"\x03\0\0\x32\x2d\xe0\0\0\0\0\0".to_vec();
    packet.extend(format!("Cookie: mstshash={number:012}\r\n").as_bytes());
    packet.extend(b"\x01\0\x08\0\x03\0\0\0");
    stream.write_all(&packet)?;
    let answer = read_some(&mut stream)?;
    if answer.starts_with(b"\x03\0\0\x13") { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// A login without encryption, in TDS 7.1 (MS-TDS, section 2.2.6.4).
fn mssql(port: u16, number: u64) -> io::Result<()> {
    let mut stream = connect(port)?;
    let packet = |kind: u8, body: &[u8]| {
        let length = u16::try_from(body.len().saturating_add(8)).unwrap_or_default().to_be_bytes();
        [&[kind, 1][..], &length, &[0, 0, 1, 0], body].concat()
    };
    // The options of nmap's probe, but for its encryption: none.
    let mut body =
        b"\0\0\x15\0\x06\x01\0\x1b\0\x01\x02\0\x1c\0\x0c\x03\0\x28\0\x04\xff\x08\0\x01U\0\0\x02".to_vec();
    body.extend(b"MSSQLServer\0H\x0f\0\0");
    stream.write_all(&packet(0x12, &body))?;
    read_some(&mut stream)?;
    let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let (user, password) = (wide("sa"), wide(&format!("{number:012}")));
    let password: Vec<u8> = password.iter().map(|byte| byte.rotate_left(4) ^ 0xa5).collect();
    // Length, version, and nothing of the rest; then where each text is, and its length in characters.
    let mut login = vec![114, 0, 0, 0, 1, 0, 0, 0x71, 0, 0x10];
    login.resize(36, 0);
    for (at, length) in
        [(86, 0), (86, 2), (90, 12), (114, 0), (114, 0), (114, 0), (114, 0), (114, 0), (114, 0)]
    {
        login.extend([at, 0, length, 0]);
    }
    login.resize(86, 0);
    login.extend([user, password].concat());
    stream.write_all(&packet(0x10, &login))?;
    expect(&read_some(&mut stream)?, &wide("Login failed for user"))
}

fn winrm(port: u16, number: u64) -> io::Result<()> {
    let mut stream = connect(port)?;
    let credentials = openssl::base64::encode_block(format!("root:{number:010}").as_bytes());
    write!(
        stream,
        "POST /wsman HTTP/1.1\r\nHost: nas\r\nAuthorization: Basic {credentials}\r\nContent-Length: 0\r\n\r\n"
    )?;
    expect(&read_until(&mut stream, b"\r\n\r\n")?, b" 401 ")
}

fn expect(answer: &[u8], part: &[u8]) -> io::Result<()> {
    let holds = answer.windows(part.len()).any(|window| window == part);
    if holds { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// One datagram to a service and one from it, whatever port that comes from.
fn ask(port: u16, request: &[u8]) -> io::Result<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    socket.send_to(request, ("127.0.0.1", port))?;
    let mut buffer = [0; 2048];
    let (count, _) = socket.recv_from(&mut buffer)?;
    Ok(buffer.get(..count).unwrap_or_default().to_vec())
}

fn sip(port: u16, number: u64) -> io::Result<()> {
    let request = format!(
        "OPTIONS sip:100@localhost SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK{number:012};rport\r\n\
         From: <sip:eve@localhost>;tag={number}\r\nTo: <sip:100@localhost>\r\nCall-ID: {number}\r\nCSeq: 1 OPTIONS\r\n\
         Max-Forwards: 70\r\nUser-Agent: bench\r\nSubject: {}\r\n\
         Content-Length: 0\r\n\r\n",
        // No answer is longer, so that the budget of a source does not run out.
        "x".repeat(600)
    );
    expect(&ask(port, request.as_bytes())?, b"SIP/2.0 ")
}

/// GET of a private object that is not there, with version 2c (RFC 3416, section 4.2.1): its answer is as long as the
/// request, so that the budget of a source does not run out.
fn snmp(port: u16, number: u64) -> io::Result<()> {
    let [.., a, b, c] = number.to_be_bytes();
    let mut request = b"\x30\x29\x02\x01\x01\x04\x06public\xa0\x1c\x02\x04\x01".to_vec();
    request.extend([a, b, c]);
    request.extend(b"\x02\x01\0\x02\x01\0\x30\x0e\x30\x0c\x06\x08+\x06\x01\x04\x01");
    request.extend([0x80 | (b & 0x7f), 0x80 | (c & 0x7f), 1]);
    request.extend([5, 0]);
    expect(&ask(port, &request)?, b"public")
}

fn tftp(port: u16, number: u64) -> io::Result<()> {
    expect(&ask(port, format!("\0\x01{number:012}\0octet\0").as_bytes())?, b"\0\x05")
}

/// A client's request, version 4 (RFC 5905, section 7.3).
fn ntp(port: u16, number: u64) -> io::Result<()> {
    let mut request = [0; 48];
    request[0] = 0x23;
    request[40..].copy_from_slice(&number.to_be_bytes());
    let answer = ask(port, &request)?;
    if answer.get(24..32) == Some(&number.to_be_bytes()[..]) {
        Ok(())
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}
