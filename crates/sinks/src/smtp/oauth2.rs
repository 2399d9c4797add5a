//! Access tokens for mail servers that take no passwords (OAuth 2.0, RFC 6749): client credentials (section 4.4) or a
//! refresh token (section 6), with the addresses and scopes of Microsoft 365 ("Authenticate an IMAP, POP or SMTP
//! connection using OAuth") and of Google ("OAuth 2.0 Mechanism" of Gmail).
//!
//! A token is kept until a minute before it ends, or until the mail server refuses it. A refresh token that the
//! provider hands out in exchange for an older one is used from then on, until the operator gives another.

use std::{fmt, path::PathBuf, time::Duration};

use haldane_core::{Section, Untrusted};
use serde::Deserialize;
use tokio::time::Instant;
use ureq::http::{HeaderMap, HeaderValue, Method, Uri, header};

use super::from_file;
use crate::{
    Failure,
    concealed::Concealed,
    http::{Answer, Call, Client, answer::wish, keys::proxies, shown, url::encoded},
    step::step,
    trust::Trust,
};

/// How long before its end a token is no longer used.
const MARGIN: Duration = Duration::from_secs(60);
/// How long a token lasts whose provider does not say it.
const USUAL: Duration = Duration::from_secs(600);
/// How much of an answer is read, in bytes. Tokens of Microsoft's are about 2 KiB long.
const ANSWER: u64 = 64 * 1024;
/// The longest token that is put into a command: RFC 4954, section 4, lets an initial response have 12288 bytes of
/// base64.
const LONGEST: usize = 9000;

/// Who hands out tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Provider {
    Microsoft365,
    Google,
}

/// Where tokens are from, and the one that there is.
pub(super) struct OAuth2 {
    pub(super) provider: Provider,
    url: Uri,
    client_id: String,
    client_secret: Secret,
    refresh_token: Secret,
    scope: String,
    client: Client,
    kept: Option<Token>,
}

/// A secret and the file that it is from.
struct Secret {
    value: Option<Concealed>,
    file: Option<PathBuf>,
    /// As the operator gave it last.
    given: Option<Concealed>,
}

struct Token {
    secret: Concealed,
    until: Instant,
}

impl fmt::Debug for OAuth2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth2").field("url", &shown(&self.url)).finish_non_exhaustive()
    }
}

/// An answer of the provider's: RFC 6749, sections 5.1 and 5.2.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Granted {
    access_token: String,
    expires_in: Option<Expiry>,
    refresh_token: Option<String>,
}

/// A number, or as some providers write it, a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Expiry {
    Seconds(u64),
    Text(String),
}

/// An answer that says no: RFC 6749, section 5.2.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Denied {
    error: String,
    error_description: String,
}

impl OAuth2 {
    /// Reads the table `oauth2`, if there is one.
    pub(super) fn configure(section: &mut Section<'_>, patience: Duration) -> Option<Self> {
        let about = "For Microsoft 365 and Google, which take no passwords: a table with provider (\"microsoft365\" or \
                     \"google\"), tenant, client_id, client_secret or client_secret_file, and refresh_token or \
                     refresh_token_file. Without a refresh token, the program logs in as itself (client credentials; not \
                     with Google). Also token_url, scope, proxies and the keys of TLS, for the way to the provider.";
        match section.tables("oauth2", about).as_slice() {
            [] => None,
            [table] => section.within(table, |inner| Self::read(inner, patience)),
            _ => {
                section.invalid("oauth2", "expected one table");
                None
            }
        }
    }

