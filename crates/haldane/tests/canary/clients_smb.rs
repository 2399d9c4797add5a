//! Clients of SMB.

use std::{fs, os::unix::fs::symlink, path::Path};

use serde_json::Value;

use crate::fixture::{Canary, client, folder, free_port, installed, python, text};

/// Every dialect of smbclient's, and what Samba's audit calls it.
const DIALECTS: [&str; 6] = ["NT1", "SMB2_02", "SMB2_10", "SMB3_00", "SMB3_02", "SMB3_11"];
const HONEY: &str = "honeycreds = [{ username = \"eve\", password = \"Winter2024\" }]\n";

fn canary(settings: &str) -> (Canary, u16) {
    let port = free_port();
    (Canary::start(&format!("[service.smb]\nport = {port}\n{settings}")), port)
}

/// smbclient against that port.
fn smbclient(port: u16, dialect: &str, arguments: &[&str]) -> String {
    let port = port.to_string();
    let fixed = ["-s", "/dev/null", "--option=client min protocol=NT1", "-m", dialect, "-p", &port];
    client("smbclient", &[&fixed, arguments].concat())
}

fn logins(canary: &Canary) -> Vec<Value> {
    canary.so_far(|event| event["kind"] == "smb.login")
}

fn closed(canary: &Canary) {
    canary.event("the end", |event| event["kind"] == "connection.closed");
}

/// Uses of shares: action, file and status.
fn uses(canary: &Canary) -> Vec<(String, String, String)> {
    let events = canary.so_far(|event| event["kind"] == "smb.audit");
    let text = |event: &Value, key: &str| event["fields"][key].as_str().unwrap_or_default().to_owned();
    events.iter().map(|event| (text(event, "action"), text(event, "file"), text(event, "status"))).collect()
}

/// The one login, of which hashcat and john can make a password: the canary has done it.
fn only(canary: &Canary) -> Value {
    let login = canary.event("the login", |event| event["kind"] == "smb.login");
    closed(canary);
    assert_eq!(logins(canary).len(), 1, "{:#?}", logins(canary));
    assert_eq!(login["credential"]["username"], "eve", "{login}");
    login
}

fn crackable(login: &Value) -> &str {
    login["credential"]["response"]["crackable"].as_str().unwrap_or_else(|| panic!("{login}"))
}

#[test]
fn smbclient_logs_in_once_in_every_dialect_and_leaves_a_line_that_can_be_cracked() {
    if !installed("smbclient") {
        return;
    }
    for dialect in DIALECTS {
        let (canary, port) = canary(HONEY);
        let said = smbclient(port, dialect, &["-U", "CORP\\eve%Winter2024", "-L", "127.0.0.1"]);
        assert!(said.contains("NT_STATUS_LOGON_FAILURE"), "{dialect}: {said}");
        let login = only(&canary);
        assert_eq!((&login["credential"]["domain"], &login["honeycred"]), (&"CORP".into(), &true.into()));
        assert!(crackable(&login).starts_with("eve::CORP:"), "{login}");
        assert_eq!(login["fields"]["status"], "NT_STATUS_LOGON_FAILURE");
        assert_eq!(login["fields"]["version"], dialect);
        let said = canary.event("the offer", |event| event["kind"] == "smb.negotiate");
        assert!(said["fields"]["dialects"].is_array(), "{said}");
    }
}

#[test]
fn smbclient_sees_the_shares_in_every_dialect() {
    if !installed("smbclient") {
        return;
    }
    for dialect in DIALECTS {
        let (canary, port) = canary("share = \"Projects\"\ncomment = \"All of them\"\n");
        let said = smbclient(port, dialect, &["-U", "%", "-g", "-L", "127.0.0.1"]);
        for line in [
            "Disk|ADMIN$|Remote Admin",
            "Disk|C$|Default share",
            "IPC|IPC$|Remote IPC",
            "Disk|Projects|All of them",
        ] {
            assert!(said.lines().any(|found| found == line), "{dialect}: {said}");
        }
        let call = canary.event("the question", |event| event["kind"] == "smb.rpc");
        assert_eq!(call["fields"]["call"], "srvsvc NetrShareEnum", "{call}");
    }
}

