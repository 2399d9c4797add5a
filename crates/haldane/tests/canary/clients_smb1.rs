//! Clients of SMB 1: smbclient, impacket, guessers of passwords, nmap's scripts, and what worms send.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use crate::fixture::{Canary, client, free_port, installed, python};

const HOST: &str = "[host]\nname = \"files01\"\ndomain = \"corp.example.com\"\nwindows = \"2016\"\n";
const BAIT: &str = "honeycreds = [{ username = \"bob\", password = \"Winter2024\" }]";

fn canary(settings: &str) -> (Canary, String) {
    let port = free_port();
    (Canary::start(&format!("{HOST}[service.smb]\nport = {port}\n{settings}\n")), port.to_string())
}

/// smbclient, which speaks nothing newer.
fn smbclient(port: &str, arguments: &[&str]) -> String {
    let old = ["-m", "NT1", "--option=client min protocol=NT1", "-p", port];
    client("smbclient", &[&old[..], arguments].concat())
}

fn nmap(port: &str, scripts: &str, arguments: &str) -> String {
    let arguments = format!("smbport={port},{arguments}");
    let scripts = scripts.split(',').map(|script| format!("+{script}")).collect::<Vec<_>>().join(",");
    let all = ["-Pn", "-n", "-p", port, "--script", &scripts, "--script-args", &arguments, "127.0.0.1"];
    client("nmap", &all)
}

/// Action, file and status of what was done with a share so far.
fn used(canary: &Canary) -> Vec<[String; 3]> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let events = canary.so_far(|event| event["kind"] == "smb.audit");
    let fields = events.iter().map(|event| &event["fields"]);
    fields.map(|fields| [text(&fields["action"]), text(&fields["file"]), text(&fields["status"])]).collect()
}

/// The attacks that were recognised, with their steps.
fn attacks(canary: &Canary) -> BTreeSet<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let events = canary.so_far(|event| event["kind"] == "smb.exploit");
    events.iter().map(|event| (text(&event["fields"]["exploit"]), text(&event["fields"]["step"]))).collect()
}

/// Waits for so many connections to end.
fn ended(canary: &Canary, count: usize) {
    canary.events(count, "the end", |event| event["kind"] == "connection.closed");
}