    fn read(section: &mut Section<'_>, patience: Duration) -> Option<Self> {
        let provider =
            section.choice("provider", "microsoft365", &["microsoft365", "google"], "Who hands out tokens.");
        let provider = if provider == "google" { Provider::Google } else { Provider::Microsoft365 };
        let tenant = section.optional("tenant", "The directory of Microsoft's: its number or its domain.");
        let client_id = section.text("client_id", "", "The application, as it is registered there.");
        if client_id.trim().is_empty() {
            section.invalid("client_id", "expected the number of an application");
        }
        let about = "Its secret.";
        let client_secret = Secret::configure(section, ("client_secret", "client_secret_file"), about);
        let about = "What a person who has logged in was given for it.";
        let refresh_token = Secret::configure(section, ("refresh_token", "refresh_token_file"), about);
        let refreshes = refresh_token.is_given();
        if provider == Provider::Google && !refreshes {
            section.invalid("refresh_token", "expected a refresh token: Google has nothing else for mail");
        }
        if !client_secret.is_given() && !refreshes {
            section.invalid("client_secret", "expected a secret or a refresh token");
        }
        let given = section.optional("token_url", "Where tokens are handed out, if not where it is usual.");
        let needs_tenant = provider == Provider::Microsoft365 && given.is_none();
        let tenant = tenant.map(|tenant| tenant.trim().to_owned()).filter(|tenant| !tenant.is_empty());
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if needs_tenant && !tenant.as_ref().is_some_and(|tenant| tenant.chars().all(is_name)) {
            section.invalid("tenant", "expected the number or the domain of your directory");
        }
        let usual = provider.token_url(tenant.as_deref().unwrap_or("common"));
        let url = given.as_deref().unwrap_or(&usual).parse::<Uri>().ok();
        let url =
            url.filter(|url| matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some());
        if url.is_none() && given.is_some() {
            section.invalid("token_url", "expected an address of http or https");
        }
        let scope = section.optional("scope", "What the token is for, if not what is usual.");
        let scope = scope.unwrap_or_else(|| provider.scope(refreshes).to_owned());
        let proxies = proxies(section);
        let client = Client::new(Trust::configure(section), proxies, patience, ANSWER);
        Some(Self {
            provider,
            url: url?,
            client_id: client_id.trim().to_owned(),
            client_secret,
            refresh_token,
            scope,
            client: client.authorities_in("ca").discreet(),
            kept: None,
        })
    }

    /// A token that is still good, fetched if need be, and whether it was kept from before.
    pub(super) async fn token(&mut self) -> Result<(Concealed, bool), Failure> {
        let now = Instant::now();
        if let Some(kept) = self.kept.as_ref().filter(|kept| kept.until > now) {
            return Ok((kept.secret.clone(), true));
        }
        self.kept = None;
        let who = shown(&self.url);
        step(format_args!("asking {who} for a token ({})", self.grant()));
        let answer = self.client.send(self.call()).await;
        self.client.rest();
        let answer = answer.map_err(|failure| unreachable(&failure))?;
        if !answer.status.is_success() {
            return Err(self.denied(&answer));
        }
        let granted: Granted = serde_json::from_slice(&answer.start).unwrap_or_default();
        let is_token = |c: char| c.is_ascii_graphic();
        let token = granted.access_token;
        if token.is_empty() || token.len() > LONGEST || !token.chars().all(is_token) {
            return Err(Failure::later(format!(
                "no access token: what {who} answers is no token: check `token_url`"
            )));
        }
        if let Some(newer) = granted.refresh_token.filter(|newer| self.refresh_token.differs(newer)) {
            step("the provider gave a newer refresh token, which is used from now on");
            self.refresh_token.value = Some(Concealed::new(newer));
        }
        let lasts = granted.expires_in.and_then(Expiry::seconds).map_or(USUAL, Duration::from_secs);
        step(format_args!("token received; it lasts {} min", lasts.as_secs().div_euclid(60)));
        let secret = Concealed::new(token);
        let until = now.checked_add(lasts.saturating_sub(MARGIN)).unwrap_or(now);
        self.kept = Some(Token { secret: secret.clone(), until });
        Ok((secret, false))
    }

    /// The mail server did not take the token.
    pub(super) fn discard(&mut self) {
        self.kept = None;
    }

