//! Signatures under a message, by which a receiver knows that it is ours: HMAC with SHA-256 (RFC 2104), in the
//! forms that receivers commonly understand.
//!
//! - `github`: `X-Hub-Signature-256: sha256=` and hex, over the body (GitHub, "Validating webhook deliveries");
//! - `stripe`: `t=SECONDS,v1=` and hex, over time, full stop and body (Stripe, "Verify webhook signatures
//!   manually"): an old message cannot be sent again by somebody else;
//! - `standard-webhooks`: `webhook-id`, `webhook-timestamp` and `webhook-signature: v1,` and base64, over all three
//!   (Standard Webhooks 1.0, "Signature scheme"). The secret may be in its form: `whsec_` and base64.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, prelude::BASE64_STANDARD};
use haldane_core::Section;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use ureq::http::{HeaderMap, HeaderName, HeaderValue};

/// How a message is signed, and with what.
pub(crate) struct Sign {
    form: Form,
    header: HeaderName,
    secret: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    GitHub,
    Stripe,
    Standard,
}

const FORMS: [(&str, Form, &str); 3] = [
    ("github", Form::GitHub, "x-hub-signature-256"),
    ("stripe", Form::Stripe, "stripe-signature"),
    ("standard-webhooks", Form::Standard, "webhook-signature"),
];

impl Sign {
    /// Reads `sign`, `sign_secret` and `sign_header`.
    pub(crate) fn configure(section: &mut Section<'_>) -> Option<Self> {
        let word = section.choice(
            "sign",
            "none",
            &["none", "github", "stripe", "standard-webhooks"],
            "How each message is signed (HMAC-SHA256), so that the receiver knows that it is ours: github (body \
             only), stripe or standard-webhooks (body and time).",
        );
        let secret = section.optional("sign_secret", "The secret that the receiver checks signatures with.");
        let header =
            section.optional("sign_header", "Another header for the signature than is usual for `sign`.");
        let (_, form, usual) = FORMS.into_iter().find(|(name, ..)| *name == word)?;
        let header = match header {
            None => HeaderName::from_static(usual),
            Some(name) => HeaderName::try_from(name).unwrap_or_else(|_| {
                section.invalid("sign_header", "expected the name of a header, as in \"X-Signature\"");
                HeaderName::from_static(usual)
            }),
        };
        let Some(secret) = secret.filter(|secret| !secret.is_empty()) else {
            section.invalid("sign_secret", "expected a secret: there is nothing to sign with");
            return None;
        };
        let decoded = secret.strip_prefix("whsec_").filter(|_| form == Form::Standard);
        let secret = match decoded.map(|text| BASE64_STANDARD.decode(text)) {
            None => secret.into_bytes(),
            Some(Ok(bytes)) => bytes,
            Some(Err(_)) => {
                section.invalid("sign_secret", "expected base64 after \"whsec_\"");
                return None;
            }
        };
        Some(Self { form, header, secret })
    }

    /// Puts the signature of a message under its headers. `id` names the message; sent again, it is the same.
    ///
    /// # Errors
    /// In words for the operator.
    pub(crate) fn add(
        &self,
        headers: &mut HeaderMap,
        id: &str,
        now: SystemTime,
        body: &[u8],
    ) -> Result<(), String> {
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
        let value = match self.form {
            Form::GitHub => format!("sha256={}", hex(&self.over(&[body])?)),
            Form::Stripe => {
                format!("t={seconds},v1={}", hex(&self.over(&[seconds.as_bytes(), b".", body])?))
            }
            Form::Standard => {
                let parts = [id.as_bytes(), b".", seconds.as_bytes(), b".", body];
                for (name, value) in [("webhook-id", id), ("webhook-timestamp", &seconds)] {
                    headers.insert(HeaderName::from_static(name), header(value)?);
                }
                format!("v1,{}", BASE64_STANDARD.encode(self.over(&parts)?))
            }
        };
        headers.insert(self.header.clone(), header(&value)?);
        Ok(())
    }

    fn over(&self, parts: &[&[u8]]) -> Result<Vec<u8>, String> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.secret);
        let mut mac = mac.map_err(|error| format!("the message cannot be signed: {error}"))?;
        parts.iter().for_each(|part| mac.update(part));
        Ok(mac.finalize().into_bytes().to_vec())
    }
}

fn header(value: &str) -> Result<HeaderValue, String> {
    HeaderValue::try_from(value).map_err(|error| format!("the message cannot be signed: {error}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn signed(form: Form, name: &'static str, secret: &[u8], id: &str, at: u64, body: &[u8]) -> String {
        let sign = Sign { form, header: HeaderName::from_static(name), secret: secret.to_vec() };
        let mut headers = HeaderMap::new();
        sign.add(&mut headers, id, UNIX_EPOCH.checked_add(Duration::from_secs(at)).unwrap(), body).unwrap();
        headers[name].to_str().unwrap().to_owned()
    }

    #[test]
    fn each_form_signs_as_its_own_documentation_shows() {
        // The example of GitHub's documentation.
        let github = signed(
            Form::GitHub,
            "x-hub-signature-256",
            b"It's a Secret to Everybody",
            "",
            0,
            b"Hello, World!",
        );
        assert_eq!(github, "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
        // The example of the Standard Webhooks specification.
        let secret = BASE64_STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let standard = signed(
            Form::Standard,
            "webhook-signature",
            &secret,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(standard, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        // printf '1492774577.{}' | openssl dgst -sha256 -hmac whsec_test
        let stripe = signed(Form::Stripe, "stripe-signature", b"whsec_test", "", 1_492_774_577, b"{}");
        assert_eq!(stripe, format!("t=1492774577,v1={STRIPE}"));
    }

    const STRIPE: &str = "0d0602f6611bd2252dd4b74b58a4528355a7380639a15e6cc21e3059d56d5b8b";
}