#[test]
fn smbclient_lists_shares_and_files_and_reads_them_and_changes_nothing() {
    if !installed("smbclient") {
        return;
    }
    let (canary, port) = canary("");
    let shares = smbclient(&port, &["-N", "-L", "127.0.0.1"]);
    for share in ["ADMIN$          Disk      Remote Admin", "Documents       Disk", "IPC$            IPC"] {
        assert!(shares.contains(share), "{shares}");
    }
    let copy = canary.folder.path().join("copy.txt");
    let commands = format!(
        "ls; cd IT; ls *.txt; cd ..; get Readme.txt {}; put /etc/hostname evil.txt; del Readme.txt; mkdir x; \
         rename Readme.txt y.txt; allinfo Finance; get nothing.txt",
        copy.display()
    );
    let said = smbclient(&port, &["-U", "guest%", "//127.0.0.1/documents", "-c", &commands]);
    for part in [
        "  Finance                             D        0",
        "  admin passwords.txt                 A      662",
        "NT_STATUS_ACCESS_DENIED opening remote file \\evil.txt",
        "NT_STATUS_ACCESS_DENIED deleting remote file \\Readme.txt",
        "NT_STATUS_ACCESS_DENIED making remote directory \\x",
        "NT_STATUS_ACCESS_DENIED renaming files \\Readme.txt -> \\y.txt",
        "altname: Finance",
        "NT_STATUS_OBJECT_NAME_NOT_FOUND opening remote file \\nothing.txt",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(fs::read(copy).unwrap().len(), 321);
    ended(&canary, 2);
    let used = used(&canary);
    let denied = "fail (Permission denied)";
    for event in [
        ["connect", "\\\\127.0.0.1\\DOCUMENTS", "ok"],
        ["opendir", "", "ok"],
        ["opendir", "IT", "ok"],
        ["openat", "Readme.txt", "ok"],
        ["pread", "Readme.txt", "ok"],
        ["openat", "evil.txt", denied],
        ["unlinkat", "Readme.txt", denied],
        ["mkdirat", "x", denied],
        ["renameat", "Readme.txt", denied],
        ["openat", "nothing.txt", "fail (No such file or directory)"],
    ] {
        assert_eq!(used.iter().filter(|seen| **seen == event).count(), 1, "{event:?}: {used:#?}");
    }
    let list = canary.event("the list", |event| event["fields"]["call"] == "srvsvc NetrShareEnum");
    assert_eq!((&list["kind"], &list["fields"]["pipe"]), (&"smb.rpc".into(), &"srvsvc".into()));
}

#[test]
fn a_folder_of_one_s_own_is_shown_with_large_files_whole() {
    if !installed("smbclient") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..700_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(folder.path().join("backup of the old server.vhd"), &content).unwrap();
    let (canary, port) = canary(&format!("folder = {:?}\nshare = \"Backup\"", folder.path()));
    let copy = canary.folder.path().join("copy");
    let get = format!("get \"backup of the old server.vhd\" {}", copy.display());
    let said = smbclient(&port, &["-U", "guest%", "//127.0.0.1/backup", "-c", &get]);
    assert!(fs::read(copy).unwrap_or_default() == content, "{said}");
    let read = canary.event("what was read", |event| event["fields"]["action"] == "pread");
    assert_eq!((&read["fields"]["bytes"], &read["fields"]["share"]), (&2_800_000.into(), &"Backup".into()));
    ended(&canary, 1);
    assert_eq!(used(&canary).iter().filter(|[action, ..]| action == "pread").count(), 1);
}

#[test]
fn a_planted_account_gets_in_and_its_messages_are_signed() {
    if !installed("smbclient") {
        return;
    }
    let (canary, port) = canary("users = [\"bob:Winter2024\"]\nsigning = \"required\"");
    for (form, version) in [("yes", "yes"), ("no", "yes"), ("yes", "no"), ("no", "no")] {
        let form = format!("--option=client use spnego={form}");
        let version = format!("--option=client ntlmv2 auth={version}");
        let signed = "--option=client signing=required";
        let bob = ["-U", "CORP\\bob%Winter2024", "//127.0.0.1/Documents", "-c", "ls"];
        let said = smbclient(&port, &[&[form.as_str(), &version, signed], &bob[..]].concat());
        assert!(said.contains("Readme.txt"), "{form} {version}: {said}");
        let said = smbclient(&port, &[&form, &version, "-U", "CORP\\bob%wrong", "-L", "127.0.0.1"]);
        assert!(said.contains("NT_STATUS_LOGON_FAILURE"), "{said}");
    }
    ended(&canary, 8);
    let logins = canary.so_far(|event| event["kind"] == "smb.login");
    let ends: Vec<&Value> = logins.iter().map(|login| &login["fields"]["status"]).collect();
    assert_eq!(ends, ["NT_STATUS_OK", "NT_STATUS_LOGON_FAILURE"].repeat(4));
}

/// Each way to answer a challenge: one login, of which the answer gives the password away.
#[test]
fn each_way_to_log_in_leaves_one_line_that_can_be_cracked() {
    let raw = "--option=client use spnego=no";
    let v1 = "--option=client ntlmv2 auth=no";
    let bob = ["-U", "CORP\\bob%Winter2024", "-L", "127.0.0.1"];
    let old = ["-m", "NT1", "--option=client min protocol=NT1"];
    let samba = |more: &[&'static str]| [&old[..], more, &bob[..]].concat();
    let medusa = |kind: &'static str| {
        vec!["-h", "127.0.0.1", "-u", "bob", "-p", "Winter2024", "-M", "smbnt", "-m", kind]
    };
    let hydra = |kind: &'static str| vec!["-l", "bob", "-p", "Winter2024", "-m", kind, "127.0.0.1", "smb"];
    let ncrack = vec!["--user", "bob", "--pass", "Winter2024"];
    let ways: [(&str, Vec<&str>, &str, &str); 12] = [
        ("smbclient", samba(&[]), "-p", "netntlmv2"),
        ("smbclient", samba(&[v1]), "-p", "netntlmv1"),
        ("smbclient", samba(&[raw]), "-p", "netntlmv2"),
        ("smbclient", samba(&[raw, v1]), "-p", "netntlmv1"),
        ("medusa", medusa("AUTH:LM"), "-n", "netlm"),
        ("medusa", medusa("AUTH:NTLM"), "-n", "netntlmv1"),
        ("medusa", medusa("AUTH:LMv2"), "-n", "netntlmv2"),
        ("hydra", hydra(""), "-s", "netntlmv1"),
        ("hydra", hydra("LM"), "-s", "netlm"),
        ("hydra", hydra("LOCAL LMv2"), "-s", "netntlmv2"),
        ("hydra", hydra("DOMAIN NTLMv2"), "-s", "netntlmv2"),
        ("ncrack", ncrack, "", "netntlmv1"),
    ];
    for (program, mut arguments, option, scheme) in ways {
        if !installed(program) {
            continue;
        }
        let (canary, port) = canary(BAIT);
        let target = format!("smb://127.0.0.1:{port}");
        match option {
            "" => arguments.push(&target),
            option => arguments.splice(0..0, [option, &port]).for_each(drop),
        }
        let said = client(program, &arguments);
        assert!(!said.contains("ACCOUNT FOUND") && !said.contains("password: Winter2024"), "{said}");
        let login =
            canary.event(&format!("{program} {arguments:?}: {said}"), |event| event["kind"] == "smb.login");
        let credential = &login["credential"];
        assert_eq!((&login["honeycred"], &login["severity"]), (&true.into(), &"critical".into()), "{login}");
        assert_eq!((&credential["username"], &login["fields"]["version"]), (&"bob".into(), &"NT1".into()));
        assert_eq!(credential["response"]["scheme"], scheme, "{program} {arguments:?}");
        assert!(credential["response"]["crackable"].as_str().unwrap().starts_with("bob:"), "{login}");
        canary.event("the end", |event| event["kind"] == "connection.closed");
        let logins = canary.so_far(|event| event["credential"].is_object());
        assert_eq!(logins.len(), 1, "{program} {arguments:?}: {logins:#?}");
    }
}

const IMPACKET: &str = "
import io, sys
from impacket.smb import SMB_DIALECT
from impacket.smbconnection import SMBConnection, SessionError
def connect(): return SMBConnection('*SMBSERVER', '127.0.0.1', sess_port=int(sys.argv[1]), preferredDialect=SMB_DIALECT)
def tried(what, *how):
    try: print(what(*how))
    except SessionError as error: print(error)
smb = connect()
tried(smb.login, 'bob', 'Winter2024', 'CORP')
smb = connect()
smb.login('guest', '')
print(smb.getServerOS(), smb.getServerName(), smb.getServerDomain(), smb.getServerDNSDomainName(), smb.isSigningRequired())
print([share['shi1_netname'][:-1] for share in smb.listShares()])
print([file.get_longname() for file in smb.listPath('Documents', '*')])
content = io.BytesIO()
smb.getFile('Documents', 'IT\\\\Passwords.kdbx', content.write)
print(len(content.getvalue()))
tried(smb.putFile, 'Documents', 'evil.exe', io.BytesIO(b'MZ').read)
tried(smb.deleteFile, 'Documents', 'Readme.txt')
tried(smb.createDirectory, 'Documents', 'new')
tried(smb.listPath, 'C$', '*')
tried(smb.listPath, 'Nothing', '*')
";

#[test]
fn impacket_finds_the_server_that_it_knows() {
    let (canary, port) = canary(BAIT);
    let Some(said) = python(IMPACKET, &[&port]) else { return };
    let lines: Vec<&str> = said.lines().collect();
    let starts = [
        "SMB SessionError: code: 0xc000006d - STATUS_LOGON_FAILURE",
        "Windows Server 2016 Standard 14393 FILES01 CORP corp.example.com False",
        "['ADMIN$', 'C$', 'Documents', 'IPC$']",
        "['.', '..', 'Finance', 'HR', 'IT', 'Projects', 'Readme.txt']",
        "1861",
        "SMB SessionError: code: 0xc0000022 - STATUS_ACCESS_DENIED",
        "SMB SessionError: code: 0xc0000022 - STATUS_ACCESS_DENIED",
        "SMB SessionError: code: 0xc0000022 - STATUS_ACCESS_DENIED",
        "SMB SessionError: code: 0xc0000022 - STATUS_ACCESS_DENIED",
        "SMB SessionError: code: 0xc00000cc - STATUS_BAD_NETWORK_NAME",
    ];
    assert_eq!(lines.len(), starts.len(), "{said}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}\n{said}");
    }
    ended(&canary, 2);
    let read = canary.event("what was read", |event| event["fields"]["action"] == "pread");
    assert_eq!(read["fields"]["bytes"], 1861);
    let logins = canary.so_far(|event| event["kind"] == "smb.login");
    assert_eq!((logins.len(), &logins[0]["honeycred"]), (2, &true.into()), "{logins:#?}");
}

