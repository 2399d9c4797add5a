//! One TLS conversation over memory buffers.

use std::{
    io::{self, Read, Write},
    sync::{Arc, PoisonError, RwLock},
};

use haldane_core::{TlsFacts, TlsStack};
use openssl::{
    bn::BigNum,
    dh::Dh,
    error::ErrorStack,
    ssl::{
        AlpnError, ErrorCode, Ssl, SslContext, SslContextBuilder, SslMethod, SslMode, SslOptions,
        SslSessionCacheMode, SslStream, SslVersion,
    },
};

use crate::{Identity, hello};

/// Begins conversations. The identity can be renewed while it is in use.
#[derive(Clone)]
pub struct Acceptor {
    context: Arc<RwLock<SslContext>>,
    stack: TlsStack,
    offer: Offer,
}

/// What a server offers, apart from its identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// The one protocol that it agrees to by ALPN; a client that does not offer it goes on without ALPN.
    pub alpn: &'static [u8],
    /// Whether it speaks TLS 1.3.
    pub tls13: bool,
}

impl Offer {
    /// What Apache without HTTP/2 does.
    pub const HTTP: Self = Self { alpn: b"http/1.1", tls13: true };
    /// What Windows Server 2019 does for whoever asks for no protocol.
    pub const WINDOWS: Self = Self { alpn: b"", tls13: false };
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor")
    }
}

/// What was wrong with the peer's side of a handshake, or with a record later: OpenSSL's reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failure(pub String);

/// Every suite that OpenSSL still has and that authenticates the server: a scanner that offers only old ones is
/// seen, too.
const CIPHERS: &str = "DEFAULT:COMPLEMENTOFDEFAULT:!aNULL:!eNULL:@SECLEVEL=0";

/// What Windows Server 2019 has for an RSA key, in its order ("TLS Cipher Suites in Windows Server 2019").
const SCHANNEL: &str = "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:\
    DHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-SHA384:ECDHE-RSA-AES128-SHA256:ECDHE-RSA-AES256-SHA:\
    ECDHE-RSA-AES128-SHA:AES256-GCM-SHA384:AES128-GCM-SHA256:AES256-SHA256:AES128-SHA256:AES256-SHA:AES128-SHA:\
    DES-CBC3-SHA";

/// The same for TLS 1.3, which Windows has since Server 2022.
const SCHANNEL_13: &str = "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256";

/// A ClientHello longer than this is not looked at. RFC 8446 allows more; no client sends it.
const LONGEST_HELLO: usize = 16 * 1024;

impl Acceptor {
    /// An acceptor that shows that identity.
    ///
    /// # Errors
    /// Certificate and key do not fit together.
    pub fn new(identity: &Identity) -> Result<Self, ErrorStack> {
        Self::of(TlsStack::OpenSsl, identity)
    }

    /// An acceptor that shows that identity, and speaks as that stack does.
    ///
    /// # Errors
    /// As [`Acceptor::new`].
    pub fn of(stack: TlsStack, identity: &Identity) -> Result<Self, ErrorStack> {
        let offer = match stack {
            TlsStack::OpenSsl => Offer::HTTP,
            TlsStack::Schannel | TlsStack::Controller => Offer::WINDOWS,
        };
        Self::offering(stack, identity, offer)
    }

    /// As [`Acceptor::of`], with that offer.
    ///
    /// # Errors
    /// As [`Acceptor::new`].
    pub fn offering(stack: TlsStack, identity: &Identity, offer: Offer) -> Result<Self, ErrorStack> {
        Ok(Self { context: Arc::new(RwLock::new(context(stack, identity, offer)?)), stack, offer })
    }

    /// Shows that identity from the next conversation on, if it is another. `Ok(true)`: it is.
    ///
    /// # Errors
    /// As [`Acceptor::new`]; the old one stays then.
    pub fn renew_if_other(&self, identity: &Identity) -> Result<bool, ErrorStack> {
        let same = |context: &SslContext| {
            let shown = context.certificate().and_then(|shown| shown.to_der().ok());
            shown.is_some() && shown == identity.certificate.to_der().ok()
        };
        if same(&self.context.read().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(false);
        }
        let context = context(self.stack, identity, self.offer)?;
        *self.context.write().unwrap_or_else(PoisonError::into_inner) = context;
        Ok(true)
    }

    /// Begins a conversation.
    ///
    /// # Errors
    /// Out of memory.
    pub fn begin(&self) -> Result<Engine, ErrorStack> {
        let ssl = Ssl::new(&self.context.read().unwrap_or_else(PoisonError::into_inner))?;
        let stream = SslStream::new(ssl, Memory::default())?;
        Ok(Engine { stream, first_flight: Some(Vec::new()), facts: None, established: false })
    }
}

