//! From a request to its answer: routes, conditions, ranges, compression.

use std::{borrow::Cow, time::SystemTime};

use base64::{Engine, prelude::BASE64_STANDARD};
use haldane_core::Cx;

use super::{
    Server,
    conditions::{accepts_gzip, outdated, parted, ranges, unmodified, whole},
    date,
    evidence::Exchange,
    negotiate::Said,
    persona::{Circumstances, Family, Name},
    request::{Head, Version, resolve, split_port},
    site::{File, PAGE},
};

/// Where a request leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// To an error page, before anything looked at the body.
    Refused(u16),
    /// To another address.
    Moved(u16, Vec<u8>),
    /// To a 401.
    Authenticate,
    /// To the login page.
    Page,
    /// To a file.
    File(Vec<u8>),
    /// To an error page.
    Failed(u16),
    /// To what OPTIONS answers for a path.
    Options(Vec<u8>),
    /// To what OPTIONS answers for `*`.
    Pong,
    /// To the request itself.
    Trace,
}

impl Route {
    /// Whether Apache decides this before it looks at the body: a client that expects 100 (Continue) is not
    /// told to go on then.
    pub(super) fn early(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Moved(..) | Self::Authenticate | Self::Pong)
    }
}

/// Methods that Apache knows and has no handler for.
const KNOWN: &[&[u8]] = &[
    b"PUT",
    b"DELETE",
    b"CONNECT",
    b"PATCH",
    b"PROPFIND",
    b"PROPPATCH",
    b"MKCOL",
    b"COPY",
    b"MOVE",
    b"LOCK",
    b"UNLOCK",
    b"VERSION-CONTROL",
    b"CHECKOUT",
    b"UNCHECKOUT",
    b"CHECKIN",
    b"UPDATE",
    b"LABEL",
    b"REPORT",
    b"MKWORKSPACE",
    b"MKACTIVITY",
    b"BASELINE-CONTROL",
    b"MERGE",
];

/// An answer on its way.
pub(super) struct Answer<'a> {
    status: u16,
    fields: Vec<(Name, String)>,
    body: Cow<'a, [u8]>,
    /// What HEAD leaves out, and some errors have not: the length of the body.
    measured: bool,
}

impl Server {
    /// Where that request leads.
    pub(super) fn route(&self, head: &Head) -> Route {
        let method = head.method.as_slice();
        if head.target == b"*" {
            return Route::Pong;
        }
        let path = match resolve(&head.path) {
            Ok(path) => path,
            Err(status) => return Route::Refused(status),
        };
        if self.auth.as_ref().is_some_and(|auth| path.starts_with(auth.path.as_bytes())) {
            return Route::Authenticate;
        }
        if self.persona.at_least(MODERN) && too_long(&path) {
            return Route::Refused(403);
        }
        let served = matches!(method, b"GET" | b"HEAD" | b"POST" | b"OPTIONS" | b"TRACE");
        let terse = self.site.terse;
        if terse && !served && !KNOWN.contains(&method) {
            return Route::Failed(405);
        }
        if path == b"/" {
            return Route::Moved(302, PAGE.to_vec());
        }
        match method {
            b"TRACE" if terse || !self.persona.traces() => return Route::Failed(405),
            b"TRACE" => return Route::Trace,
            b"OPTIONS" => return Route::Options(path),
            b"HEAD" if terse && path == PAGE => return Route::Failed(405),
            _ if served => {}
            _ if KNOWN.contains(&method) => return Route::Failed(405),
            _ => return Route::Failed(501),
        }
        if path == PAGE {
            return Route::Page;
        }
        if self.site.file(&path).is_some() {
            return Route::File(path);
        }
        if self.site.folder(&path) {
            return Route::Refused(403);
        }
        let folder = [path.as_slice(), b"/"].concat();
        if self.site.folder(&folder) { Route::Moved(301, folder) } else { Route::Failed(404) }
    }