#[test]
fn nmap_s_scripts_read_the_names_of_the_host() {
    if !installed("nmap") {
        return;
    }
    let (canary, port) = canary("");
    // The script wants to say what listens on the port, which it can on ports 139 and 445 only.
    let original = fs::read_to_string("/usr/share/nmap/scripts/smb-os-discovery.nse").unwrap();
    let discovery = original.replace("if result.port and response.lanmanager then", "if false then");
    assert_ne!(discovery, original);
    let script = canary.folder.path().join("os-discovery.nse");
    fs::write(&script, discovery).unwrap();
    let scripts = format!(
        "{},smb-protocols,smb-security-mode,smb-enum-shares,smb-ls,smb-enum-domains",
        script.display()
    );
    let said = nmap(&port, &scripts, "smb-ls.share=Documents");
    for line in [
        "OS: Windows Server 2016 Standard 14393 (Windows Server 2016 Standard 6.3)",
        "Computer name: files01",
        "NetBIOS computer name: FILES01\\x00",
        "Domain name: corp.example.com",
        "Forest name: corp.example.com",
        "FQDN: files01.corp.example.com",
        "NT LM 0.12 (SMBv1) [dangerous, but default]",
        "account_used: guest",
        "message_signing: disabled (dangerous, but default)",
        "Type: STYPE_DISKTREE_HIDDEN",
        "Comment: Remote Admin",
        "Current user access: READ\n",
        "Volume Documents",
        "Finance\\Bank accounts.xlsx",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let guest = canary.event("the guest", |event| event["credential"]["username"] == "guest");
    assert_eq!(guest["credential"]["response"]["scheme"], "netntlmv1", "{guest}");
    assert!(guest["credential"]["response"]["crackable"].is_string(), "{guest}");
}

#[test]
fn nmap_takes_it_for_the_real_product() {
    if !installed("nmap") {
        return;
    }
    let (_canary, port) = canary("");
    let said = client("nmap", &["-Pn", "-n", "-sV", "-p", &port, "127.0.0.1"]);
    assert!(said.contains("microsoft-ds Microsoft Windows Server 2008 R2 - 2012 microsoft-ds"), "{said}");
    assert!(said.contains("(workgroup: CORP)") && said.contains("Host: FILES01; OS: Windows"), "{said}");
}

#[test]
fn nmap_s_scripts_for_holes_are_known_by_name_and_find_none() {
    if !installed("nmap") {
        return;
    }
    let (canary, port) = canary("");
    let scripts = "smb-vuln-ms17-010,smb-double-pulsar-backdoor,smb-vuln-ms10-054,smb-vuln-ms10-061,\
                   smb-vuln-ms08-067";
    let said = nmap(&port, scripts, "unsafe=1,smb-vuln-ms10-054.share=Documents");
    assert!(!said.contains("VULNERABLE") && !said.contains("ERROR"), "{said}");
    let expected = [("DoublePulsar", "ping"), ("MS08-067", ""), ("MS17-010", "probe")];
    let expected = expected.map(|(name, step)| (name.to_owned(), step.to_owned()));
    assert_eq!(attacks(&canary), BTreeSet::from(expected), "{said}");
}

#[test]
fn a_server_without_the_fix_is_found_vulnerable_if_it_is_to_be() {
    if !installed("nmap") {
        return;
    }
    let (canary, port) = canary("unpatched = true");
    let said = nmap(&port, "smb-vuln-ms17-010", "unsafe=1");
    assert!(said.contains("State: VULNERABLE"), "{said}");
    assert!(attacks(&canary).contains(&("MS17-010".to_owned(), "probe".to_owned())));
}

/// What EternalBlue and its kin send, as far as they need no answer from a server with the hole.
const WORMS: &str = "
import socket, struct, sys
class Client:
    def __init__(self, extended=False):
        self.socket = socket.create_connection(('127.0.0.1', int(sys.argv[1])), 20)
        self.tid = self.uid = 0
        self.send(0x72, b'', b'\\x02NT LM 0.12\\0')
    def send(self, command, words, data, mid=64, answered=True):
        head = b'\\xffSMB' + struct.pack('<BIBHH8sHHHHH', command, 0, 0x18, 0x4001, 0, bytes(8), 0, self.tid, 7, self.uid, mid)
        body = head + bytes([len(words) // 2]) + words + struct.pack('<H', len(data)) + data
        self.socket.sendall(struct.pack('>I', len(body)) + body)
        if not answered: return
        (length,) = struct.unpack('>I', self.take(4))
        reply = self.take(length)
        self.tid, _, self.uid = struct.unpack('<HHH', reply[24:30])
        return struct.unpack('<I', reply[5:9])[0]
    def take(self, count):
        bytes = b''
        while len(bytes) < count: bytes += self.socket.recv(count - len(bytes))
        return bytes
    def log_in(self):
        assert not self.send(0x73, struct.pack('<BBHHHHIHHII', 255, 0, 0, 4356, 10, 0, 0, 0, 0, 0, 0x50), b'\\0\\0Unix\\0Samba\\0')
        assert not self.send(0x75, struct.pack('<BBHHH', 255, 0, 0, 0, 0), b'\\\\\\\\127.0.0.1\\\\IPC$\\0?????\\0')
blue = Client()
blue.log_in()
first = struct.pack('<BHIIIIIIIIBH', 1, 0, 30, 66512, 30, 0, 30, 75, 976, 104, 1, 0) + bytes(2)
assert not blue.send(0xa0, first, bytes(1006))
for at in range(976, 66512 - 4096, 4096):
    words = struct.pack('<HHHHHHHHH', 0, 4096, 0, 0, 0, 4096, 53, at & 0xffff, 0)
    print('%x' % blue.send(0x33, words, bytes(4096)))
    break
groom = Client()
print('%x' % groom.send(0x73, struct.pack('<BBHHHHIHII', 255, 0, 0, 61440, 2, 2, 0, 0, 0, 0x80000040), bytes(20)))
romance = Client()
romance.log_in()
leak = struct.pack('<BHIIIIIIIIBH', 1, 0, 4, 8, 4, 16, 4, 73, 8, 80, 0, 5)
print('%x' % romance.send(0xa0, leak, bytes(20)))
started = struct.pack('<HHHHBBHIHHHHHBBHH', 0, 100, 0, 100, 0, 0, 0, 0, 0, 0, 0, 10, 70, 2, 0, 0x36, 0)
assert not romance.send(0x25, started, bytes(30), mid=0x4000)
write = struct.pack('<BBHHIIHHHHHI', 255, 0, 0, 0x4000, 0, 0, 4, 0, 0, 4, 63, 0)
print('%x' % romance.send(0x2f, write, bytes(4)))
pulsar = Client()
pulsar.log_in()
words = struct.pack('<HHHHBBHIHHHHHBBH', 12, 0, 1, 0, 0, 0, 0, 0x001a8925, 0, 12, 66, 0, 78, 1, 0, 0xe)
print('%x' % pulsar.send(0x32, words, bytes(13)))
";

#[test]
fn worms_are_known_by_what_they_send() {
    let (canary, port) = canary("");
    let Some(said) = python(WORMS, &[&port]) else { return };
    assert_eq!(
        said.lines().collect::<Vec<_>>(),
        ["c000000d", "c000000d", "c000000d", "c0000008", "c0000002"]
    );
    ended(&canary, 4);
    let expected = [
        ("DoublePulsar", "code execution"),
        ("EternalBlue (MS17-010)", "oversized transaction"),
        ("EternalBlue (MS17-010)", "session setup that allocates memory"),
        ("EternalBlue (MS17-010)", "transaction continued as another kind"),
        ("EternalRomance (MS17-010)", "memory leak by NT_TRANSACT_RENAME"),
        ("EternalRomance (MS17-010)", "write into a transaction"),
    ];
    let expected = expected.map(|(name, step)| (name.to_owned(), step.to_owned()));
    assert_eq!(attacks(&canary), BTreeSet::from(expected));
    let severities = canary.so_far(|event| event["kind"] == "smb.exploit" && event["severity"] != "high");
    assert!(severities.is_empty(), "{severities:#?}");
}

#[test]
fn without_smb_1_clients_of_it_are_hung_up_on() {
    if !installed("smbclient") {
        return;
    }
    let (canary, port) = canary("smb1 = false");
    let said = smbclient(&port, &["-N", "-L", "127.0.0.1"]);
    assert!(said.contains("NT_STATUS_CONNECTION_RESET"), "{said}");
    let seen = canary.event("the dialects", |event| event["kind"] == "smb.negotiate");
    assert_eq!(
        (&seen["fields"]["dialects"][1], &seen["fields"]["dialect"]),
        (&"NT LM 0.12".into(), &Value::Null)
    );
}