/// A share with a secret outside of it and ways that seem to lead there.
fn bait(folder: &Path) {
    let share = folder.join("share");
    fs::create_dir_all(share.join("Finance/2024")).unwrap();
    fs::write(folder.join("outside.txt"), "outside").unwrap();
    fs::write(share.join("wages.txt"), "wages of all").unwrap();
    fs::write(share.join("Finance/2024/big.bin"), vec![7; 3_000_000]).unwrap();
    symlink("../outside.txt", share.join("link.txt")).unwrap();
    symlink("/", share.join("root")).unwrap();
    symlink("..", share.join("Finance/up")).unwrap();
    rustix_fifo(&share.join("pipe"));
}

fn rustix_fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

fn with_bait(settings: &str) -> (Canary, u16) {
    let (port, folder) = (free_port(), folder());
    bait(folder.path());
    let settings = format!("[service.smb]\nport = {port}\nfolder = \"{{folder}}/share\"\n{settings}");
    (Canary::start_in(folder, &settings), port)
}

#[test]
fn bait_is_listed_and_read_and_what_would_change_it_is_refused_and_recorded_in_every_dialect() {
    if !installed("smbclient") {
        return;
    }
    for dialect in DIALECTS {
        let (canary, port) = with_bait("");
        let (folder, get) = (canary.folder.path(), |name: &str| canary.folder.path().join(name));
        fs::write(get("mine.txt"), "mine").unwrap();
        let script = format!(
            "ls; cd Finance\\2024; get big.bin {big}; cd \\; get wages.txt {wages}; put {mine} evil.txt; \
             put {mine} wages.txt; mkdir evil; rm wages.txt; rmdir Finance; rename wages.txt gone.txt; get link.txt {mine}; \
             get nothing {mine}",
            big = get("big").display(),
            wages = get("wages").display(),
            mine = get("mine.txt").display(),
        );
        let said = smbclient(port, dialect, &["-U", "guest%", "//127.0.0.1/Documents", "-c", &script]);
        assert_eq!(text(get("wages")), "wages of all", "{dialect}: {said}");
        assert_eq!(fs::read(get("big")).unwrap(), vec![7; 3_000_000], "{dialect}");
        assert!(!said.contains("link.txt  ") && !said.contains("pipe  "), "{dialect}: {said}");
        assert_eq!(text(folder.join("share/wages.txt")), "wages of all");
        assert_eq!(text(get("mine.txt")), "mine");
        closed(&canary);
        let seen = uses(&canary);
        let (ok, no) = ("ok", "fail (Permission denied)");
        for (action, file, status) in [
            ("opendir", "", ok),
            ("openat", "Finance\\2024\\big.bin", ok),
            ("pread", "Finance\\2024\\big.bin", ok),
            ("openat", "wages.txt", ok),
            ("pread", "wages.txt", ok),
            ("openat", "evil.txt", no),
            ("openat", "wages.txt", no),
            ("mkdirat", "evil", no),
            ("unlinkat", "wages.txt", no),
            ("renameat", "wages.txt", no),
            ("openat", "nothing", "fail (No such file or directory)"),
        ] {
            let fits = |(a, f, s): &(String, String, String)| {
                a == action && f.trim_start_matches('\\') == file && s == status
            };
            assert!(seen.iter().any(fits), "{dialect}: {action} {file} {status}: {seen:#?}");
        }
        let reads = seen.iter().filter(|(action, file, _)| action == "pread" && file.ends_with("big.bin"));
        assert_eq!(reads.count(), 1, "{dialect}: one event, however many packets");
    }
}

