//! TLS as a client: whom a sink trusts, and how it proves who it is.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use haldane_core::Section;
use rustls::{
    CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme, WantsVerifier,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};

/// What a sink believes of a server's certificate, and its own.
#[derive(Debug)]
pub(crate) struct Trust {
    /// Whether the server's certificate is looked at; without it, encryption hides from listeners only.
    verify: bool,
    /// The only authorities; `None` for those of this machine.
    authorities: Option<Vec<CertificateDer<'static>>>,
    /// For servers that ask for a client's certificate.
    identity: Option<Identity>,
    files: Files,
}

/// Where all of it comes from, in PEM form.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// The only authorities to trust: a file, or a folder of files.
    pub(crate) authorities: Option<PathBuf>,
    /// Our certificate and its key, which may be one file.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
}

/// A certificate with its key.
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("chain", &self.chain.len()).finish_non_exhaustive()
    }
}

impl Identity {
    fn read(certificate: &Path, key: &Path) -> Result<Self, String> {
        let chain = certificates(certificate)?;
        let key = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| format!("a private key in PEM form ({}: {error})", key.display()))?;
        // Whether they belong together.
        match builder(&Arc::new(ring::default_provider()))
            .map(|builder| builder.with_root_certificates(RootCertStore::empty()))?
            .with_client_auth_cert(chain.clone(), key.clone_key())
        {
            Ok(_) => Ok(Self { chain, key }),
            Err(error) => Err(format!("a certificate with its own key ({error})")),
        }
    }
}

/// The certificates in a PEM file, or in the files of a folder. Fails in words that follow "expected …".
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = match path.is_dir() {
        true => rustls_native_certs::load_certs_from_paths(None, Some(path)),
        false => rustls_native_certs::load_certs_from_paths(Some(path), None),
    };
    match (found.certs.is_empty(), found.errors.first()) {
        (false, _) => Ok(found.certs),
        (true, Some(error)) => Err(format!("a file of certificates in PEM form ({error})")),
        (true, None) => Err(format!("a file of certificates in PEM form (none in {})", path.display())),
    }
}

impl Trust {
    /// Reads `ca`, `verify`, `client_certificate` and `client_key`.
    pub(crate) fn configure(section: &mut Section<'_>) -> Self {
        let authorities =
            section.path("ca", "The only authorities to trust (PEM); without it, those of this machine.");
        let verify = section.flag("verify", true, "Whether the server's certificate must be a trusted one.");
        let certificate =
            section.path("client_certificate", "Our own certificate (PEM), if the server asks.");
        let key = section.path("client_key", "Its key; if left out, it stands in the certificate's file.");
        let identity = certificate.map(|certificate| (certificate.clone(), key.unwrap_or(certificate)));
        Self::read(section, verify, Files { authorities, identity }, ("ca", "client_certificate"))
    }

    /// Reads the files at once, while the program may still read them. `keys` are those of the configuration
    /// for the authorities and for our certificate.
    pub(crate) fn read(section: &mut Section<'_>, verify: bool, files: Files, keys: (&str, &str)) -> Self {
        let mut trust = Self { verify, authorities: None, identity: None, files };
        for (key, expected) in trust.reread(keys) {
            section.invalid(key, format!("expected {expected}"));
        }
        trust
    }

    /// Reads the files anew; what cannot be read stays as it was. Returns the key of the configuration and
    /// what was expected, for each that failed.
    fn reread<'k>(&mut self, keys: (&'k str, &'k str)) -> Vec<(&'k str, String)> {
        let mut failed = Vec::new();
        match self.files.authorities.as_deref().map(certificates) {
            None => {}
            Some(Ok(found)) => self.authorities = Some(found),
            Some(Err(expected)) => failed.push((keys.0, expected)),
        }
        match self.files.identity.as_ref().map(|(certificate, key)| Identity::read(certificate, key)) {
            None => {}
            Some(Ok(found)) => self.identity = Some(found),
            Some(Err(expected)) => failed.push((keys.1, expected)),
        }
        failed
    }

    /// For [`crate::Sink::reopen`]: certificates are renewed while the program runs.
    pub(crate) fn renew(&mut self) {
        for (_, expected) in self.reread(("", "")) {
            tracing::warn!("a file is not read anew: expected {expected}");
        }
    }

    /// For rustls.
    ///
    /// # Errors
    /// In words for the operator.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, String> {
        let provider = Arc::new(ring::default_provider());
        let builder = builder(&provider)?;
        let builder = match self.verify {
            true => {
                let mut store = RootCertStore::empty();
                store.add_parsable_certificates(self.roots()?);
                builder.with_root_certificates(store)
            }
            false => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider))),
        };
        let config = match &self.identity {
            Some(own) => builder.with_client_auth_cert(own.chain.clone(), own.key.clone_key()),
            None => Ok(builder.with_no_client_auth()),
        };
        config.map(Arc::new).map_err(|error| error.to_string())
    }

    /// Whether the far end's certificate is looked at.
    pub(crate) fn verifies(&self) -> bool {
        self.verify
    }

    fn roots(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        if let Some(own) = &self.authorities {
            return Ok(own.clone());
        }
        let found = rustls_native_certs::load_native_certs().certs;
        match found.is_empty() {
            false => Ok(found),
            true => {
                Err("this machine has no list of certificate authorities: install ca-certificates, or name \
                         a file of your own in the configuration"
                    .into())
            }
        }
    }
}

fn builder(provider: &Arc<CryptoProvider>) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, String> {
    ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())
}

/// What the operator can do about a failed handshake; `None` if it did not fail over TLS. `authority` is the
/// key that names the operator's own authorities.
pub(crate) fn advice(error: &(dyn std::error::Error + 'static), authority: &str) -> Option<String> {
    let trust = format!("name the file of its authority in `{authority}`, or set `verify = false`");
    Some(match tls_error(error)? {
        Error::InvalidCertificate(reason) => match reason {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                format!("its certificate is from an authority that is not trusted here: {trust}")
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!(
                    "its certificate is for another name ({reason}): use a name that the certificate holds"
                )
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!("its certificate has expired, or this machine's clock is wrong ({reason})")
            }
            reason => format!("its certificate is not accepted ({reason}): {trust}"),
        },
        Error::InvalidMessage(_) => "it does not speak TLS on this port".into(),
        Error::AlertReceived(alert) => format!("it ended the TLS handshake with the alert {alert:?}"),
        other => format!("the TLS handshake failed ({other})"),
    })
}

/// The error of rustls somewhere inside.
pub(crate) fn tls_error<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Error> {
    let mut next = Some(error);
    for _ in 0..8 {
        let error = next?;
        if let Some(found) = error.downcast_ref::<Error>() {
            return Some(found);
        }
        next = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// Accepts every certificate; the handshake itself must still be right.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