    /// Whether the program logs in as itself rather than for a person.
    pub(super) fn is_for_itself(&self) -> bool {
        self.refresh_token.value.is_none()
    }

    /// For [`crate::Sink::reopen`].
    pub(super) fn renew(&mut self) {
        self.kept = None;
        self.client.renew();
        self.client_secret.reread();
        self.refresh_token.reread();
    }

    fn grant(&self) -> &'static str {
        if self.is_for_itself() { "client credentials" } else { "refresh token" }
    }

    fn call(&self) -> Call {
        let mut form = vec![("client_id".to_owned(), self.client_id.clone())];
        let mut add = |key: &str, value: &str| form.push((key.to_owned(), value.to_owned()));
        if let Some(secret) = &self.client_secret.value {
            add("client_secret", secret.reveal());
        }
        if !self.scope.is_empty() {
            add("scope", &self.scope);
        }
        match &self.refresh_token.value {
            Some(token) => {
                add("grant_type", "refresh_token");
                add("refresh_token", token.reveal());
            }
            None => add("grant_type", "client_credentials"),
        }
        let mut headers = HeaderMap::new();
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(header::CONTENT_TYPE, kind);
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let body = Some(encoded(&form).into_bytes());
        Call { url: self.url.clone(), method: Method::POST, headers, body }
    }

    /// What it means that there is no token.
    fn denied(&self, answer: &Answer) -> Failure {
        let denied: Denied = serde_json::from_slice(&answer.start).unwrap_or_default();
        let advice = match self.provider {
            Provider::Microsoft365 => microsoft(&denied.error_description),
            Provider::Google => None,
        };
        let advice = advice.or_else(|| standard(self.provider, &denied));
        let words = denied.error_description.lines().next().unwrap_or_default();
        let words = match (denied.error.is_empty(), words.is_empty()) {
            (true, _) => None,
            (false, true) => Some(denied.error.clone()),
            (false, false) => Some(format!("{}: {words}", denied.error)),
        };
        let said = answer.said(words.as_deref());
        let advice = match (advice, answer.status.as_u16()) {
            (Some(advice), _) => advice,
            (None, 429 | 500..=599) => "this passes: it is tried again",
            (None, 404 | 405) => "check `token_url` and `tenant`",
            (None, _) => "check the keys of `oauth2`",
        };
        Failure::Later { why: format!("no access token: {said}: {advice}"), after: wish(&answer.headers) }
    }
}

impl Provider {
    /// Its mail server.
    pub(super) fn host(self) -> &'static str {
        match self {
            Self::Microsoft365 => "smtp.office365.com",
            Self::Google => "smtp.gmail.com",
        }
    }

    fn token_url(self, tenant: &str) -> String {
        match self {
            Self::Microsoft365 => format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"),
            Self::Google => "https://oauth2.googleapis.com/token".to_owned(),
        }
    }

    /// What is asked for. With Google, what was asked for when the person logged in.
    fn scope(self, refreshes: bool) -> &'static str {
        match (self, refreshes) {
            (Self::Microsoft365, false) => "https://outlook.office365.com/.default",
            (Self::Microsoft365, true) => "https://outlook.office.com/SMTP.Send offline_access",
            (Self::Google, _) => "",
        }
    }
}