/// Ways that lead out of a share elsewhere, or to what is no file.
const ESCAPES: &str = r"
import sys
from impacket.smbconnection import SMBConnection, SessionError
from impacket.smb import SMB_DIALECT
from impacket.nmb import NetBIOSError
names = ['..\\outside.txt', '..\\..\\outside.txt', '\\..\\outside.txt', 'Finance\\..\\..\\outside.txt',
    'Finance\\..\\wages.txt', '.\\wages.txt', '../outside.txt', 'Finance/../../outside.txt', '\\\\..\\outside.txt',
    'link.txt', 'root\\etc\\passwd', 'Finance\\up\\up\\outside.txt', 'Finance\\up\\wages.txt', 'pipe',
    'C:\\outside.txt', '\\\\?\\C:\\outside.txt', '\\\\.\\pipe\\x', '\\??\\C:\\x', 'wages.txt:secret', 'wages.txt:secret:$DATA',
    ':$DATA', '..::$DATA', 'Finance::$INDEX_ALLOCATION\\..\\..\\outside.txt',
    'CON', 'NUL', 'COM1', 'LPT1.txt', 'AUX', 'PRN', '%2e%2e\\outside.txt', '..%5coutside.txt', '\u2025\\outside.txt',
    '\uff0e\uff0e\\outside.txt', '..\uff3coutside.txt', '..\u2216outside.txt', 'wages.txt\\', 'wages.txt\\..\\..\\outside.txt',
    'wages.txt\0', '..\0\\outside.txt', 'wages.txt\\x', 'a' * 300, 'a\\' * 2000 + 'x', '\ud800', '...\\outside.txt',
    '. .\\outside.txt', '.. \\outside.txt', '..\\share\\wages.txt', '\\etc\\passwd', '/etc/passwd', '@GMT-2024.01.01-00.00.00\\..\\outside.txt',
    'wages?txt', 'w*', 'wages.tx<', 'wages<txt', '\x01', '|id', '$(id)', '`id`', '~/x', 'outside.txt', '\\outside.txt']
port, dialect = int(sys.argv[1]), sys.argv[2]
chosen = SMB_DIALECT if dialect == 'NT1' else int(dialect, 16)
def connect():
    connection = SMBConnection('*SMBSERVER', '127.0.0.1', sess_port=port, preferredDialect=chosen)
    connection.login('guest', '')
    return connection
connection = connect()
for name in names:
    got = []
    try:
        connection.getFile('Documents', name, got.append)
        print('READ', ascii(name), b''.join(got))
    except UnicodeEncodeError:
        print('refused', ascii(name), 'by the client')
    except (SessionError, NetBIOSError, Exception) as error:
        print('refused', ascii(name), str(error)[:60])
        if 'STATUS' not in str(error):
            connection = connect()
got = []
connection.getFile('Documents', 'WAGES.TXT::$DATA', got.append)
print('READ', b''.join(got))
";

#[test]
fn nothing_outside_the_folder_can_be_reached_by_any_name() {
    for dialect in ["NT1", "202", "311"] {
        let (canary, port) = with_bait("");
        let Some(said) = python(ESCAPES, &[&port.to_string(), dialect]) else { return };
        let read: Vec<&str> = said.lines().filter(|line| line.starts_with("READ")).collect();
        // Some clients take dots and slashes out of a name before they send it: that is the file in the share.
        let outside = |line: &&&str| !line.ends_with("b'wages of all'");
        assert_eq!(read.iter().find(outside), None, "{dialect}: {said}");
        assert!(read.last().is_some_and(|line| line.contains("wages of all")), "{dialect}: {said}");
        assert!(said.lines().filter(|line| line.starts_with("refused")).count() > 50, "{dialect}: {said}");
        let files = uses(&canary);
        assert!(files.iter().any(|(_, file, _)| file.contains("passwd")), "{dialect}: {files:#?}");
    }
}