fn context(stack: TlsStack, identity: &Identity, offer: Offer) -> Result<SslContext, ErrorStack> {
    let mut builder = SslContextBuilder::new(SslMethod::tls_server())?;
    builder.set_min_proto_version(Some(SslVersion::TLS1))?;
    if !offer.tls13 {
        builder.set_max_proto_version(Some(SslVersion::TLS1_2))?;
    }
    if !offer.alpn.is_empty() {
        builder.set_alpn_select_callback(move |_, offered| agreed(offered, offer.alpn));
    }
    match stack {
        TlsStack::OpenSsl => builder.set_cipher_list(CIPHERS)?,
        TlsStack::Schannel | TlsStack::Controller => {
            builder.set_ciphersuites(SCHANNEL_13)?;
            builder.set_cipher_list(&format!("{SCHANNEL}:@SECLEVEL=0"))?;
            builder.set_groups_list("X25519:P-256:P-384")?;
            builder.set_options(SslOptions::CIPHER_SERVER_PREFERENCE);
            let group = Dh::from_pqg(BigNum::get_rfc3526_prime_2048()?, None, BigNum::from_u32(2)?)?;
            builder.set_tmp_dh(&group)?;
        }
    }
    builder.set_options(SslOptions::NO_RENEGOTIATION | SslOptions::IGNORE_UNEXPECTED_EOF);
    // Idle conversations then keep no record buffers (32 KiB each).
    builder.set_mode(SslMode::RELEASE_BUFFERS);
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    builder.set_certificate(&identity.certificate)?;
    for certificate in &identity.chain {
        builder.add_extra_chain_cert(certificate.clone())?;
    }
    builder.set_private_key(&identity.key)?;
    builder.check_private_key()?;
    Ok(builder.build())
}

/// The protocol that is agreed to, if the client offers it.
fn agreed<'o>(offered: &'o [u8], wanted: &[u8]) -> Result<&'o [u8], AlpnError> {
    let mut rest = offered;
    while let Some((&length, after)) = rest.split_first() {
        let Some((name, after)) = after.split_at_checked(length.into()) else { break };
        if name == wanted {
            return Ok(name);
        }
        rest = after;
    }
    Err(AlpnError::NOACK)
}

/// One conversation. Feed it with [`Engine::receive`], drive it with [`Engine::read`] and [`Engine::write`],
/// send what [`Engine::outgoing`] hands out.
pub struct Engine {
    stream: SslStream<Memory>,
    first_flight: Option<Vec<u8>>,
    facts: Option<Arc<TlsFacts>>,
    established: bool,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("established", &self.established).finish_non_exhaustive()
    }
}

impl Engine {
    /// Takes bytes from the peer.
    pub fn receive(&mut self, bytes: &[u8]) {
        if let Some(first) = &mut self.first_flight {
            first.extend_from_slice(bytes);
            match hello::facts(first) {
                Ok(facts) => {
                    self.facts = Some(Arc::new(facts));
                    self.first_flight = None;
                }
                Err(hello::NoHello::Incomplete) if first.len() < LONGEST_HELLO => {}
                Err(_) => self.first_flight = None,
            }
        }
        self.stream.get_mut().incoming.extend_from_slice(bytes);
    }

    /// Goes on with the handshake and decrypts, appending to `plain`. `Ok(true)`: the peer has closed.
    ///
    /// # Errors
    /// The peer broke the protocol, or there is nothing to agree on. An alert may be in [`Engine::outgoing`].
    pub fn read(&mut self, plain: &mut Vec<u8>) -> Result<bool, Failure> {
        if !self.established && !self.handshake()? {
            return Ok(false);
        }
        let mut buffer = [0; 4096];
        loop {
            match self.stream.ssl_read(&mut buffer) {
                Ok(count) => plain.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                Err(error) => match error.code() {
                    ErrorCode::WANT_READ | ErrorCode::WANT_WRITE => return Ok(false),
                    ErrorCode::ZERO_RETURN => return Ok(true),
                    _ => return Err(failure(&error)),
                },
            }
        }
    }

