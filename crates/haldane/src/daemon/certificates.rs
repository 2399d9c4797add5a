//! The certificates that decoys show: the operator's, or made, kept, and renewed before they end.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use haldane_core::{Keep, TlsStack};
use haldane_net::report::System;
use haldane_tls::{Acceptor, Identity, Names};

use crate::config::{TlsSettings, keep::write_aside};

/// A self-made certificate that ends sooner than this is replaced.
const RENEWAL: Duration = Duration::from_secs(30 * 86_400);
/// A new certificate claims an age up to this: not every canary's is as old as its installation.
const OLDEST: u32 = 400;
/// The same for Windows', which lasts half a year.
const OLDEST_OF_WINDOWS: u32 = 150;

/// Where a service's identity comes from, so that it can be had again when it ends.
#[derive(Debug)]
pub struct Certificate {
    settings: TlsSettings,
    /// What is in use.
    pub acceptor: Acceptor,
}

impl Certificate {
    /// Loads the service's identity, or makes and keeps it.
    ///
    /// # Errors
    /// In words for the operator, with the path.
    pub fn load(settings: &TlsSettings, state_folder: &Path, keep: &dyn Keep) -> Result<Self, String> {
        let identity = identity(settings, state_folder, keep)?;
        let acceptor =
            Acceptor::of(settings.stack, &identity).map_err(|error| match &settings.certificate {
                Some(path) => format!("{} and its key do not fit together: {error}", path.display()),
                None => error.to_string(),
            })?;
        Ok(Self { settings: settings.clone(), acceptor })
    }

    /// Looks whether the identity ends soon, and replaces it if it was made here. An operator's certificate is
    /// read again, so that a renewed file is taken up. `Ok(true)`: another one is shown from now on.
    ///
    /// # Errors
    /// In words for the operator; the old one stays.
    pub fn renew(&self, state_folder: &Path, keep: &dyn Keep) -> Result<bool, String> {
        let current = identity(&self.settings, state_folder, keep)?;
        self.acceptor.renew_if_other(&current).map_err(|error| error.to_string())
    }
}

fn identity(settings: &TlsSettings, state_folder: &Path, keep: &dyn Keep) -> Result<Identity, String> {
    match (&settings.certificate, &settings.key) {
        (Some(certificate), Some(key)) => from_files(certificate, key, settings),
        _ => kept(settings, state_folder, keep),
    }
}

fn from_files(certificate: &Path, key: &Path, settings: &TlsSettings) -> Result<Identity, String> {
    let missing = |path: &Path| !path.exists();
    if missing(certificate) && missing(key) {
        let made = made(settings)?;
        write(certificate, key, &made)?;
        return Ok(made);
    }
    let identity = read(certificate, key)?;
    // An operator's own may end as it likes, as that of the machine that is imitated may.
    if identity.is_ours() && identity.ends_within(RENEWAL) {
        let made = made(settings)?;
        match write(certificate, key, &made) {
            Ok(()) => return Ok(made),
            // It still serves for a while.
            Err(why) => tracing::warn!("a certificate that ends soon stays: {why}"),
        }
    }
    Ok(identity)
}

fn kept(settings: &TlsSettings, state_folder: &Path, keep: &dyn Keep) -> Result<Identity, String> {
    let name = format!("{}.pem", file_name(settings).display());
    let mut make = || {
        let made = made(settings)?;
        let mut both = pem(made.certificate_pem())?;
        both.extend(pem(made.key_pem())?);
        Ok(both)
    };
    let path = state_folder.join(&name);
    let read = |both: Vec<u8>| {
        Identity::from_pem(&both, &both)
            .map_err(|error| format!("{} is not a certificate with its key: {error}", path.display()))
    };
    let identity = read(keep.keep(None, &name, &mut make)?)?;
    if !identity.ends_within(RENEWAL) {
        return Ok(identity);
    }
    fs::remove_file(&path).map_err(|error| format!("{} cannot be replaced: {error}", path.display()))?;
    read(keep.keep(None, &name, &mut make)?)
}

fn made(settings: &TlsSettings) -> Result<Identity, String> {
    let mut random = [0; 4];
    haldane_core::session::Random::fill(&mut System, &mut random);
    let oldest = match settings.stack {
        TlsStack::OpenSsl => OLDEST,
        TlsStack::Schannel | TlsStack::Controller => OLDEST_OF_WINDOWS,
    };
    let days = u32::from_be_bytes(random).checked_rem(oldest).unwrap_or_default();
    let age = Duration::from_secs(
        u64::from(days).saturating_mul(86_400).saturating_add(u64::from(days).saturating_mul(211)),
    );
    let names = Names { common: settings.domain_name.clone() };
    let made = match settings.stack {
        TlsStack::OpenSsl => Identity::self_signed(&names, age),
        TlsStack::Schannel => Identity::of_windows(&names, age),
        TlsStack::Controller => Identity::of_controller(&names, age),
    };
    made.map_err(|error| format!("cannot make a certificate: {error}"))
}

fn pem(pem: Result<Vec<u8>, impl std::fmt::Display>) -> Result<Vec<u8>, String> {
    pem.map_err(|error| error.to_string())
}

fn read(certificate: &Path, key: &Path) -> Result<Identity, String> {
    let read =
        |path: &Path| fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()));
    let (certificates, secret) = (read(certificate)?, read(key)?);
    Identity::from_pem(&certificates, &secret).map_err(|error| {
        format!(
            "{} and {} are not a certificate with its key (PEM): {error}",
            certificate.display(),
            key.display()
        )
    })
}

/// Writes both before either takes its place.
fn write(certificate: &Path, key: &Path, made: &Identity) -> Result<(), String> {
    let aside = |path: &Path, mode, content: &[u8]| {
        let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
        let written = folder.and_then(|()| write_aside(path, mode, content));
        written.map_err(|error| format!("{} cannot be written: {error}", path.display()))
    };
    let new_certificate = aside(certificate, 0o644, &pem(made.certificate_pem())?)?;
    let new_key = aside(key, 0o600, &pem(made.key_pem())?)?;
    for (new, path) in [(new_key, key), (new_certificate, certificate)] {
        fs::rename(new, path).map_err(|error| format!("{} cannot be replaced: {error}", path.display()))?;
    }
    Ok(())
}

/// A domain as the name of a file. Machines of two makes do not show one certificate.
fn file_name(settings: &TlsSettings) -> PathBuf {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    let kind = match settings.stack {
        TlsStack::OpenSsl => "tls",
        TlsStack::Schannel => "tls-windows",
        TlsStack::Controller => "tls-controller",
    };
    PathBuf::from(format!("{kind}-{}", settings.domain_name.chars().map(safe).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_here_is_renewed_before_it_ends() {
        let place = tempfile::tempdir().unwrap();
        let (certificate, key) = (place.path().join("c.pem"), place.path().join("k.pem"));
        let names = Names { common: "files01".into() };
        // Made so long ago that it ends in ten days.
        let old = Identity::self_signed(&names, Duration::from_secs(3640 * 86_400)).unwrap();
        write(&certificate, &key, &old).unwrap();
        let settings = TlsSettings {
            from_start: true,
            stack: TlsStack::OpenSsl,
            certificate: None,
            key: None,
            domain_name: "files01".into(),
        };
        let renewed = from_files(&certificate, &key, &settings).unwrap();
        assert_ne!(renewed.certificate_pem().unwrap(), old.certificate_pem().unwrap());
        assert_eq!(fs::read(&key).unwrap(), renewed.key_pem().unwrap());
    }
}
