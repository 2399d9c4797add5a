//! What each server says, word for word. `{user}`, `{verb}` and `{argument}` stand for what the peer sent.
//!
//! vsftpd 3.0.3, ProFTPD 1.3.8 and Pure-FTPd 1.0.50 as recorded from Debian 12's packages; FileZilla Server
//! 0.9.60 and the FTP service of IIS 8 to 10 as documented.

use std::time::Duration;

/// One server's manners before login.
#[derive(Debug)]
pub(super) struct Persona {
    /// What its greetings have in common.
    pub(super) sign: &'static str,
    /// To `USER`.
    pub(super) user: &'static str,
    /// To `USER` without a name, where that is an error.
    pub(super) nobody: Option<&'static str>,
    /// To a wrong password.
    pub(super) wrong: &'static str,
    /// To `PASS` without `USER`.
    pub(super) early: &'static str,
    /// To `QUIT`.
    pub(super) quit: &'static str,
    /// To `FEAT`, without and with `AUTH TLS`.
    pub(super) feat: [&'static str; 2],
    /// To `AUTH TLS`, without and with TLS.
    pub(super) auth: [&'static str; 2],
    /// To `AUTH` with another mechanism, with TLS.
    pub(super) mechanism: &'static str,
    /// To `PBSZ` and `PROT`, inside TLS.
    pub(super) protection: [&'static str; 2],
    /// To `OPTS UTF8 ON`, and to other options.
    pub(super) opts: [&'static str; 2],
    /// To other commands that need no login.
    pub(super) open: &'static [(&'static str, &'static str)],
    /// To commands that need one.
    pub(super) login_first: &'static str,
    /// To what is no command, where that is told apart.
    pub(super) unknown: Option<&'static str>,
    /// To an empty line; nothing where it is passed over.
    pub(super) empty: &'static str,
    /// To a line that is too long, before hanging up.
    pub(super) too_long: &'static str,
    /// To an HTTP request, before hanging up, where one is recognised.
    pub(super) http: Option<&'static str>,
    /// Before hanging up on silence.
    pub(super) timeout: &'static str,
    /// How long silence is borne.
    pub(super) patience: Duration,
    /// How many wrong passwords it takes.
    pub(super) tries: u8,
}

const VSFTPD: Persona = Persona {
    sign: "vsftpd",
    user: "331 Please specify the password.\r\n",
    nobody: None,
    wrong: "530 Login incorrect.\r\n",
    early: "503 Login with USER first.\r\n",
    quit: "221 Goodbye.\r\n",
    feat: [
        "211-Features:\r\n EPRT\r\n EPSV\r\n MDTM\r\n PASV\r\n REST STREAM\r\n SIZE\r\n TVFS\r\n211 End\r\n",
        "211-Features:\r\n AUTH TLS\r\n EPRT\r\n EPSV\r\n MDTM\r\n PASV\r\n PBSZ\r\n PROT\r\n REST STREAM\r\n \
         SIZE\r\n TVFS\r\n211 End\r\n",
    ],
    auth: ["530 Please login with USER and PASS.\r\n", "234 Proceed with negotiation.\r\n"],
    mechanism: "504 Unknown AUTH type.\r\n",
    protection: ["200 PBSZ set to 0.\r\n", "200 PROT now Private.\r\n"],
    opts: ["200 Always in UTF8 mode.\r\n", "501 Option not understood.\r\n"],
    open: &[],
    login_first: "530 Please login with USER and PASS.\r\n",
    unknown: None,
    empty: "",
    too_long: "500 Input line too long.\r\n",
    http: None,
    timeout: "421 Timeout.\r\n",
    patience: Duration::from_secs(300),
    tries: 3,
};

const PROFTPD: Persona = Persona {
    sign: "proftpd",
    user: "331 Password required for {user}\r\n",
    nobody: Some("500 USER: command requires a parameter\r\n"),
    wrong: "530 Login incorrect.\r\n",
    early: "503 Login with USER first\r\n",
    quit: "221 Goodbye.\r\n",
    feat: [
        "211-Features:\r\n CLNT\r\n CSID\r\n EPRT\r\n EPSV\r\n HOST\r\n LANG C.UTF-8*\r\n MDTM\r\n \
         MFF modify;UNIX.group;UNIX.mode;\r\n MFMT\r\n MLST modify*;perm*;size*;type*;unique*;UNIX.group*;\
         UNIX.groupname*;UNIX.mode*;UNIX.owner*;UNIX.ownername*;\r\n RANG STREAM\r\n REST STREAM\r\n SIZE\r\n \
         TVFS\r\n UTF8\r\n211 End\r\n",
        "211-Features:\r\n AUTH TLS\r\n CCC\r\n CLNT\r\n CSID\r\n EPRT\r\n EPSV\r\n HOST\r\n LANG C.UTF-8*\r\n \
         MDTM\r\n MFF modify;UNIX.group;UNIX.mode;\r\n MFMT\r\n MLST modify*;perm*;size*;type*;unique*;\
         UNIX.group*;UNIX.groupname*;UNIX.mode*;UNIX.owner*;UNIX.ownername*;\r\n PBSZ\r\n PROT\r\n \
         RANG STREAM\r\n REST STREAM\r\n SIZE\r\n SSCN\r\n TVFS\r\n UTF8\r\n211 End\r\n",
    ],
    auth: ["500 AUTH not understood\r\n", "234 AUTH TLS successful\r\n"],
    mechanism: "504 AUTH {argument} unsupported\r\n",
    protection: ["200 PBSZ 0 successful\r\n", "200 Protection set to Private\r\n"],
    opts: ["200 UTF8 set to on\r\n", "501 OPTS: {argument} not understood\r\n"],
    open: &[
        ("SYST", "215 UNIX Type: L8\r\n"),
        ("NOOP", "200 NOOP command successful\r\n"),
        ("CLNT", "200 OK\r\n"),
        ("TYPE", "200 Type set to {argument}\r\n"),
        ("ACCT", "502 ACCT command not implemented\r\n"),
        ("REIN", "502 REIN command not implemented\r\n"),
        ("HOST", "504 {argument}: Unknown hostname provided\r\n"),
        ("PBSZ", "500 PBSZ not understood\r\n"),
        ("PROT", "500 PROT not understood\r\n"),
        (
            "HELP",
            "214-The following commands are recognized (* =>'s unimplemented):\r\n \
             CWD     XCWD    CDUP    XCUP    SMNT*   QUIT    PORT    PASV    \r\n \
             EPRT    EPSV    ALLO    RNFR    RNTO    DELE    MDTM    RMD     \r\n \
             XRMD    MKD     XMKD    PWD     XPWD    SIZE    SYST    HELP    \r\n \
             NOOP    FEAT    OPTS    HOST    CLNT    AUTH*   CCC*    CONF*   \r\n \
             ENC*    MIC*    PBSZ*   PROT*   TYPE    STRU    MODE    RETR    \r\n \
             STOR    STOU    APPE    REST    ABOR    RANG    USER    PASS    \r\n \
             ACCT*   REIN*   LIST    NLST    STAT    SITE    MLSD    MLST    \r\n\
             214 Direct comments to root@localhost\r\n",
        ),
    ],
    login_first: "530 Please login with USER and PASS\r\n",
    unknown: Some("500 {verb} not understood\r\n"),
    empty: "500 Invalid command: try being more creative\r\n",
    too_long: "",
    http: Some(""),
    timeout: "421 Login timeout (300 seconds): closing control connection\r\n",
    patience: Duration::from_secs(300),
    tries: 3,
};

const PURE_FTPD: Persona = Persona {
    sign: "pure-ftpd",
    user: "331 User {user} OK. Password required\r\n",
    nobody: None,
    wrong: "530 Login authentication failed\r\n",
    early: "530 Please tell me who you are\r\n",
    quit: "221-Goodbye. You uploaded 0 and downloaded 0 kbytes.\r\n221 Logout.\r\n",
    feat: [PURE_FEAT, PURE_FEAT],
    auth: ["500 This security scheme is not implemented\r\n", "234 AUTH TLS OK.\r\n"],
    mechanism: "500 This security scheme is not implemented\r\n",
    protection: ["200 PBSZ=0\r\n", "200 Data protection level set to \"private\"\r\n"],
    opts: ["504 Unknown command\r\n", "504 Unknown command\r\n"],
    open: &[
        ("SYST", "215 UNIX Type: L8\r\n"),
        ("NOOP", "200 Zzz...\r\n"),
        ("PBSZ", "503 PBSZ=0\r\n"),
        ("PROT", "503 PROT must be preceded by a successful PBSZ command\r\n"),
        (
            "HELP",
            "214-The following SITE commands are recognized\r\n ALIAS\r\n CHMOD\r\n IDLE\r\n UTIME\r\n\
             214 Pure-FTPd - http://pureftpd.org/\r\n",
        ),
    ],
    login_first: "530 You aren't logged in\r\n",
    unknown: None,
    empty: "",
    too_long: "421 Line too long\r\n",
    http: Some("500 HTTP command: [{verb}]\r\n"),
    timeout: "421 Timeout\r\n",
    patience: Duration::from_secs(900),
    tries: 5,
};

const PURE_FEAT: &str = "211-Extensions supported:\r\n UTF8\r\n EPRT\r\n IDLE\r\n MDTM\r\n SIZE\r\n MFMT\r\n \
    REST STREAM\r\n MLST type*;size*;sizd*;modify*;UNIX.mode*;UNIX.uid*;UNIX.gid*;unique*;\r\n MLSD\r\n PRET\r\n \
    AUTH TLS\r\n PBSZ\r\n PROT\r\n TVFS\r\n ESTA\r\n PASV\r\n EPSV\r\n ESTP\r\n211 End.\r\n";

const FILEZILLA: Persona = Persona {
    sign: "filezilla",
    user: "331 Password required for {user}\r\n",
    nobody: Some("501 Syntax error\r\n"),
    wrong: "530 Login or password incorrect!\r\n",
    early: "503 Login with USER first.\r\n",
    quit: "221 Goodbye\r\n",
    feat: [
        "211-Features:\r\n MDTM\r\n REST STREAM\r\n SIZE\r\n MLST type*;size*;modify*;\r\n MLSD\r\n UTF8\r\n \
         CLNT\r\n MFMT\r\n EPSV\r\n EPRT\r\n211 End\r\n",
        "211-Features:\r\n MDTM\r\n REST STREAM\r\n SIZE\r\n MLST type*;size*;modify*;\r\n MLSD\r\n AUTH SSL\r\n \
         AUTH TLS\r\n PROT\r\n PBSZ\r\n UTF8\r\n CLNT\r\n MFMT\r\n EPSV\r\n EPRT\r\n211 End\r\n",
    ],
    auth: ["502 Explicit TLS authentication not allowed\r\n", "234 Using authentication type TLS\r\n"],
    mechanism: "504 Auth type not supported\r\n",
    protection: ["200 PBSZ=0\r\n", "200 Protection level set to P\r\n"],
    opts: [
        "202 UTF8 mode is always enabled. No need to send this command.\r\n",
        "501 Option not understood\r\n",
    ],
    open: &[
        ("SYST", "215 UNIX emulated by FileZilla\r\n"),
        ("NOOP", "200 OK\r\n"),
        ("CLNT", "200 Don't care\r\n"),
    ],
    login_first: "530 Please log in with USER and PASS first.\r\n",
    unknown: Some("500 Syntax error, command unrecognized.\r\n"),
    empty: "500 Syntax error, command unrecognized.\r\n",
    too_long: "500 Line too long\r\n",
    http: None,
    timeout: "421 Login time exceeded. Closing control connection.\r\n",
    patience: Duration::from_secs(60),
    tries: 10,
};

const MICROSOFT: Persona = Persona {
    sign: "microsoft ftp",
    user: "331 Password required\r\n",
    nobody: Some("501 Parameter cannot be found. Use \"USER\" to set user name.\r\n"),
    wrong: "530 User cannot log in.\r\n",
    early: "503 Login with USER first.\r\n",
    quit: "221 Goodbye.\r\n",
    feat: [MICROSOFT_FEAT, MICROSOFT_FEAT],
    auth: [
        "534 Local policy on server does not allow TLS secure connections.\r\n",
        "234 AUTH command ok. Expecting TLS Negotiation.\r\n",
    ],
    mechanism: "504 Security mechanism not implemented.\r\n",
    protection: ["200 PBSZ command successful.\r\n", "200 PROT command successful.\r\n"],
    opts: ["200 OPTS UTF8 command successful - UTF8 encoding now ON.\r\n", "501 Option not supported.\r\n"],
    open: &[("SYST", "215 Windows_NT\r\n"), ("NOOP", "200 noop command successful.\r\n")],
    login_first: "530 Please login with USER and PASS.\r\n",
    unknown: Some("500 Command not understood.\r\n"),
    empty: "500 Command not understood.\r\n",
    too_long: "500 Command line is too long.\r\n",
    http: None,
    timeout: "421 Timeout (120 seconds): closing control connection.\r\n",
    patience: Duration::from_secs(120),
    tries: 4,
};

const MICROSOFT_FEAT: &str = "211-Extended features supported:\r\n LANG EN*\r\n UTF8\r\n \
    AUTH TLS;TLS-C;SSL;TLS-P;\r\n PBSZ\r\n PROT C;P;\r\n CCC\r\n HOST\r\n SIZE\r\n MDTM\r\n REST STREAM\r\n211 END\r\n";

static ALL: [Persona; 5] = [VSFTPD, PROFTPD, PURE_FTPD, FILEZILLA, MICROSOFT];

/// The server that greets so; vsftpd if no other is recognised.
pub(super) fn of(banner: &str) -> &'static Persona {
    let banner = banner.to_lowercase();
    let [vsftpd, ..] = &ALL;
    ALL.iter().find(|persona| banner.contains(persona.sign)).unwrap_or(vsftpd)
}

/// Verbs of RFC 959 and its extensions: what servers that tell the difference do not call unknown.
pub(super) static KNOWN: [&[u8]; 51] = [
    b"ABOR", b"ACCT", b"ALLO", b"APPE", b"CCC", b"CDUP", b"CWD", b"DELE", b"EPRT", b"EPSV", b"HELP", b"HOST",
    b"LANG", b"LIST", b"MDTM", b"MFCT", b"MFF", b"MFMT", b"MKD", b"MLSD", b"MLST", b"MODE", b"NLST", b"NOOP",
    b"OPTS", b"PASV", b"PBSZ", b"PORT", b"PROT", b"PWD", b"RANG", b"REIN", b"REST", b"RETR", b"RMD", b"RNFR",
    b"RNTO", b"SITE", b"SIZE", b"SMNT", b"STAT", b"STOR", b"STOU", b"STRU", b"SYST", b"TYPE", b"XCUP",
    b"XCWD", b"XMKD", b"XPWD", b"XRMD",
];
