//! The first line: `git-upload-pack /path NUL host=name NUL NUL version=2 NUL` (gitprotocol-pack, "Git Transport").
//! Read as `git daemon` reads it, with its limits: after `host=` nothing may follow but a second NUL.

/// A request for one of the daemon's services.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request<'a> {
    /// Which.
    pub(super) service: &'static str,
    /// Of which repository, as asked.
    pub(super) path: &'a [u8],
    /// The argument `host=`, as sent: a name or address, and perhaps a port.
    pub(super) host: Option<&'a [u8]>,
    /// Arguments after the second NUL.
    pub(super) extra: Vec<&'a [u8]>,
    /// Why the daemon leaves without a word; it does if there is a reason.
    pub(super) invalid: Option<&'static str>,
}

/// What the daemon offers. Only the first is enabled unless somebody enables the others.
const SERVICES: [&str; 3] = ["upload-pack", "receive-pack", "upload-archive"];
/// How many arguments are kept.
const EXTRAS: usize = 64;

impl<'a> Request<'a> {
    /// Reads it; `None` if no service is asked for.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let (text, arguments) = split_at_nul(line);
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let asked = text.strip_prefix(b"git-")?;
        let (service, path) = SERVICES.iter().find_map(|service| {
            let path = asked.strip_prefix(service.as_bytes())?.strip_prefix(b" ")?;
            Some((*service, path))
        })?;
        let mut request = Self { service, path, host: None, extra: Vec::new(), invalid: None };
        request.arguments(arguments.unwrap_or_default());
        Some(request)
    }

    fn arguments(&mut self, mut rest: &'a [u8]) {
        let is_host = |rest: &[u8]| rest.get(..5).is_some_and(|name| name.eq_ignore_ascii_case(b"host="));
        if is_host(rest) {
            let (argument, after) = split_at_nul(rest);
            let host = argument.get(5..).unwrap_or_default();
            self.host = Some(host);
            rest = after.unwrap_or_default();
            if let Some(bracketed) = host.strip_prefix(b"[") {
                let end = bracketed.iter().position(|byte| *byte == b']');
                let behind = end.and_then(|end| bracketed.get(end.saturating_add(1)..));
                self.invalid = match behind {
                    None => Some("'[' without ']'"),
                    Some(b"" | [b':', ..]) => None,
                    Some(_) => Some("text after ']'"),
                };
            }
        }
        if rest.first().is_some_and(|byte| *byte != 0) {
            self.invalid.get_or_insert("an argument that is not expected there");
        }
        self.extra = rest.split(|byte| *byte == 0).filter(|extra| !extra.is_empty()).take(EXTRAS).collect();
    }

    /// The version of the protocol: the highest of those asked for that git knows, else 0.
    pub(super) fn version(&self) -> u8 {
        let keys = self.extra.iter().flat_map(|extra| extra.split(|byte| *byte == b':'));
        let versions = keys.filter_map(|key| match key.strip_prefix(b"version=")? {
            b"1" => Some(1),
            b"2" => Some(2),
            _ => None,
        });
        versions.max().unwrap_or_default()
    }

    /// Whether it is what honeypot-auditor asks, and nobody else.
    pub(super) fn is_detector(&self) -> bool {
        self.path == b"/hpaudit.git" || self.host == Some(b"auditor.invalid")
    }

    /// The path without the slash that begins it.
    pub(super) fn repository(&self) -> &'a [u8] {
        self.path.strip_prefix(b"/").unwrap_or(self.path)
    }

    /// Name (or address) and port of [`Self::host`].
    pub(super) fn address(&self) -> (Option<&'a [u8]>, Option<u16>) {
        let Some(host) = self.host else { return (None, None) };
        let number = |port: &[u8]| std::str::from_utf8(port).ok().and_then(|port| port.parse().ok());
        if let Some(bracketed) = host.strip_prefix(b"[") {
            let mut parts = bracketed.splitn(2, |byte| *byte == b']');
            let name = parts.next();
            let port = parts.next().and_then(|port| port.strip_prefix(b":")).and_then(number);
            return (name, port);
        }
        let mut parts = host.split(|byte| *byte == b':');
        match (parts.next(), parts.next(), parts.next()) {
            (name, Some(port), None) => (name, number(port)),
            // More than one colon: an address without brackets.
            _ => (Some(host), None),
        }
    }
}

