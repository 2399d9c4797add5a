//! Whom we trust: the system's certificate authorities and, if one is configured, another one.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

/// The files that a client of TLS may need, all PEM.
#[derive(Debug, Default)]
pub(super) struct Files<'a> {
    /// Authorities besides the system's.
    pub(super) ca: Option<&'a Path>,
    /// Our own certificate and the key to it, for receivers that want one.
    pub(super) own: Option<(&'a Path, &'a Path)>,
}

/// TLS 1.2 and 1.3.
///
/// # Errors
/// The key of the configuration that is to blame, and what was expected.
pub(super) fn client(files: &Files<'_>) -> Result<Arc<ClientConfig>, (&'static str, String)> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    if let Some(path) = files.ca {
        for certificate in chain(path).map_err(|why| ("ca", why))? {
            roots.add(certificate).map_err(|error| ("ca", expected(path, &error)))?;
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| ("transport", error.to_string()))?
        .with_root_certificates(roots);
    let config = match files.own {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = chain(certificate).map_err(|why| ("certificate", why))?;
            let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| ("key", expected(key, &error)))?;
            builder.with_client_auth_cert(chain, secret).map_err(|error| ("key", expected(key, &error)))?
        }
    };
    Ok(Arc::new(config))
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| expected(path, &error))?;
    let certificates: Vec<_> =
        certificates.collect::<Result<_, _>>().map_err(|error| expected(path, &error))?;
    match certificates.is_empty() {
        true => Err(format!("expected a certificate in PEM form in {}", path.display())),
        false => Ok(certificates),
    }
}

fn expected(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("expected a readable PEM file, but {}: {error}", path.display())
}