const SIGNED: &str = r"
import sys, uuid
from smbprotocol.connection import Connection
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect
from smbprotocol.open import Open, ImpersonationLevel, FilePipePrinterAccessMask, FileAttributes, ShareAccess, CreateDisposition, CreateOptions
from smbprotocol.connection import Dialects
for dialect in Dialects.SMB_2_0_2, Dialects.SMB_2_1_0, Dialects.SMB_3_0_0, Dialects.SMB_3_0_2, Dialects.SMB_3_1_1:
    connection = Connection(uuid.uuid4(), '127.0.0.1', int(sys.argv[1]), require_signing=True)
    connection.connect(dialect, timeout=20)
    session = Session(connection, 'backup', 'Summer2024', require_encryption=False, auth_protocol='ntlm')
    session.connect()
    tree = TreeConnect(session, r'\\127.0.0.1\Documents')
    tree.connect(require_secure_negotiate=0x300 <= dialect < 0x311)
    file = Open(tree, 'wages.txt')
    file.create(ImpersonationLevel.Impersonation, FilePipePrinterAccessMask.GENERIC_READ, FileAttributes.FILE_ATTRIBUTE_NORMAL,
        ShareAccess.FILE_SHARE_READ, CreateDisposition.FILE_OPEN, CreateOptions.FILE_NON_DIRECTORY_FILE)
    print(hex(dialect), file.read(0, 100))
    file.close(False)
    connection.disconnect()
";

#[test]
fn a_planted_account_gets_in_with_signatures_that_its_client_checks() {
    for signing in ["enabled", "required"] {
        let (canary, port) =
            with_bait(&format!("users = [\"backup:Summer2024\"]\nsigning = \"{signing}\"\n"));
        let Some(said) = python(SIGNED, &[&port.to_string()]) else { return };
        for dialect in ["0x202", "0x210", "0x300", "0x302", "0x311"] {
            assert!(said.contains(&format!("{dialect} b'wages of all'")), "{said}");
        }
        assert_eq!(logins(&canary).len(), 5);
        if !installed("smbclient") {
            return;
        }
        for (dialect, version) in DIALECTS[1..].iter().flat_map(|dialect| [(dialect, "yes"), (dialect, "no")])
        {
            let version = format!("--option=client ntlmv2 auth={version}");
            let login = [
                "--option=client signing=required",
                &version,
                "-U",
                "BACKUP%Summer2024",
                "//127.0.0.1/Documents",
                "-c",
                "ls",
            ];
            let said = smbclient(port, dialect, &login);
            assert!(said.contains("wages.txt"), "{dialect}: {said}");
            if dialect.starts_with("SMB3") {
                let said =
                    smbclient(port, dialect, &[&["--client-protection=encrypt"], &login[1..]].concat());
                assert!(said.contains("wages.txt"), "{dialect}, encrypted: {said}");
            }
            let wrong =
                smbclient(port, dialect, &["-U", "backup%wrong", "//127.0.0.1/Documents", "-c", "ls"]);
            assert!(wrong.contains("NT_STATUS_LOGON_FAILURE"), "{dialect}: {wrong}");
        }
    }
}

const SAMBA_CRY: &str = r"
import sys, uuid
from impacket.smbconnection import SMBConnection, SessionError
from smbprotocol.connection import Connection
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect
from smbprotocol.open import Open, ImpersonationLevel, FilePipePrinterAccessMask, FileAttributes, ShareAccess, CreateDisposition, CreateOptions
from smbprotocol.exceptions import SMBResponseException
port, library = int(sys.argv[1]), '/srv/share/evil.so'
try:
    old = SMBConnection('*SMBSERVER', '127.0.0.1', sess_port=port, preferredDialect='NT LM 0.12')
    old.login('', '')
    old.getSMBServer().nt_create_andx(old.connectTree('IPC$'), library)
except Exception as error:
    print('1:', error)
connection = Connection(uuid.uuid4(), '127.0.0.1', port, require_signing=False)
connection.connect(timeout=20)
session = Session(connection, 'guest', '', require_encryption=False, auth_protocol='ntlm')
session.connect()
tree = TreeConnect(session, r'\\127.0.0.1\IPC$')
tree.connect(require_secure_negotiate=False)
try:
    Open(tree, library).create(ImpersonationLevel.Impersonation, FilePipePrinterAccessMask.GENERIC_READ,
        FileAttributes.FILE_ATTRIBUTE_NORMAL, ShareAccess.FILE_SHARE_READ, CreateDisposition.FILE_OPEN, CreateOptions.FILE_NON_DIRECTORY_FILE)
except SMBResponseException as error:
    print('2:', error)
";

