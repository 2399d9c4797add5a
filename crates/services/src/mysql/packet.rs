//! The grammar: packets, the greeting, what a client answers to it, and what we say to that.
//!
//! MySQL Client/Server Protocol, "Connection Phase": Protocol::HandshakeV10, Protocol::SSLRequest,
//! Protocol::HandshakeResponse41 and 320, Protocol::AuthSwitchRequest, ERR_Packet, OK_Packet; MariaDB Knowledge Base,
//! "Connecting". What a real server does with packets that break it was measured with MariaDB 10.11.19.

use haldane_core::{Halt, Input};

use super::persona::Persona;

/// The name of the plugin that answers with SHA-1.
pub const NATIVE: &str = "mysql_native_password";
/// The name of the plugin that answers with SHA-256.
pub const CACHING_SHA2: &str = "caching_sha2_password";
/// The name of the plugin that sends the password itself.
pub const CLEAR: &str = "mysql_clear_password";
/// The name of the plugin that answers with the hash of MySQL 3.23.
pub const OLD: &str = "mysql_old_password";
/// The name of the plugin that sends the password itself inside TLS.
pub const SHA256: &str = "sha256_password";

/// Bits that a client sets.
#[derive(Debug)]
pub struct Capabilities;

impl Capabilities {
    /// A database follows.
    pub const CONNECT_WITH_DB: u32 = 1 << 3;
    /// The protocol of 4.1 and later.
    pub const PROTOCOL_41: u32 = 1 << 9;
    /// TLS comes next.
    pub const SSL: u32 = 1 << 11;
    /// The answer has a length in front.
    pub const SECURE_CONNECTION: u32 = 1 << 15;
    /// A plugin's name follows.
    pub const PLUGIN_AUTH: u32 = 1 << 19;
    /// Attributes of the client follow.
    pub const CONNECT_ATTRS: u32 = 1 << 20;
    /// That length is a length-encoded integer.
    pub const PLUGIN_AUTH_LENENC: u32 = 1 << 21;
    /// The client may check the certificate.
    pub const SSL_VERIFY: u32 = 1 << 30;
}

/// Most attributes of a client that are kept.
const ATTRIBUTES: usize = 64;

/// The client's first packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum First {
    /// TLS comes next.
    SslRequest,
    /// A login.
    Login(Box<Login>),
    /// What a real server answers with "Bad handshake".
    Bad {
        /// The client speaks the protocol of 4.1, so errors have an SQL state.
        modern: bool,
    },
}

/// What a client says who it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Login {
    /// It speaks the protocol of 4.1.
    pub modern: bool,
    /// What it can do.
    pub capabilities: u32,
    /// What the server can do, too.
    pub offered: u32,
    /// The longest packet that it takes.
    pub max_packet: u32,
    /// The collation that it wants.
    pub charset: u8,
    /// Its name.
    pub user: Vec<u8>,
    /// Its answer to our salt.
    pub answer: Vec<u8>,
    /// The database that it wants.
    pub database: Option<Vec<u8>>,
    /// The plugin that made the answer.
    pub plugin: Option<Vec<u8>>,
    /// What it says about itself, in its order.
    pub attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Login {
    /// Whether both sides set that bit.
    pub fn can(&self, bit: u32) -> bool {
        self.capabilities & self.offered & bit != 0
    }

    /// The attribute of that name.
    pub fn attribute(&self, name: &str) -> Option<&[u8]> {
        let named = |(key, _): &&(Vec<u8>, Vec<u8>)| key == name.as_bytes();
        self.attributes.iter().find(named).map(|(_, value)| value.as_slice())
    }
}

/// Reads the client's first packet, as a server with those capabilities understands it. `ssl`: TLS is offered and
/// not yet there.
pub fn first(body: &[u8], offered: u32, ssl: bool) -> First {
    // To whom says nothing yet, a server speaks as to a client of 4.1.
    let modern = body.get(1).is_none_or(|byte| byte & 2 != 0);
    if body.len() < 6 {
        return First::Bad { modern };
    }
    let mut input = Input::whole(body);
    let login = if modern { login(&mut input, offered) } else { old_login(&mut input) };
    match login {
        Ok(login) => First::Login(Box::new(login)),
        Err(_) if ssl && modern && body.len() >= 32 && body.get(1).is_some_and(|byte| byte & 8 != 0) => {
            First::SslRequest
        }
        Err(_) => First::Bad { modern },
    }
}