    /// Answers, and says whether the connection closes behind it.
    pub(super) fn answer(
        &self,
        exchange: &Exchange,
        broken: Option<u16>,
        wish: Wish,
        cx: &mut Cx<'_>,
    ) -> (Vec<u8>, bool) {
        let Exchange { head, route, said, .. } = exchange;
        let place = Place::of(head, cx, &self.name);
        let answer = match (broken, route) {
            (Some(status), Route::Moved(moved, _)) => {
                // Apache discards the body while it is busy with the redirect, and says so.
                let mut answer = self.failure(status, head, &place, "", Some(*moved));
                answer.measured = false;
                answer
            }
            (Some(status), _) => {
                let mut answer = self.failure(status, head, &place, "", None);
                answer.measured = false;
                answer
            }
            (None, Route::Refused(status) | Route::Failed(status)) => {
                self.failure(*status, head, &place, "", None)
            }
            (None, Route::Moved(status, to)) => self.moved(*status, to, head, &place),
            (None, Route::Authenticate) => self.challenge(head, said.as_deref(), &place, cx),
            (None, Route::Page) => match self.site.page(head.method == b"POST") {
                Some(page) => self.file(page, head, &place, cx.now()),
                None => self.failure(404, head, &place, "", None),
            },
            (None, Route::File(path)) => match self.site.file(path) {
                Some(file) => self.file(file, head, &place, cx.now()),
                None => self.failure(404, head, &place, "", None),
            },
            (None, Route::Options(path)) => self.options(path),
            (None, Route::Pong) => {
                Answer { status: 200, fields: Vec::new(), body: b"".into(), measured: true }
            }
            (None, Route::Trace) => trace(head),
        };
        self.finish(answer, head, wish, cx.now())
    }

    /// Answers a head that could not be understood; always closes.
    pub(super) fn refuse(&self, status: u16, head: &Head, note: &str, cx: &Cx<'_>) -> Vec<u8> {
        let place = Place::of(head, cx, &self.name);
        let answer = self.failure(status, head, &place, note, None);
        self.finish(answer, head, Wish { close: true, asked: false, left: 0 }, cx.now()).0
    }

    fn finish(&self, answer: Answer<'_>, head: &Head, wish: Wish, now: SystemTime) -> (Vec<u8>, bool) {
        let Answer { status, mut fields, body, measured } = answer;
        if head.version == Version::Simple {
            return (body.into_owned(), true);
        }
        // Statuses behind which Apache gives up the connection.
        let drops = matches!(status, 400 | 408 | 413 | 414 | 500 | 501 | 503);
        let close = wish.close || drops;
        // Of a line that is too long Apache reads no method.
        let silent = (head.method == b"HEAD" && status != 414) || status == 304;
        // Apache does not measure what HEAD keeps it from making.
        let apache = matches!(self.persona.family, Family::Apache(_));
        let made = !fields.iter().any(|(name, _)| *name == Name::LastModified);
        if measured && status != 304 && !(silent && made && apache) {
            fields.push((Name::ContentLength, body.len().to_string()));
        }
        fields.push((Name::Date, date::show(now)));
        fields.push((Name::Server, self.persona.banner.clone()));
        // Apache closes behind a 417 without saying so.
        let silently = status == 417 && apache && head.version == Version::OneOne;
        fields.extend(self.persona.persistence(close && !silently, wish.asked, wish.left));
        let mut bytes = self.persona.write(status, &fields);
        if !silent {
            bytes.extend_from_slice(&body);
        }
        (bytes, close)
    }

