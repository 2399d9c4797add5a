//! The keys of the peer's file, as facts: name, default, and where each ends in ours.

/// A default that the peer has and we do not.
#[derive(Debug, Clone, Copy)]
pub(super) enum Default {
    /// Ours is the same, or there is none.
    None,
    /// Text.
    Text(&'static str),
    /// Yes or no.
    Flag(bool),
    /// A number.
    Number(i64),
}

/// One key of a service.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    /// As the peer writes it, without the service's name.
    pub(super) peer: &'static str,
    /// As we do.
    pub(super) ours: &'static str,
    /// What it is where the file does not say.
    pub(super) default: Default,
}

/// A service that both have.
#[derive(Debug)]
pub(super) struct Service {
    /// Its name in both.
    pub(super) name: &'static str,
    /// Its port where the file does not say; 0: it listens nowhere, and whatever the file says is left out.
    pub(super) port: i64,
    /// Keys of its own.
    pub(super) keys: &'static [Key],
    /// Keys that it shares with another service, under whose name they stand.
    pub(super) shared: Option<(&'static str, &'static [Key])>,
    /// Keys that are only there for whoever reads the file.
    pub(super) informative: &'static [&'static str],
}

const fn key(name: &'static str, default: Default) -> Key {
    Key { peer: name, ours: name, default }
}

const fn renamed(peer: &'static str, ours: &'static str, default: Default) -> Key {
    Key { peer, ours, default }
}

const HTTP_SHARED: &[Key] = &[
    key("banner", Default::Text("Apache/2.2.22 (Ubuntu)")),
    key("skindir", Default::None),
    key("log_unimplemented_method_requests", Default::Flag(false)),
    key("log_redirect_request", Default::Flag(false)),
];

/// Keys that every service of the peer has.
pub(super) const COMMON: [&str; 3] = ["enabled", "port", "honeycreds"];

const PLAIN: Service = Service { name: "", port: 0, keys: &[], shared: None, informative: &[] };

/// The services that both have, apart from the TCP banners ([`TCP_BANNER`]).
pub(super) const SERVICES: &[Service] = &[
    Service {
        name: "ftp",
        port: 21,
        keys: &[
            key("banner", Default::Text("FTP server ready")),
            key("log_auth_attempt_initiated", Default::Flag(false)),
        ],
        ..PLAIN
    },
    Service {
        name: "telnet",
        port: 23,
        keys: &[key("banner", Default::Text("")), key("log_tcp_connection", Default::Flag(false))],
        ..PLAIN
    },
    Service {
        name: "http",
        port: 80,
        keys: &[
            key("banner", Default::Text("Apache/2.2.22 (Ubuntu)")),
            key("skin", Default::Text("nasLogin")),
            key("skindir", Default::None),
            key("log_unimplemented_method_requests", Default::Flag(false)),
            key("log_redirect_request", Default::Flag(false)),
        ],
        informative: &["skin.list"],
        ..PLAIN
    },
    Service {
        name: "https",
        port: 443,
        keys: &[
            key("skin", Default::Text("nasLogin")),
            key("certificate", Default::Text("/etc/ssl/opencanary/opencanary.pem")),
            key("key", Default::Text("/etc/ssl/opencanary/opencanary.key")),
            key("domain_name", Default::Text("synologynas.local")),
        ],
        shared: Some(("http", HTTP_SHARED)),
        informative: &["skin.list"],
    },
    Service {
        name: "httpproxy",
        port: 8080,
        keys: &[
            key("skin", Default::Text("squid")),
            key("banner", Default::Text("")),
            // What the peer's skin says it is; its file has no key for it.
            key("version", Default::Text("3.3.8")),
        ],
        informative: &["skin.list"],
        ..PLAIN
    },
    Service {
        name: "ssh",
        port: 22,
        keys: &[
            key("version", Default::Text("SSH-2.0-OpenSSH_5.1p1 Debian-4")),
            key("preauth_banner", Default::Text("")),
            key("key_path", Default::Text("/var/tmp")),
        ],
        ..PLAIN
    },
    Service {
        name: "mysql",
        port: 3306,
        keys: &[
            key("banner", Default::Text("5.5.43-0ubuntu0.14.04.1")),
            key("log_connection_made", Default::Flag(false)),
        ],
        ..PLAIN
    },
    Service { name: "mssql", port: 1433, keys: &[key("version", Default::Text("2012"))], ..PLAIN },
    Service { name: "mongodb", port: 27017, keys: &[key("version", Default::Text("4.4.6"))], ..PLAIN },
    Service { name: "ntp", port: 123, ..PLAIN },
    Service { name: "redis", port: 6379, keys: &[key("max_arg_length", Default::Number(30))], ..PLAIN },
    Service { name: "sip", port: 5060, ..PLAIN },
    Service { name: "snmp", port: 161, ..PLAIN },
    Service { name: "git", port: 9418, ..PLAIN },
    Service { name: "tftp", port: 69, ..PLAIN },
    Service { name: "vnc", port: 5900, ..PLAIN },
    Service { name: "rdp", port: 3389, ..PLAIN },
    Service {
        name: "llmnr",
        port: 5355,
        keys: &[
            key("query_interval", Default::Number(60)),
            key("query_splay", Default::Number(5)),
            key("hostname", Default::Text("DC03")),
        ],
        ..PLAIN
    },
    Service {
        name: "portscan",
        keys: &[
            key("ignore_localhost", Default::Flag(false)),
            // Packets need no log: it is read where the file names one.
            key("logfile", Default::None),
            key("synrate", Default::Number(5)),
            key("nmaposrate", Default::Number(5)),
            key("lorate", Default::Number(3)),
            key("ignore_ports", Default::None),
        ],
        ..PLAIN
    },
    Service {
        name: "smb",
        port: 445,
        keys: &[
            key("auditfile", Default::None),
            // The peer only reads what a Samba logs; a server of one's own is there for whoever asks for it.
            key("mode", Default::Text("audit")),
            key("folder", Default::None),
            key("share", Default::None),
        ],
        ..PLAIN
    },
];

/// The keys of `tcpbanner_N`.
pub(super) const TCP_BANNER: &[Key] = &[
    key("initbanner", Default::Text("")),
    key("datareceivedbanner", Default::Text("")),
    renamed("alertstring.enabled", "alertstring_enabled", Default::Flag(false)),
    key("alertstring", Default::Text("")),
    renamed("keep_alive.enabled", "keep_alive", Default::Flag(false)),
    key("keep_alive_secret", Default::Text("")),
    key("keep_alive_probes", Default::Number(11)),
    key("keep_alive_interval", Default::Number(300)),
    key("keep_alive_idle", Default::Number(300)),
];

/// How many TCP banners there may be where the file does not say.
pub(super) const TCP_BANNERS: i64 = 10;

/// Keys that belong to no service.
pub(super) const GENERAL: [&str; 8] = [
    "device.node_id",
    "device.listen_addr",
    "device.name",
    "device.desc",
    "ip.ignorelist",
    "logtype.ignorelist",
    "logger",
    // Sic: the peer's sample has it under that name, for whoever reads it.
    "httproxy.skin.list",
];