/// Protocol::HandshakeResponse41.
fn login(input: &mut Input<'_>, offered: u32) -> Result<Login, Halt> {
    let capabilities = input.u32_le()?;
    let max_packet = input.u32_le()?;
    let charset = input.u8()?;
    input.take(23)?;
    // Clients set bits that were not offered, and send nothing for them.
    let mut login = Login { modern: true, capabilities, offered, max_packet, charset, ..Login::default() };
    login.user = input.until(0, usize::MAX)?.to_vec();
    login.answer = if login.can(Capabilities::PLUGIN_AUTH_LENENC) {
        let length = length(input)?;
        input.take(length)?.to_vec()
    } else if login.can(Capabilities::SECURE_CONNECTION) {
        let length = input.u8()?;
        input.take(length.into())?.to_vec()
    } else {
        text(input)
    };
    if login.can(Capabilities::CONNECT_WITH_DB) {
        input.peek()?;
        login.database = Some(text(input));
    }
    if login.can(Capabilities::PLUGIN_AUTH) && !input.is_empty() {
        login.plugin = Some(text(input));
    }
    if login.can(Capabilities::CONNECT_ATTRS) {
        let all = length(input)?;
        login.attributes = attributes(&mut input.frame(all)?);
    }
    Ok(login)
}

/// Protocol::HandshakeResponse320: before 4.1.
fn old_login(input: &mut Input<'_>) -> Result<Login, Halt> {
    let capabilities = u32::from(input.u16_le()?);
    let max_packet = input.u24_le()?;
    let mut login = Login { capabilities, offered: u32::MAX, max_packet, ..Login::default() };
    login.user = input.until(0, usize::MAX)?.to_vec();
    login.answer = if login.can(Capabilities::SECURE_CONNECTION) {
        let length = input.u8()?;
        input.take(length.into())?.to_vec()
    } else {
        text(input)
    };
    if login.can(Capabilities::CONNECT_WITH_DB) && !input.is_empty() {
        login.database = Some(text(input));
    }
    Ok(login)
}

/// Text up to a NUL, or to the end.
fn text(input: &mut Input<'_>) -> Vec<u8> {
    input.until(0, usize::MAX).unwrap_or_else(|_| input.take_rest()).to_vec()
}

/// As many whole pairs as there are: a server does not look at them more closely.
fn attributes(input: &mut Input<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs = Vec::new();
    while pairs.len() < ATTRIBUTES && !input.is_empty() {
        let mut word = || {
            let length = length(input)?;
            input.take(length).map(<[u8]>::to_vec)
        };
        let (Ok(key), Ok(value)) = (word(), word()) else { break };
        pairs.push((key, value));
    }
    pairs
}

/// A length-encoded integer that counts bytes of the same packet.
fn length(input: &mut Input<'_>) -> Result<usize, Halt> {
    match input.u8()? {
        short @ 0..=250 => Ok(short.into()),
        252 => input.u16_le().map(usize::from),
        253 => input.u24_le()?.try_into().map_err(|_| Halt::Malformed("length overflow")),
        // 251 is NULL, 254 counts more than a packet holds, 255 is none.
        _ => Err(Halt::Malformed("no length")),
    }
}

/// Protocol::HandshakeV10, without its header.
pub fn greeting(persona: &Persona, thread: u32, salt: &[u8; 20]) -> Vec<u8> {
    let [low, low2, high, high2] = persona.capabilities.to_le_bytes();
    let (front, back) = salt.split_at(8);
    [
        &[10],
        persona.version.as_bytes(),
        &[0],
        &thread.to_le_bytes(),
        front,
        &[0, low, low2, persona.charset],
        // SERVER_STATUS_AUTOCOMMIT; then the bytes of both halves of the salt and its NUL.
        &[2, 0, high, high2, 21],
        &[0; 6],
        &persona.extended.to_le_bytes(),
        back,
        &[0],
        persona.account.plugin().as_bytes(),
        &[0],
    ]
    .concat()
}

/// Protocol::AuthSwitchRequest.
pub fn switch(plugin: &str, salt: &[u8; 20]) -> Vec<u8> {
    [&[0xfe], plugin.as_bytes(), &[0], salt, &[0]].concat()
}

/// ERR_Packet; a client older than 4.1 gets no SQL state.
pub fn error(code: u16, state: Option<&str>, message: &[u8]) -> Vec<u8> {
    let mark: &[u8] = if state.is_some() { b"#" } else { b"" };
    [&[0xff], &code.to_le_bytes()[..], mark, state.unwrap_or_default().as_bytes(), message].concat()
}

/// OK_Packet with nothing changed; a client older than 4.1 gets no warnings.
pub fn ok(modern: bool) -> Vec<u8> {
    match modern {
        true => vec![0, 0, 0, 2, 0, 0, 0],
        false => vec![0, 0, 0],
    }
}