    fn failure<'a>(
        &'a self,
        status: u16,
        head: &Head,
        place: &Place,
        note: &str,
        additional: Option<u16>,
    ) -> Answer<'a> {
        let (path, _) = super::request::decode(&head.path, |_| true);
        let about = Circumstances {
            method: &head.method,
            path: &path,
            expect: head.field("Expect").unwrap_or_default(),
            note,
            additional,
            host: &place.name,
            port: place.port,
            ..Circumstances::default()
        };
        let mut fields = vec![(Name::ContentType, self.persona.error_type().to_owned())];
        if matches!(status, 405 | 501)
            && let Some(allowed) = self.persona.allows()
        {
            fields.push((Name::Allow, allowed.to_owned()));
        }
        if let Some(page) = self.site.error(status) {
            fields.clear();
            fields.push((Name::ContentType, "text/html".to_owned()));
            return Answer { status, fields, body: page.into(), measured: true };
        }
        let page = self.persona.page(status, &about).into_bytes();
        Answer { status, fields, body: page.into(), measured: true }
    }

    fn moved(&self, status: u16, to: &[u8], head: &Head, place: &Place) -> Answer<'_> {
        let mut location = format!("{}://{}", place.scheme, place.authority);
        for byte in to {
            match byte {
                b'!'..=b'~' if !b"\"<>%".contains(byte) => location.push(char::from(*byte)),
                other => location.push_str(&format!("%{other:02x}")),
            }
        }
        if let Some(query) = &head.query {
            location.push('?');
            query.iter().for_each(|byte| match byte {
                b'!'..=b'~' => location.push(char::from(*byte)),
                other => location.push_str(&format!("%{other:02x}")),
            });
        }
        let about = Circumstances {
            location: &location,
            host: &place.name,
            port: place.port,
            method: &head.method,
            ..Circumstances::default()
        };
        let page = self.persona.page(status, &about).into_bytes();
        let fields =
            vec![(Name::Location, location), (Name::ContentType, self.persona.error_type().to_owned())];
        Answer { status, fields, body: page.into(), measured: true }
    }

    fn challenge(&self, head: &Head, said: Option<&Said>, place: &Place, cx: &mut Cx<'_>) -> Answer<'_> {
        let mut answer = self.failure(401, head, place, "", None);
        let Some(auth) = &self.auth else { return answer };
        let offered =
            said.filter(|said| auth.schemes.iter().any(|own| own.eq_ignore_ascii_case(said.scheme)));
        if let Some(next) = offered.and_then(Said::challenge) {
            answer.fields.push((Name::Authenticate, next));
            return answer;
        }
        for scheme in &auth.schemes {
            let value = match scheme.as_str() {
                "digest" => {
                    // As mod_auth_digest makes it: the time in microseconds, and a hash of that.
                    let since = cx.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                    let time = u64::try_from(since.as_micros()).unwrap_or_default().to_le_bytes();
                    let hash: String = cx.random::<20>().iter().map(|byte| format!("{byte:02x}")).collect();
                    let nonce = format!("{}{hash}", BASE64_STANDARD.encode(time));
                    format!("Digest realm=\"{}\", nonce=\"{nonce}\", algorithm=MD5, qop=\"auth\"", auth.realm)
                }
                "ntlm" => "NTLM".to_owned(),
                "negotiate" => "Negotiate".to_owned(),
                _ => format!("Basic realm=\"{}\"", auth.realm),
            };
            answer.fields.push((Name::Authenticate, value));
        }
        answer
    }

    fn options(&self, path: &[u8]) -> Answer<'_> {
        let mut fields = Vec::new();
        if let Some(allowed) = self.persona.allows() {
            fields.push((Name::Allow, allowed.to_owned()));
        }
        if let Some(mime) = self.site.mime(path) {
            fields.push((Name::ContentType, mime.to_owned()));
        }
        Answer { status: 200, fields, body: b"".into(), measured: true }
    }

    fn file<'a>(&self, file: &'a File, head: &Head, place: &Place, now: SystemTime) -> Answer<'a>
    where
        Self: 'a,
    {
        let ranged = head.field("Range").filter(|_| head.method != b"POST");
        let packed = file.gzip.as_deref().filter(|_| accepts_gzip(head) && ranged.is_none());
        let etag = self.persona.etag(file.inode, file.bytes.len(), file.modified, packed.is_some());
        let modified = file.modified.min(now.max(SystemTime::UNIX_EPOCH));
        let mut fields = vec![(Name::LastModified, date::show(modified)), (Name::ETag, etag.clone())];
        if packed.is_some() {
            fields.push((Name::Vary, "Accept-Encoding".to_owned()));
        }
        if self.persona.at_least(MODERN) && outdated(head, &etag, modified) {
            fields.push((Name::AcceptRanges, "bytes".to_owned()));
            fields.extend(file.mime.map(|mime| (Name::ContentType, mime.to_owned())));
            let body = if head.method == b"HEAD" { file.bytes.as_slice() } else { b"" };
            return Answer { status: 412, fields, body: body.into(), measured: true };
        }
        if matches!(head.method.as_slice(), b"GET" | b"HEAD") && unmodified(head, &etag, modified, now) {
            if !self.persona.describes_unmodified() {
                fields.retain(|(name, _)| *name != Name::LastModified);
            } else {
                fields.push((Name::AcceptRanges, "bytes".to_owned()));
            }
            return Answer { status: 304, fields, body: b"".into(), measured: false };
        }
        fields.push((Name::AcceptRanges, "bytes".to_owned()));
        let mime = file.mime.map(|mime| (Name::ContentType, mime.to_owned()));
        if let Some(packed) = packed {
            fields.push((Name::ContentEncoding, "gzip".to_owned()));
            fields.extend(mime);
            return Answer { status: 200, fields, body: packed.into(), measured: true };
        }
        let if_range = head.field("If-Range").is_none_or(|validator| {
            validator == etag.as_bytes() || date::read(validator).is_some_and(|date| date >= whole(modified))
        });
        match ranged.filter(|_| if_range).and_then(|range| ranges(range, file.bytes.len())) {
            None => {}
            Some(parts) => match parts.as_slice() {
                [] if self.persona.at_least(MODERN) => return self.unmeasured(head, place),
                [] => {
                    let mut answer = self.unsatisfiable(head, place);
                    answer.fields.push((Name::ContentRange, format!("bytes */{}", file.bytes.len())));
                    return answer;
                }
                [(first, last)] => {
                    fields.extend(mime);
                    let range = format!("bytes {first}-{last}/{}", file.bytes.len());
                    fields.push((Name::ContentRange, range));
                    let body = file.bytes.get(*first..=*last).unwrap_or_default();
                    return Answer { status: 206, fields, body: body.into(), measured: true };
                }
                several => {
                    let boundary =
                        format!("{:016x}", u64::from(file.inode).wrapping_mul(0x9e37_79b9_7f4a_7c15));
                    let kind = format!("multipart/byteranges; boundary={boundary}");
                    fields.push((Name::ContentType, kind));
                    let body = parted(file, several, &boundary);
                    return Answer { status: 206, fields, body: body.into(), measured: true };
                }
            },
        }
        fields.extend(mime);
        Answer { status: 200, fields, body: file.bytes.as_slice().into(), measured: true }
    }

    /// Apache sends this page through the filter that made it, so it does not know how long it is.
    fn unmeasured<'a>(&self, head: &Head, place: &Place) -> Answer<'a> {
        let mut answer = self.unsatisfiable(head, place);
        answer.measured = false;
        if head.version == Version::OneOne && head.method != b"HEAD" {
            let chunk = format!("{:x}\r\n", answer.body.len());
            answer.body = [chunk.as_bytes(), &answer.body, b"\r\n0\r\n\r\n"].concat().into();
            answer.fields.push((Name::TransferEncoding, "chunked".to_owned()));
        }
        answer
    }

    fn unsatisfiable<'a>(&self, head: &Head, place: &Place) -> Answer<'a> {
        let about = Circumstances {
            method: &head.method,
            host: &place.name,
            port: place.port,
            ..Circumstances::default()
        };
        let page = self.persona.page(416, &about).into_bytes();
        let fields = vec![(Name::ContentType, self.persona.error_type().to_owned())];
        Answer { status: 416, fields, body: page.into(), measured: true }
    }
}