#[test]
fn a_library_that_is_opened_as_a_pipe_is_known_for_what_it_is_in_both_generations() {
    let (canary, port) = canary("");
    let Some(said) = python(SAMBA_CRY, &[&port.to_string()]) else { return };
    assert_eq!(said.matches("OBJECT_NAME_NOT_FOUND").count(), 2, "{said}");
    let seen = canary.events(2, "the attacks", |event| event["kind"] == "smb.exploit");
    for attack in seen {
        assert_eq!(attack["fields"]["exploit"], "SambaCry (CVE-2017-7494)", "{attack}");
        assert!(attack["fields"]["pipe"].as_str().unwrap().ends_with("evil.so"), "{attack}");
    }
}

#[test]
fn tools_that_guess_passwords_are_refused_and_each_guess_is_one_login() {
    let port = free_port();
    let ports = port.to_string();
    let target = format!("smb://127.0.0.1:{port}");
    let tools: [(&str, &[&str]); 3] = [
        ("hydra", &["-I", "-t", "1", "-s", &ports, "-l", "eve", "-p", "Winter2024", "127.0.0.1", "smb"]),
        ("medusa", &["-h", "127.0.0.1", "-n", &ports, "-u", "eve", "-p", "Winter2024", "-M", "smbnt"]),
        ("ncrack", &["--user", "eve", "--pass", "Winter2024", &target]),
    ];
    for (tool, arguments) in tools {
        if !installed(tool) {
            continue;
        }
        let canary = Canary::start(&format!("[service.smb]\nport = {port}\n{HONEY}"));
        let said = client(tool, arguments);
        assert!(
            !said.contains("ACCOUNT FOUND") && !said.contains("host: 127.0.0.1   login"),
            "{tool}: {said}"
        );
        let login = only(&canary);
        assert!(crackable(&login).starts_with("eve:"), "{tool}: {login}");
        assert_eq!(login["honeycred"], true, "{tool}: {login}");
    }
}