    /// Encrypts.
    ///
    /// # Errors
    /// The conversation is broken.
    pub fn write(&mut self, plain: &[u8]) -> Result<(), Failure> {
        let mut rest = plain;
        while !rest.is_empty() {
            let written = self.stream.ssl_write(rest).map_err(|error| failure(&error))?;
            rest = rest.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Says goodbye (close_notify).
    pub fn close(&mut self) {
        self.stream.shutdown().ok();
    }

    /// What is to be sent.
    pub fn outgoing(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.stream.get_mut().outgoing)
    }

    /// Whether the handshake is finished.
    pub fn established(&self) -> bool {
        self.established
    }

    /// What the client revealed, as soon as its first message is there.
    pub fn facts(&self) -> Option<&Arc<TlsFacts>> {
        self.facts.as_ref()
    }

    fn handshake(&mut self) -> Result<bool, Failure> {
        match self.stream.accept() {
            Ok(()) => {
                self.established = true;
                let mut facts = self.facts.as_deref().cloned().unwrap_or_default();
                facts.version = self.stream.ssl().version_str().to_owned();
                facts.cipher =
                    self.stream.ssl().current_cipher().map(|cipher| cipher.name()).unwrap_or("").to_owned();
                self.facts = Some(Arc::new(facts));
                Ok(true)
            }
            Err(error) if matches!(error.code(), ErrorCode::WANT_READ | ErrorCode::WANT_WRITE) => Ok(false),
            Err(error) => Err(failure(&error)),
        }
    }
}

fn failure(error: &openssl::ssl::Error) -> Failure {
    let reason = error.ssl_error().and_then(|stack| stack.errors().first()).and_then(|first| first.reason());
    Failure(reason.unwrap_or("connection broken").to_owned())
}

/// Both directions, in memory.
#[derive(Debug, Default)]
struct Memory {
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
}

impl Read for Memory {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.incoming.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = self.incoming.as_slice().read(buffer)?;
        self.incoming.drain(..count);
        if self.incoming.is_empty() {
            self.incoming = Vec::new();
        }
        Ok(count)
    }
}

impl Write for Memory {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.outgoing.extend_from_slice(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use openssl::ssl::{SslConnector, SslVerifyMode};

    use super::*;
    use crate::Names;

    /// What a client of today agrees on with that stack: version, cipher, and the certificate.
    fn agreed(stack: TlsStack) -> (String, String, String) {
        let names = Names { common: "files01.corp.example.com".into() };
        let identity = match stack {
            TlsStack::OpenSsl => Identity::self_signed(&names, Duration::ZERO),
            TlsStack::Schannel => Identity::of_windows(&names, Duration::ZERO),
            TlsStack::Controller => Identity::of_controller(&names, Duration::ZERO),
        };
        let mut engine = Acceptor::of(stack, &identity.unwrap()).unwrap().begin().unwrap();
        let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
        builder.set_verify(SslVerifyMode::NONE);
        let ssl = builder.build().configure().unwrap().into_ssl("files01").unwrap();
        let mut client = SslStream::new(ssl, Memory::default()).unwrap();
        for _ in 0..4 {
            client.connect().ok();
            engine.receive(&std::mem::take(&mut client.get_mut().outgoing));
            engine.read(&mut Vec::new()).unwrap();
            client.get_mut().incoming.extend(engine.outgoing());
        }
        let facts = engine.facts().unwrap();
        let certificate = client.ssl().peer_certificate().unwrap().to_text().unwrap();
        (facts.version.clone(), facts.cipher.clone(), String::from_utf8_lossy(&certificate).into_owned())
    }

    #[test]
    fn windows_has_tls_up_to_1_2_and_a_certificate_of_its_own_kind() {
        let (version, cipher, certificate) = agreed(TlsStack::Schannel);
        assert_eq!((version.as_str(), cipher.as_str()), ("TLSv1.2", "ECDHE-RSA-AES256-GCM-SHA384"));
        for part in [
            "Issuer: CN=files01.corp",
            "Subject: CN=files01.corp",
            "TLS Web Server Authentication",
            "Key Encipherment, Data Encipherment",
            "sha256WithRSAEncryption",
        ] {
            assert!(certificate.contains(part), "{part}: {certificate}");
        }
        assert!(!certificate.contains("Alternative Name") && !certificate.contains("Basic Constraints"));
        assert_eq!(agreed(TlsStack::OpenSsl).0, "TLSv1.3");
    }

    #[test]
    fn a_domain_controller_s_certificate_is_issued_by_its_domain() {
        let (version, _, certificate) = agreed(TlsStack::Controller);
        assert_eq!(version, "TLSv1.2");
        for part in [
            "Issuer: DC=com, DC=example, DC=corp, CN=corp-FILES01-CA",
            "Subject: CN=files01.corp.example.com",
            "TLS Web Client Authentication, TLS Web Server Authentication",
            "Digital Signature, Key Encipherment",
            "DNS:files01.corp.example.com",
            "1.3.6.1.4.1.311.25.1",
            "1.3.6.1.4.1.311.20.2",
        ] {
            assert!(certificate.replace(" = ", "=").contains(part), "{part}: {certificate}");
        }
    }
}
