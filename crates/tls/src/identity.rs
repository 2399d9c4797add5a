//! The certificate that a decoy shows: the operator's, or one made here and kept.

use std::time::Duration;

use openssl::{
    asn1::{Asn1Integer, Asn1Object, Asn1OctetString, Asn1Time},
    bn::{BigNum, MsbOption},
    error::ErrorStack,
    hash::MessageDigest,
    pkey::{PKey, Private},
    rand::rand_bytes,
    rsa::Rsa,
    x509::{
        X509, X509Extension, X509Name, X509NameBuilder, X509v3Context,
        extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName},
    },
};

/// A certificate with its key.
#[derive(Debug, Clone)]
pub struct Identity {
    pub(crate) certificate: X509,
    pub(crate) chain: Vec<X509>,
    pub(crate) key: PKey<Private>,
}

/// What is in a certificate that is made here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// Subject, issuer and alternative name.
    pub common: String,
}

/// Ten years, as Debian's ssl-cert makes its own.
const LIFETIME_DAYS: u32 = 3650;
/// Half a year, as Windows makes its own.
const WINDOWS_LIFETIME_DAYS: u32 = 183;

/// A year, as the template for domain controllers has it.
const ISSUED_LIFETIME_DAYS: u32 = 365;
/// The name of the template, and under what a certificate says it (MS-CRTD; enrollCerttypeExtension).
const TEMPLATE: &str = "DomainController";
const TEMPLATE_NAME: &str = "1.3.6.1.4.1.311.20.2";
/// Under what a certificate says the number of a controller (szOID_NTDS_REPLICATION).
const CONTROLLER_NUMBER: &str = "1.3.6.1.4.1.311.25.1";

/// A BMPString (X.690, section 8.23) of fewer than 64 characters.
fn bmp(text: &str) -> Vec<u8> {
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    [&[0x1e, u8::try_from(wide.len()).unwrap_or_default()][..], &wide].concat()
}