/// Whether no file system has such a name: Apache says 403 then.
fn too_long(path: &[u8]) -> bool {
    let first = path.split(|byte| *byte == b'/').nth(1).unwrap_or_default();
    first.len() > NAME_MAX || path.len().saturating_add(b"/var/www/html".len()) >= PATH_MAX
}

/// The release whose code was looked at; older ones answer some of this in other ways.
const MODERN: (u32, u32, u32) = (2, 4, 25);

/// Longest name and longest path on Linux.
const NAME_MAX: usize = 255;
const PATH_MAX: usize = 4096;

/// What is to become of the connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    /// It is to be closed.
    pub(super) close: bool,
    /// The client asked, by name, for it to be kept.
    pub(super) asked: bool,
    /// Requests that are still served on it.
    pub(super) left: u16,
}

/// Where the client thinks it is.
struct Place {
    scheme: &'static str,
    /// Host and port, as asked for.
    authority: String,
    /// The host alone.
    name: String,
    port: u16,
}

impl Place {
    fn of(head: &Head, cx: &Cx<'_>, own: &str) -> Self {
        let host = head.host().filter(|host| super::request::valid_host(host));
        let authority =
            host.map_or_else(|| own.to_owned(), |host| String::from_utf8_lossy(host).into_owned());
        let (name, port) = split_port(authority.as_bytes());
        let (scheme, usual) = if cx.tls().is_some() { ("https", 443) } else { ("http", 80) };
        let port = port.and_then(|port| std::str::from_utf8(port).ok()).and_then(|port| port.parse().ok());
        let name = String::from_utf8_lossy(name).into_owned();
        Self { scheme, name, port: port.unwrap_or(usual), authority }
    }
}

/// The request, in chunks, as mod_http has it.
fn trace(head: &Head) -> Answer<'static> {
    let mut echo = [&head.method, &b" "[..], &head.target, b" ", &head.protocol, b"\r\n"].concat();
    for field in &head.fields {
        echo.extend_from_slice(&[field.name(), b": ", field.value(), b"\r\n"].concat());
    }
    echo.extend_from_slice(b"\r\n");
    let mut fields = vec![(Name::ContentType, "message/http".to_owned())];
    if head.version == Version::OneOne {
        fields.push((Name::TransferEncoding, "chunked".to_owned()));
        echo = [format!("{:x}\r\n", echo.len()).as_bytes(), &echo, b"\r\n0\r\n\r\n"].concat();
    }
    Answer { status: 200, fields, body: echo.into(), measured: false }
}