/// What is in front of the first NUL, and what is behind it.
fn split_at_nul(bytes: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    (parts.next().unwrap_or_default(), parts.next())
}

/// What a path leads to, where a repository lies at `repository` (as in `/payroll.git`).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nothing that is exported.
    Nowhere,
    /// That repository.
    Repository,
    /// A file in it, which git takes for a link to a repository, and leaves when it is none.
    File,
}

impl Place {
    /// Follows a path as `git daemon --base-path` does without `--strict-paths`.
    pub(super) fn of(path: &[u8], repository: &[u8]) -> Self {
        if !plain(path) {
            return Self::Nowhere;
        }
        let path = path.strip_suffix(b"/").unwrap_or(path);
        if path == repository || repository.strip_suffix(b".git") == Some(path) {
            return Self::Repository;
        }
        match path.strip_prefix(repository) {
            Some(b"/HEAD" | b"/config" | b"/packed-refs") => Self::File,
            _ => Self::Nowhere,
        }
    }
}

/// Whether a path is absolute, and has no empty name, `.` and `..` in it (a single slash may end it).
pub(super) fn plain(path: &[u8]) -> bool {
    let Some(names) = path.strip_prefix(b"/") else { return false };
    let names = names.strip_suffix(b"/").unwrap_or(names);
    names.split(|byte| *byte == b'/').all(|name| !matches!(name, b"" | b"." | b".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[u8]) -> Request<'_> {
        Request::parse(line).unwrap()
    }

    #[test]
    fn path_host_port_and_version_are_told_apart() {
        let request = parse(b"git-upload-pack /ghost.git\0host=files01:9419\0\0version=2\0foo\0");
        assert_eq!((request.service, request.path), ("upload-pack", &b"/ghost.git"[..]));
        assert_eq!((request.repository(), request.host), (&b"ghost.git"[..], Some(&b"files01:9419"[..])));
        assert_eq!(request.address(), (Some(&b"files01"[..]), Some(9419)));
        assert_eq!((request.version(), request.extra.len(), request.invalid), (2, 2, None));
        assert_eq!(parse(b"git-receive-pack /x\0host=[::1]:80\0").address(), (Some(&b"::1"[..]), Some(80)));
        assert_eq!(parse(b"git-upload-archive /x\0host=::1\0").address(), (Some(&b"::1"[..]), None));
        assert_eq!(parse(b"git-upload-pack /x").address(), (None, None));
        assert_eq!(parse(b"git-upload-pack /x\0\0version=1:version=x\0version=0\0").version(), 1);
        assert_eq!(Request::parse(b"git-foo /x\0"), None);
        assert_eq!(Request::parse(b"git-upload-pack"), None);
    }

    #[test]
    fn what_the_daemon_does_not_take_is_told() {
        for invalid in [&b"host=[::1\0"[..], b"host=[::1]x\0", b"host=x\0version=2\0", b"user=x\0"] {
            let line = [&b"git-upload-pack /x\0"[..], invalid].concat();
            assert!(parse(&line).invalid.is_some(), "{}", invalid.escape_ascii());
        }
    }

    #[test]
    fn only_the_repository_itself_is_found() {
        let place = |path: &str| Place::of(path.as_bytes(), b"/payroll.git");
        for path in ["/payroll.git", "/payroll", "/payroll.git/", "/payroll/"] {
            assert_eq!(place(path), Place::Repository, "{path}");
        }
        for path in
            ["payroll.git", "/payroll.git//", "/./payroll.git", "/x/../payroll.git", "/", "", "/payrol"]
        {
            assert_eq!(place(path), Place::Nowhere, "{path}");
        }
        assert_eq!(place("/payroll.git/HEAD"), Place::File);
    }
}