impl Identity {
    /// Reads PEM: a certificate, then those that it depends on; and its key.
    ///
    /// # Errors
    /// Not PEM, no certificate in it, or an encrypted key.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, ErrorStack> {
        let mut chain = X509::stack_from_pem(certificates)?.into_iter();
        let certificate = chain.next().ok_or_else(ErrorStack::get)?;
        let chain = chain.collect();
        let key = PKey::private_key_from_pem_callback(key, |_| Ok(0))?;
        Ok(Self { certificate, chain, key })
    }

    /// Makes a self-signed one: RSA with 2048 bits, as Debian's ssl-cert. `age` is how long ago it claims to
    /// have been made, so that not every canary's certificate is as old as its installation.
    ///
    /// # Errors
    /// Out of memory.
    pub fn self_signed(names: &Names, age: Duration) -> Result<Self, ErrorStack> {
        Self::lasting(LIFETIME_DAYS, names, age)
    }

    /// Makes one as the remote desktop of Windows does for itself: for half a year, for the encryption of keys and
    /// data, without alternative names. `age` as above.
    ///
    /// # Errors
    /// Out of memory.
    pub fn of_windows(names: &Names, age: Duration) -> Result<Self, ErrorStack> {
        let extensions = |_: &str, _: &X509v3Context<'_>| {
            let usage = KeyUsage::new().key_encipherment().data_encipherment().build()?;
            Ok(vec![ExtendedKeyUsage::new().server_auth().build()?, usage])
        };
        Self::made(WINDOWS_LIFETIME_DAYS, names, age, None, extensions)
    }

    /// Makes one as the authority of a Windows domain issues it to a domain controller (MS-WCCE; the template
    /// DomainController): for a year, with the controller's DNS name and a number of its own. The authority, named after
    /// domain and controller, is made for this and forgotten. `age` as above.
    ///
    /// # Errors
    /// Out of memory.
    pub fn of_controller(names: &Names, age: Duration) -> Result<Self, ErrorStack> {
        let (host, domain) = names.common.split_once('.').unwrap_or((&names.common, ""));
        let mut issuer = X509NameBuilder::new()?;
        for label in domain.rsplit('.').filter(|label| !label.is_empty()) {
            issuer.append_entry_by_text("DC", label.get(..63).unwrap_or(label))?;
        }
        let short = domain.split('.').next().unwrap_or_default();
        let authority: String = format!("{short}-{}-CA", host.to_uppercase()).chars().take(64).collect();
        issuer.append_entry_by_text("CN", &authority)?;
        let authority = (issuer.build(), PKey::from_rsa(Rsa::generate(2048)?)?);
        let mut number = [0; 16];
        rand_bytes(&mut number)?;
        let extensions = |common: &str, context: &X509v3Context<'_>| {
            let template = Asn1OctetString::new_from_bytes(&bmp(TEMPLATE))?;
            let number = [&[0x04, 0x10][..], &number].concat();
            Ok(vec![
                X509Extension::new_from_der(&*Asn1Object::from_str(TEMPLATE_NAME)?, false, &template)?,
                ExtendedKeyUsage::new().client_auth().server_auth().build()?,
                KeyUsage::new().digital_signature().key_encipherment().build()?,
                SubjectAlternativeName::new()
                    .other_name2(Asn1Object::from_str(CONTROLLER_NUMBER)?, &number)
                    .dns(common)
                    .build(context)?,
            ])
        };
        Self::made(ISSUED_LIFETIME_DAYS, names, age, Some(authority), extensions)
    }

    fn lasting(lifetime_days: u32, names: &Names, age: Duration) -> Result<Self, ErrorStack> {
        let extensions = |common: &str, context: &X509v3Context<'_>| {
            let names = SubjectAlternativeName::new().dns(common).build(context)?;
            Ok(vec![BasicConstraints::new().build()?, names])
        };
        Self::made(lifetime_days, names, age, None, extensions)
    }

    fn made(
        lifetime_days: u32,
        names: &Names,
        age: Duration,
        authority: Option<(X509Name, PKey<Private>)>,
        extensions: impl FnOnce(&str, &X509v3Context<'_>) -> Result<Vec<X509Extension>, ErrorStack>,
    ) -> Result<Self, ErrorStack> {
        let key = PKey::from_rsa(Rsa::generate(2048)?)?;
        let mut name = X509NameBuilder::new()?;
        // RFC 5280, appendix A: at most 64 characters.
        let common: String = names.common.chars().take(64).collect();
        name.append_entry_by_text("CN", &common)?;
        let name = name.build();
        let mut serial = BigNum::new()?;
        serial.rand(159, MsbOption::MAYBE_ZERO, false)?;
        let mut builder = X509::builder()?;
        builder.set_version(2)?;
        builder.set_serial_number(&*Asn1Integer::from_bn(&serial)?)?;
        builder.set_subject_name(&name)?;
        let (issuer, signs) = authority.as_ref().map_or((&name, &key), |(issuer, key)| (issuer, key));
        builder.set_issuer_name(issuer)?;
        builder.set_pubkey(&key)?;
        let days = u32::try_from(age.as_secs().checked_div(86_400).unwrap_or_default()).unwrap_or_default();
        let now = Asn1Time::days_from_now(0)?;
        let mut made = Asn1Time::from_unix(0)?;
        if let Ok(since) = Asn1Time::from_unix(0)?.diff(&now) {
            let seconds = i64::from(since.days).saturating_mul(86_400).saturating_add(since.secs.into());
            made = Asn1Time::from_unix(
                seconds.saturating_sub(i64::try_from(age.as_secs()).unwrap_or_default()),
            )?;
        }
        builder.set_not_before(&made)?;
        builder.set_not_after(&*Asn1Time::days_from_now(lifetime_days.saturating_sub(days))?)?;
        for extension in extensions(&common, &builder.x509v3_context(None, None))? {
            builder.append_extension(extension)?;
        }
        builder.sign(signs, MessageDigest::sha256())?;
        Ok(Self { certificate: builder.build(), chain: Vec::new(), key })
    }

    /// The certificate as PEM.
    ///
    /// # Errors
    /// Out of memory.
    pub fn certificate_pem(&self) -> Result<Vec<u8>, ErrorStack> {
        self.certificate.to_pem()
    }

    /// The key as PEM (PKCS #8).
    ///
    /// # Errors
    /// Out of memory.
    pub fn key_pem(&self) -> Result<Vec<u8>, ErrorStack> {
        self.key.private_key_to_pem_pkcs8()
    }

    /// Whether it ends within that time.
    pub fn ends_within(&self, time: Duration) -> bool {
        let days = u32::try_from(time.as_secs().checked_div(86_400).unwrap_or_default()).unwrap_or(u32::MAX);
        Asn1Time::days_from_now(days).is_ok_and(|then| self.certificate.not_after() < then)
    }

    /// Whether it looks as if it was made by [`Self::self_signed`] or [`Self::of_windows`]: then it may be replaced by another before it
    /// ends.
    pub fn is_ours(&self) -> bool {
        let lifetime = self.certificate.not_before().diff(self.certificate.not_after());
        let lifetimes = [LIFETIME_DAYS, WINDOWS_LIFETIME_DAYS];
        let is_one = |days| u32::try_from(days).is_ok_and(|days| lifetimes.contains(&days));
        let ours = lifetime.is_ok_and(|lifetime| is_one(lifetime.days));
        ours && self.chain.is_empty() && self.certificate.verify(&self.key).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_of_another_maker_is_not_taken_for_ours() {
        let names = Names { common: "files01".into() };
        // As old as it may claim to be, with the seconds that make its time of day vary.
        for age in [0, 1, 86_400 * 399 + 211 * 399] {
            assert!(Identity::self_signed(&names, Duration::from_secs(age)).unwrap().is_ours(), "{age}");
        }
        for age in [0, 86_400 * 120 + 211 * 120] {
            let windows = Identity::of_windows(&names, Duration::from_secs(age)).unwrap();
            assert!(windows.is_ours() && windows.ends_within(Duration::from_secs(184 * 86_400)), "{age}");
        }
        // An operator's own authority may be called the same.
        assert!(!Identity::of_controller(&names, Duration::ZERO).unwrap().is_ours());
        assert!(!Identity::lasting(365, &names, Duration::ZERO).unwrap().is_ours());
    }
}
