//! TLS as a client: whom a sink trusts, and how it proves who it is.

use std::{fmt, path::Path, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use haldane_core::Section;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};

/// What a sink believes of a server's certificate, and its own.
#[derive(Debug)]
pub(crate) struct Trust {
    /// Whether the server's certificate is looked at; without it, encryption hides from listeners only.
    pub(crate) verify: bool,
    /// The only authorities; `None` for those of this machine.
    pub(crate) authorities: Option<Vec<CertificateDer<'static>>>,
    /// For servers that ask for a client's certificate.
    pub(crate) identity: Option<Identity>,
}

/// A certificate with its key.
pub(crate) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("chain", &self.chain.len()).finish_non_exhaustive()
    }
}

impl Identity {
    /// Reads both from PEM files and checks that they belong together.
    ///
    /// # Errors
    /// In words that follow "expected …".
    pub(crate) fn read(certificate: &Path, key: &Path) -> Result<Self, String> {
        let chain = certificates(certificate)?;
        let key = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| format!("a private key in PEM form ({}: {error})", key.display()))?;
        let identity = Self { chain, key };
        let trust = Trust { verify: true, authorities: Some(Vec::new()), identity: Some(identity) };
        match (trust.config(), trust.identity) {
            (Ok(_), Some(identity)) => Ok(identity),
            (Err(error), _) => Err(format!("a certificate with its own key ({error})")),
            (Ok(_), None) => Err("a certificate".into()),
        }
    }

    /// The key in the only form that ureq takes.
    fn pem(&self) -> String {
        let name = match self.key {
            PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
            PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
            _ => "PRIVATE KEY",
        };
        let text = BASE64_STANDARD.encode(self.key.secret_der());
        format!("-----BEGIN {name}-----\n{text}\n-----END {name}-----\n")
    }
}

/// The certificates in a PEM file, or in the files of a folder.
///
/// # Errors
/// In words that follow "expected …".
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
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
    /// Reads `ca`, `verify`, `client_certificate` and `client_key`. The files are read at once, while the
    /// program may still read them.
    pub(crate) fn configure(section: &mut Section<'_>) -> Self {
        let ca =
            section.path("ca", "The only authorities to trust (PEM); without it, those of this machine.");
        let verify = section.flag("verify", true, "Whether the server's certificate must be a trusted one.");
        let certificate =
            section.path("client_certificate", "Our own certificate (PEM), if the server asks.");
        let key = section.path("client_key", "Its key; if left out, it stands in the certificate's file.");
        let authorities = ca.and_then(|path| match certificates(&path) {
            Ok(found) => Some(found),
            Err(expected) => {
                section.invalid("ca", format!("expected {expected}"));
                None
            }
        });
        let identity = certificate.and_then(|certificate| {
            let key = key.as_ref().unwrap_or(&certificate);
            match Identity::read(&certificate, key) {
                Ok(identity) => Some(identity),
                Err(expected) => {
                    section.invalid("client_certificate", format!("expected {expected}"));
                    None
                }
            }
        });
        Self { verify, authorities, identity }
    }

    /// For rustls.
    ///
    /// # Errors
    /// In words for the operator.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, String> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
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

    /// For ureq, which makes rustls' own form of it.
    ///
    /// # Errors
    /// In words for the operator.
    pub(crate) fn ureq(&self) -> Result<ureq::tls::TlsConfig, String> {
        use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};
        let owned = |der: &CertificateDer<'static>| Certificate::from_der(der).to_owned();
        let roots = match self.verify {
            true => self.roots()?.iter().map(owned).collect(),
            false => Vec::new(),
        };
        let identity = match &self.identity {
            None => None,
            Some(own) => {
                let key = PrivateKey::from_pem(own.pem().as_bytes()).map_err(|error| error.to_string())?;
                let chain: Vec<_> = own.chain.iter().map(owned).collect();
                Some(ClientCert::new_with_certs(&chain, key))
            }
        };
        Ok(TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .client_cert(identity)
            .disable_verification(!self.verify)
            .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
            .build())
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
