//! The certificate that SQL Server makes for itself where it has none.

use haldane_core::{Host, TlsStack};
use haldane_tls::{Acceptor, Identity, Offer};
use openssl::{
    asn1::{Asn1Integer, Asn1Time, Asn1Type},
    bn::{BigNum, MsbOption},
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    pkey::PKey,
    rsa::Rsa,
    x509::{X509, X509NameBuilder},
};

use super::persona::{Persona, Version};

/// Subject and issuer.
const NAME: &str = "SSL_Self_Signed_Fallback";
/// Thirty years.
const DAYS: u32 = 10_957;
/// The first build of Windows with TLS 1.3, Server 2022.
const HAS_TLS13: u16 = 20_348;
/// Bits of the serial number: 16 bytes, positive, the first of them no zero.
const SERIAL_BITS: i32 = 126;

/// Gives the persona its TLS.
///
/// # Errors
/// In words for the operator.
pub fn equip(persona: &mut Persona, host: &Host) -> Result<(), String> {
    let old = persona.version.has_old_certificate();
    let file = if old { "mssql-old.pem" } else { "mssql.pem" };
    let mut make = || made(persona.version).map_err(|error| format!("no certificate could be made: {error}"));
    let pem = host.keep.keep(None, file, &mut make)?;
    let read = Identity::from_pem(&pem, &pem).and_then(|identity| {
        let wrapped = Acceptor::of(TlsStack::Schannel, &identity)?;
        let strict = match persona.version.is_strict() {
            true => {
                let tls13 = persona.windows.release.build >= HAS_TLS13;
                let offer = Offer { alpn: b"tds/8.0", tls13 };
                Some(Acceptor::offering(TlsStack::Schannel, &identity, offer)?)
            }
            false => None,
        };
        Ok((wrapped, strict))
    });
    let (wrapped, strict) =
        read.map_err(|error| format!("{file} is no certificate with its key: {error}"))?;
    (persona.wrapped, persona.strict) = (Some(wrapped), strict);
    Ok(())
}

/// Certificate and key, as PEM. The name is a BMPString, there are no extensions.
fn made(version: Version) -> Result<Vec<u8>, ErrorStack> {
    let (bits, digest) = match version.has_old_certificate() {
        true => (1024, MessageDigest::sha1()),
        false => (2048, MessageDigest::sha256()),
    };
    let key = PKey::from_rsa(Rsa::generate(bits)?)?;
    let wide: String = NAME.chars().flat_map(|c| ['\0', c]).collect();
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_nid_with_type(Nid::COMMONNAME, &wide, Asn1Type::BMPSTRING)?;
    let name = name.build();
    let mut serial = BigNum::new()?;
    serial.rand(SERIAL_BITS, MsbOption::ONE, false)?;
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(&*Asn1Integer::from_bn(&serial)?)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_pubkey(&key)?;
    builder.set_not_before(&*Asn1Time::days_from_now(0)?)?;
    builder.set_not_after(&*Asn1Time::days_from_now(DAYS)?)?;
    builder.sign(&key, digest)?;
    let mut pem = builder.build().to_pem()?;
    pem.extend(key.private_key_to_pem_pkcs8()?);
    Ok(pem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_is_that_of_the_real_server() {
        for (version, old) in [("2012", true), ("2019", false)] {
            let pem = made(Version::named(version)).unwrap();
            let made = X509::from_pem(&pem).unwrap();
            let der = made.to_der().unwrap();
            // A name in two bytes for each letter, as only Windows writes it.
            let name = [
                &[0x1e, 0x30][..],
                b"\0S\0S\0L\0_\0S\0e\0l\0f\0_\0S\0i\0g\0n\0e\0d\0_\0F\0a\0l\0l\0b\0a\0c\0k",
            ];
            assert_eq!(der.windows(50).filter(|window| *window == name.concat()).count(), 2);
            let signature = made.signature_algorithm().object().nid();
            let expected = if old { Nid::SHA1WITHRSAENCRYPTION } else { Nid::SHA256WITHRSAENCRYPTION };
            assert_eq!(
                (signature, made.public_key().unwrap().bits()),
                (expected, if old { 1024 } else { 2048 })
            );
            // A capture of a real one has 770 bytes: no extensions. Its end is before 2050 and takes two bytes less.
            assert!(old || der.len() == 772, "{}", der.len());
        }
    }
}