#[test]
fn nmap_finds_a_windows_server() {
    if !installed("nmap") {
        return;
    }
    let (canary, port) = canary("");
    let scripts = "smb-protocols,smb2-security-mode,smb2-capabilities,smb2-time,smb-security-mode,\
                   smb-enum-shares,smb-vuln-ms17-010,smb-double-pulsar-backdoor";
    let arguments =
        ["-Pn", "-p", &port.to_string(), "--script-args", &format!("smbport={port}"), "--script", scripts];
    let said = client("nmap", &[&arguments[..], &["127.0.0.1"]].concat());
    for line in [
        "NT LM 0.12 (SMBv1)",
        "Message signing enabled but not required",
        "start_date: N/A",
        "message_signing: disabled (dangerous, but default)",
        "\\\\127.0.0.1\\Documents:",
        "Anonymous access: READ",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    for dialect in ["202", "210", "300", "302", "311"] {
        assert!(said.contains(dialect), "{said}");
    }
    assert!(!said.contains("VULNERABLE"), "{said}");
    canary.event("the offer", |event| event["kind"] == "smb.negotiate");
}

const IMPACKET: &str = r"
import io, sys
from impacket.smbconnection import SMBConnection, SessionError
connection = SMBConnection('*SMBSERVER', '127.0.0.1', sess_port=int(sys.argv[1]))
try:
    connection.login('eve', '', 'CORP', nthash='8846f7eaee8fb117ad06bdd830b7586c')
except SessionError as error:
    print(error)
# What the challenge told.
print(hex(connection.getDialect()), connection.getServerName(), connection.getServerOS())
connection = SMBConnection('*SMBSERVER', '127.0.0.1', sess_port=int(sys.argv[1]))
connection.login('', '')
print([share['shi1_netname'][:-1] for share in connection.listShares()])
for share in 'ADMIN$', 'C$', 'SECRETS$':
    try:
        connection.connectTree(share)
    except SessionError as error:
        print(share, error)
";

#[test]
fn impacket_passes_a_hash_and_finds_the_administrators_shares_closed() {
    let (canary, port) = canary("honeycreds = [{ username = \"eve\", password = \"password\" }]\n");
    let Some(said) = python(IMPACKET, &[&port.to_string()]) else { return };
    assert!(said.contains("0x311") && said.contains("Build 17763"), "{said}");
    assert!(said.contains("STATUS_LOGON_FAILURE"), "{said}");
    assert!(said.contains("['ADMIN$', 'C$', 'Documents', 'IPC$']"), "{said}");
    assert!(said.contains("ADMIN$ SMB SessionError: code: 0xc0000022"), "{said}");
    assert!(said.contains("SECRETS$ SMB SessionError: code: 0xc00000cc"), "{said}");
    let login = canary.event("the login", |event| event["credential"]["username"] == "eve");
    assert_eq!(login["honeycred"], true, "the hash is that of \"password\": {login}");
    let refused = |share: &str| {
        let path = format!("\\\\127.0.0.1\\{share}");
        move |event: &Value| event["fields"]["file"] == path.as_str() && event["fields"]["status"] != "ok"
    };
    canary.event("the way to all files", refused("C$"));
    canary.event("the way to what is not there", refused("SECRETS$"));
}

/// A folder of the network, mounted by FUSE, in a network of its own: such clients know one port.
const MOUNT: &str = r#"
ip link set lo up
"$0" run --config "$1/haldane.toml" --state-dir "$1/state" > "$1/out" 2> "$1/err" & canary=$!
for i in $(seq 100); do grep -q 445 "$1/err" && break; sleep 0.1; done
mkdir -p "$1/mnt" && printf 'auth "guest" ""\n' > "$1/smbnetfs.conf" && chmod 600 "$1/smbnetfs.conf"
HOME="$1" timeout 60 smbnetfs "$1/mnt" -f -o config="$1/smbnetfs.conf" 2> /dev/null & mount=$!
for i in $(seq 50); do mountpoint -q "$1/mnt" && break; sleep 0.1; done
ls "$1/mnt/127.0.0.1/Documents" "$1/mnt/127.0.0.1/Documents/Finance/2024"
cat "$1/mnt/127.0.0.1/Documents/wages.txt"; echo
cmp "$1/mnt/127.0.0.1/Documents/Finance/2024/big.bin" "$1/share/Finance/2024/big.bin" && echo same
echo evil > "$1/mnt/127.0.0.1/Documents/evil.txt"
rm "$1/mnt/127.0.0.1/Documents/wages.txt"
nmap -Pn -p 445 --script smb-os-discovery 127.0.0.1
kill "$mount" "$canary"; wait
"#;

#[test]
fn the_share_can_be_mounted_and_read() {
    if !["smbnetfs", "unshare", "ip", "mountpoint", "nmap"].iter().all(|program| installed(program))
        || !Path::new("/dev/fuse").exists()
        || !rustix::process::geteuid().is_root()
    {
        return;
    }
    let folder = folder();
    bait(folder.path());
    let configuration = "listen = [\"127.0.0.1\"]\n[service.smb]\nfolder = \"@/share\"\n[sink.stdout]\n";
    let configuration = configuration.replace('@', folder.path().to_str().unwrap());
    fs::write(folder.path().join("haldane.toml"), configuration).unwrap();
    let place = folder.path().to_str().unwrap();
    let said =
        client("unshare", &["--net", "--mount", "bash", "-c", MOUNT, env!("CARGO_BIN_EXE_haldane"), place]);
    assert!(said.contains("wages of all") && said.contains("big.bin") && said.contains("same"), "{said}");
    assert!(
        said.contains("OS: Windows Server 2019 Standard 17763 (Windows Server 2019 Standard 6.3)"),
        "{said}"
    );
    assert_eq!(text(folder.path().join("share/wages.txt")), "wages of all");
    assert!(!folder.path().join("share/evil.txt").exists());
    let events = text(folder.path().join("out"));
    let seen = |action: &str, file: &str| {
        let parts = [format!("\"action\":\"{action}\""), format!("{file}\"")];
        assert!(
            events.lines().any(|line| parts.iter().all(|part| line.contains(part.as_str()))),
            "{action} {file}: {said}\n{events}"
        );
    };
    seen("opendir", "2024");
    seen("pread", "wages.txt");
    seen("pread", "big.bin");
    seen("unlinkat", "wages.txt");
}