impl Expiry {
    fn seconds(self) -> Option<u64> {
        match self {
            Self::Seconds(seconds) => Some(seconds),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

impl Secret {
    /// Reads a key and the one that names a file instead of it.
    fn configure(
        section: &mut Section<'_>,
        (key, file_key): (&'static str, &'static str),
        about: &'static str,
    ) -> Self {
        let value = section.optional(key, about).filter(|value| !value.is_empty()).map(Concealed::new);
        let file = section.path(file_key, "A file that holds it alone.");
        let value = match (value, file.as_deref().map(from_file)) {
            (Some(_), Some(_)) => {
                section.invalid(file_key, format!("expected only one of `{key}` and `{file_key}`"));
                None
            }
            (None, Some(Err(error))) => {
                section.invalid(file_key, format!("expected a readable file ({error})"));
                None
            }
            (None, Some(Ok(value))) => Some(value),
            (value, None) => value,
        };
        Self { given: value.clone(), value, file }
    }

    /// Whether the operator means there to be one, readable or not.
    fn is_given(&self) -> bool {
        self.value.is_some() || self.file.is_some()
    }

    fn differs(&self, other: &str) -> bool {
        !other.is_empty() && self.value.as_ref().is_none_or(|value| value.reveal() != other)
    }

    /// Takes what stands in the file now, if the operator has changed it.
    fn reread(&mut self) {
        let Some(Ok(now)) = self.file.as_deref().map(from_file) else { return };
        if self.given.as_ref() != Some(&now) {
            self.given = Some(now.clone());
            self.value = Some(now);
        }
    }
}

/// The provider gave no answer at all.
fn unreachable(failure: &Failure) -> Failure {
    // The words are those of sinks with an address under `url`.
    let why = failure.to_string().replace("`url`", "`token_url`");
    Failure::later(format!(
        "no access token, since the token endpoint is not reached: {why}; this machine must reach it, directly or \
         through `proxies` in `oauth2`"
    ))
}

/// What to do about an error of Microsoft's, by the number in its text ("Microsoft Entra authentication error codes").
fn microsoft(description: &str) -> Option<&'static str> {
    let (_, rest) = description.split_once("AADSTS")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    Some(match rest.get(..digits)?.parse::<u32>().ok()? {
        7_000_215 => "`client_secret` is wrong: it is the Value of the secret, not its Secret ID",
        7_000_222 => "the client secret has expired: make a new one and put it into `client_secret`",
        7_000_216 | 7_000_218 => "the application is not a public one: set `client_secret`",
        700_016 => "there is no such application in that directory: check `client_id` and `tenant`",
        90_002 | 900_021 | 900_023 => "there is no such directory: check `tenant`",
        65_001 | 65_004 => {
            "nobody has consented: an administrator must grant the application's permission (SMTP.SendAsApp for \
             itself, SMTP.Send for a person), or the person must log in once more"
        }
        90_094 | 90_093 => "an administrator must consent to the application's permissions first",
        70_011 | 1_002_012 | 28_002 | 28_003 => {
            "`scope` is wrong: leave it out, or use \"https://outlook.office365.com/.default\" without a refresh token"
        }
        500_011 | 650_052 | 650_057 => {
            "the directory does not know what `scope` names, or the application has no permission for Office 365 \
             Exchange Online: add it there, and have an administrator consent"
        }
        70_008 | 700_081 | 700_082 | 700_084 => {
            "the refresh token has expired: log in once more and put the new one into `refresh_token`"
        }
        50_173 | 70_000 | 50_132 | 50_133 | 54_005 => {
            "the refresh token is not valid any more (a password was changed, or it was revoked): log in once more and \
             put the new one into `refresh_token`"
        }
        50_076 | 50_078 | 50_079 | 50_074 | 50_158 => {
            "the account needs a second factor now: log in once more and put the new token into `refresh_token`"
        }
        53_000..=53_004 | 530_003 | 530_004 => {
            "a conditional access policy forbids it: an administrator must except the application"
        }
        50_034 | 50_057 => "the account is not there or is disabled: check it in the directory",
        7_000_112 => "the application is disabled in that directory: enable it",
        50_196 | 90_033 => "this passes: it is tried again",
        _ => return None,
    })
}

/// What to do about an error by its name in RFC 6749, section 5.2.
fn standard(provider: Provider, denied: &Denied) -> Option<&'static str> {
    Some(match (denied.error.as_str(), provider) {
        ("invalid_client" | "deleted_client", _) => {
            "the application is not known by these: check `client_id` and `client_secret`"
        }
        ("invalid_grant", Provider::Google) => {
            "the refresh token has expired or was revoked: log in once more and put the new one into `refresh_token` \
             (while the consent screen is in testing, Google ends them after seven days: publish it)"
        }
        ("invalid_grant", _) => {
            "the refresh token has expired or was revoked: log in once more and put the new one into `refresh_token`"
        }
        ("unauthorized_client", _) => {
            "the application may not ask in this way: check that the refresh token was given to this `client_id`"
        }
        ("invalid_scope", Provider::Google) => {
            "`scope` is wrong: leave it out, or use \"https://mail.google.com/\""
        }
        ("invalid_scope", _) => "`scope` is wrong: leave it out",
        ("consent_required" | "interaction_required" | "admin_policy_enforced" | "access_denied", _) => {
            "the application needs consent: an administrator must allow it, or the person must log in once more"
        }
        ("unsupported_grant_type", _) => {
            "the provider has no such grant: set `refresh_token`, or check `token_url`"
        }
        ("temporarily_unavailable" | "server_error", _) => "this passes: it is tried again",
        _ => return None,
    })
}

/// The message of XOAUTH2 and that of OAUTHBEARER (RFC 7628, section 3.1), before base64.
pub(super) fn message(bearer: bool, username: &str, token: &str, host: &str, port: u16) -> String {
    match bearer {
        false => format!("user={username}\x01auth=Bearer {token}\x01\x01"),
        true => {
            // RFC 5801, section 4: these two would end the name.
            let name = username.replace('=', "=3D").replace(',', "=2C");
            format!("n,a={name},\x01host={host}\x01port={port}\x01auth=Bearer {token}\x01\x01")
        }
    }
}

/// Why a mail server does not take a token, as it says between AUTH and its last word (RFC 7628, section 3.2.2): status
/// and scope, safe to print.
pub(super) fn reason(challenge: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Reason {
        status: String,
        #[serde(default)]
        scope: String,
    }
    let reason: Reason = serde_json::from_slice(challenge).ok()?;
    let short = |text: &str| Untrusted::new(text.get(..100).unwrap_or(text)).to_string();
    Some(match reason.scope.is_empty() {
        true => format!("status {}", short(&reason.status)),
        false => format!("status {}, scope {}", short(&reason.status), short(&reason.scope)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_its_field() {
        assert_eq!(message(false, "a@b", "t", "h", 587), "user=a@b\x01auth=Bearer t\x01\x01");
        assert_eq!(
            message(true, "a,b=c@d", "t", "h", 587),
            "n,a=a=2Cb=3Dc@d,\x01host=h\x01port=587\x01auth=Bearer t\x01\x01"
        );
    }

    #[test]
    fn the_reason_of_a_refusal_is_safe_to_print() {
        let google = br#"{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}"#;
        assert_eq!(reason(google).unwrap(), "status 400, scope https://mail.google.com/");
        assert_eq!(
            reason(br#"{"status":"invalid_token\u001b[31m"}"#).unwrap(),
            "status invalid_token\\u{1b}[31m"
        );
        assert_eq!(reason(b"no json"), None);
    }

    #[test]
    fn every_error_of_microsofts_has_its_own_advice() {
        let about = |number: &str| microsoft(&format!("AADSTS{number}: Something.\r\nTrace ID: 1"));
        assert!(about("7000215").unwrap().contains("not its Secret ID"));
        assert!(about("7000222").unwrap().contains("has expired"));
        assert!(about("65001").unwrap().contains("administrator"));
        assert!(about("700082").unwrap().contains("log in once more"));
        assert!(about("70011").unwrap().contains("`scope`"));
        assert!(about("90002").unwrap().contains("`tenant`"));
        assert_eq!(about("1"), None);
        assert_eq!(microsoft("something else"), None);
    }
}
