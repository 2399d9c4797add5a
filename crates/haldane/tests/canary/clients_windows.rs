//! One Windows, whatever it is asked through: each login with NTLM leaves a line that gives its password away, and
//! each service tells the same names.

use std::{fs, net::UdpSocket, process::Command};

use hmac::{Hmac, KeyInit, Mac};
use md4::Digest;
use serde_json::Value;

use crate::fixture::{Canary, PATIENCE, client, folder, free_port, installed, python};

const HOST: &str = "[host]\nname = \"files01\"\ndomain = \"corp.example.com\"\nwindows = \"2022\"\n";
const PASSWORD: &str = "hunter2";

/// A service, and somebody who logs in to it as CORP\mallory with [`PASSWORD`], if that client is there.
struct Login {
    section: &'static str,
    settings: &'static str,
    log_in: fn(port: &str) -> Option<String>,
    /// What the client says of its failure.
    hears: &'static str,
    scheme: &'static str,
}

const ACCOUNT: &str = "CORP\\mallory:hunter2";
const IIS: &str = "banner = \"Microsoft-IIS/10.0\"\nauth = [\"negotiate\", \"ntlm\"]";

/// A service that speaks NTLM belongs here.
const LOGINS: [Login; 21] = [
    Login { section: "rdp", settings: "", log_in: rdp_check, hears: "[-]", scheme: "netntlmv2" },
    Login {
        section: "mssql",
        settings: "",
        log_in: mssqlclient,
        hears: "untrusted domain",
        scheme: "netntlmv2",
    },
    Login { section: "winrm", settings: "", log_in: pywinrm, hears: "were rejected", scheme: "netntlmv2" },
    Login {
        section: "winrm",
        settings: "tls = true",
        log_in: pywinrm_tls,
        hears: "were rejected",
        scheme: "netntlmv2",
    },
    Login {
        section: "http",
        settings: IIS,
        log_in: |port| curl(&["--ntlm"], "http", port),
        hears: "401",
        scheme: "netntlmv2",
    },
    Login {
        section: "http",
        settings: IIS,
        log_in: |port| spnego("http", port),
        hears: "401",
        scheme: "netntlmv2",
    },
    Login { section: "http", settings: IIS, log_in: version_1, hears: "401", scheme: "netntlmv1" },
    Login {
        section: "https",
        settings: IIS,
        log_in: |port| curl(&["-k", "--ntlm"], "https", port),
        hears: "401",
        scheme: "netntlmv2",
    },
    Login {
        section: "https",
        settings: IIS,
        log_in: |port| spnego("https", port),
        hears: "401",
        scheme: "netntlmv2",
    },
    Login {
        section: "httpproxy",
        settings: "auth = \"ntlm\"",
        log_in: |port| proxied("--proxy-ntlm", port),
        hears: "407",
        scheme: "netntlmv2",
    },
    Login {
        section: "httpproxy",
        settings: "auth = \"negotiate\"",
        log_in: proxied_spnego,
        hears: "407",
        scheme: "netntlmv2",
    },
    Login {
        section: "smb",
        settings: "",
        log_in: |port| smbclient(&["-m", "NT1"], port),
        hears: "NT_STATUS_LOGON_FAILURE",
        scheme: "netntlmv2",
    },
    Login {
        section: "smb",
        settings: "",
        log_in: |port| smbclient(&["-m", "NT1", V1], port),
        hears: "NT_STATUS_LOGON_FAILURE",
        scheme: "netntlmv1",
    },
    Login {
        section: "smb",
        settings: "",
        log_in: |port| smbclient(&["-m", "NT1", BARE], port),
        hears: "NT_STATUS_LOGON_FAILURE",
        scheme: "netntlmv2",
    },
    Login {
        section: "smb",
        settings: "",
        log_in: |port| smbclient(&["-m", "NT1", BARE, V1], port),
        hears: "NT_STATUS_LOGON_FAILURE",
        scheme: "netntlmv1",
    },
    Login {
        section: "smb",
        settings: "",
        log_in: |port| smbclient(&["-m", "SMB2_02"], port),
        hears: "NT_STATUS_LOGON_FAILURE",
        scheme: "netntlmv2",
    },
    Login {
        section: "smb",
        settings: "",
        log_in: |port| smbclient(&["-m", "SMB2_10", V1], port),
        hears: "NT_STATUS_LOGON_FAILURE",
        scheme: "netntlmv1",
    },
    Login {
        section: "smb",
        settings: "",
        log_in: |port| smbclient(&["-m", "SMB3_11"], port),
        hears: "NT_STATUS_LOGON_FAILURE",
        scheme: "netntlmv2",
    },
    Login { section: "ldap", settings: "", log_in: ldapwhoami, hears: "data 52e", scheme: "netntlmv2" },
    Login {
        section: "ldap",
        settings: "",
        log_in: |port| python(crate::clients_ldap::LDAP3, &[port, "ntlm"]),
        hears: "data 52e",
        scheme: "netntlmv2",
    },
    Login {
        section: "ldap",
        settings: "",
        log_in: |port| python(crate::clients_ldap::IMPACKET, &[port, "ldaps"]),
        hears: "data 52e",
        scheme: "netntlmv2",
    },
];

/// smbclient with version 1 of NTLM, and without SPNEGO around it.
const V1: &str = "--option=client ntlmv2 auth=no";
const BARE: &str = "--option=client use spnego=no";

fn smbclient(options: &[&str], port: &str) -> Option<String> {
    let usual =
        ["--option=client min protocol=NT1", "-p", port, "-U", "CORP\\mallory%hunter2", "-L", "127.0.0.1"];
    installed("smbclient").then(|| client("smbclient", &[options, &usual].concat()))
}

/// OpenLDAP's client, whose mechanism of GSS-API takes the account from a file, too.
fn ldapwhoami(port: &str) -> Option<String> {
    let url = format!("ldap://127.0.0.1:{port}");
    installed("ldapwhoami").then(|| gss_with(&["ldapwhoami", "-Y", "GSS-SPNEGO", "-H", &url])).flatten()
}

fn curl(options: &[&str], scheme: &str, port: &str) -> Option<String> {
    let url = format!("{scheme}://127.0.0.1:{port}/");
    let usual = ["-s", "-m", "20", "-o", "/dev/null", "-w", "%{http_code}", "-u", ACCOUNT, &url];
    installed("curl").then(|| client("curl", &[options, &usual].concat()))
}

/// curl with NTLM inside SPNEGO, which it leaves to GSS-API and its mechanism gss-ntlmssp: that takes the account from
/// a file.
fn gss(options: &[&str], url: &str) -> Option<String> {
    let usual = ["-s", "-k", "-m", "20", "-o", "/dev/null", "-w", "%{http_code}", url];
    installed("curl").then(|| gss_with(&[&["curl"], options, &usual].concat())).flatten()
}

/// A program with that account for its mechanism.
fn gss_with(command: &[&str]) -> Option<String> {
    if !ntlmssp() {
        return None;
    }
    let folder = folder();
    let account = folder.path().join("account");
    fs::write(&account, format!("CORP:mallory:{PASSWORD}\n")).unwrap();
    let account = format!("NTLM_USER_FILE={}", account.display());
    Some(client("env", &[&[account.as_str()], command].concat()))
}

/// Whether that mechanism is there; else says that it is not.
fn ntlmssp() -> bool {
    let found = fs::metadata("/etc/gss/mech.d/mech.ntlmssp.conf").is_ok();
    if !found {
        assert!(std::env::var_os("CI").is_none(), "gss-ntlmssp is not installed: see .ci/run");
        println!("SKIPPED: gss-ntlmssp is not installed");
    }
    found
}

fn spnego(scheme: &str, port: &str) -> Option<String> {
    gss(&["--negotiate", "-u", ":"], &format!("{scheme}://127.0.0.1:{port}/"))
}

fn proxied(how: &str, port: &str) -> Option<String> {
    let proxy = format!("http://127.0.0.1:{port}");
    let options =
        ["-s", "-m", "20", "-o", "/dev/null", "-w", "%{http_code}", "-x", &proxy, how, "-U", ACCOUNT];
    installed("curl").then(|| client("curl", &[&options[..], &["http://example.invalid/"]].concat()))
}

fn proxied_spnego(port: &str) -> Option<String> {
    let proxy = format!("http://127.0.0.1:{port}");
    gss(&["-x", &proxy, "--proxy-negotiate", "-U", ":"], "http://example.invalid/")
}

/// impacket's rdp_check, which knows no other port than its own.
fn rdp_check(port: &str) -> Option<String> {
    let script = "import os, runpy, socket, sys\n\
        port, connect = int(sys.argv[1]), socket.socket.connect\n\
        socket.socket.connect = lambda self, address: connect(self, (address[0], port))\n\
        sys.argv = ['rdp_check.py', 'CORP/mallory:hunter2@127.0.0.1']\n\
        runpy.run_path(os.path.join(sys.prefix, 'bin', 'rdp_check.py'), run_name='__main__')";
    python(script, &[port])
}

fn mssqlclient(port: &str) -> Option<String> {
    impacket_sql(port, "CORP/mallory:hunter2", "-windows-auth")
}

/// impacket's mssqlclient, as that account.
fn impacket_sql(port: &str, account: &str, how: &str) -> Option<String> {
    let script = "import os, runpy, sys\n\
        sys.argv = ['mssqlclient.py', '-port', sys.argv[1], sys.argv[2] + '@127.0.0.1'] + sys.argv[3:]\n\
        runpy.run_path(os.path.join(sys.prefix, 'bin', 'mssqlclient.py'), run_name='__main__')";
    let options: &[&str] = if how.is_empty() { &[] } else { &[how] };
    python(script, &[&[port, account][..], options].concat())
}

fn pywinrm(port: &str) -> Option<String> {
    winrm(&format!("http://127.0.0.1:{port}/wsman"), "ntlm")
}

fn pywinrm_tls(port: &str) -> Option<String> {
    winrm(&format!("https://127.0.0.1:{port}/wsman"), "ntlm")
}

fn winrm(url: &str, transport: &str) -> Option<String> {
    let script = "import sys, warnings, winrm\n\
        warnings.simplefilter('ignore')\n\
        session = winrm.Session(sys.argv[1], auth=('CORP\\\\mallory', 'hunter2'), transport=sys.argv[2],\n\
        \x20   server_cert_validation='ignore')\n\
        try:\n    session.run_cmd('whoami')\n\
        except Exception as error:\n    print(error)";
    python(script, &[url, transport])
}

/// What Windows did before 2008: impacket can.
fn version_1(port: &str) -> Option<String> {
    let script = "import base64, http.client, sys\n\
        from impacket import ntlm\n\
        web = http.client.HTTPConnection('127.0.0.1', int(sys.argv[1]))\n\
        def ask(token):\n\
        \x20   web.request('GET', '/', headers={'Authorization': 'NTLM ' + base64.b64encode(token).decode()})\n\
        \x20   answer = web.getresponse(); answer.read(); return answer\n\
        first = ntlm.getNTLMSSPType1('LAPTOP', 'CORP', False, use_ntlmv2=False)\n\
        fields = ask(first.getData()).msg.get_all('WWW-Authenticate')\n\
        challenge = base64.b64decode([field for field in fields if field.startswith('NTLM ')][0][5:])\n\
        last, _ = ntlm.getNTLMSSPType3(first, challenge, 'mallory', 'hunter2', 'CORP', use_ntlmv2=False)\n\
        print(ask(last.getData()).status)";
    python(script, &[port])
}

/// The line of a login, once that is known to be the password's.
fn proved(login: &Value, scheme: &str) -> String {
    let credential = &login["credential"];
    assert_eq!(
        (&credential["username"], &credential["domain"]),
        (&"mallory".into(), &"CORP".into()),
        "{login:#}"
    );
    let response = &credential["response"];
    assert_eq!(response["scheme"], scheme, "{login:#}");
    // The canary finds the bait's password in it.
    assert_eq!(login["honeycred"], true, "{login:#}");
    let line = response["crackable"].as_str().unwrap().to_owned();
    let [user, "", domain, rest @ ..] = &line.split(':').collect::<Vec<_>>()[..] else { panic!("{line}") };
    assert_eq!((*user, *domain), ("mallory", "CORP"));
    // So does whoever has nothing but the line (MS-NLMP, section 3.3.2).
    if let ("netntlmv2", [challenge, proof, blob]) = (scheme, rest) {
        let key = mac(&md4::Md4::digest(wide(PASSWORD)), &wide(&format!("MALLORY{domain}")));
        let expected = mac(&key, &[bytes(challenge), bytes(blob)].concat());
        assert_eq!(&expected, &bytes(proof), "{line}");
        let other = mac(&md4::Md4::digest(wide("another")), &wide(&format!("MALLORY{domain}")));
        assert_ne!(&mac(&other, &[bytes(challenge), bytes(blob)].concat()), &bytes(proof));
    }
    line
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<md5::Md5>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

/// Lets hashcat find the password of these lines, and says so if there is none that could.
fn cracked(mode: &str, lines: &[String]) {
    if lines.is_empty() || !installed("hashcat") {
        return;
    }
    let folder = folder();
    let (file, words) = (folder.path().join("lines"), folder.path().join("words"));
    fs::write(&file, lines.join("\n") + "\n").unwrap();
    fs::write(&words, format!("password\nletmein\n{PASSWORD}\n")).unwrap();
    let session = format!("--session=haldane-{}-{mode}", std::process::id());
    let options = ["300", "hashcat", "-m", mode, "--force", "--quiet", "--potfile-disable", &session];
    let files = [file.to_str().unwrap(), words.to_str().unwrap()];
    let output =
        Command::new("timeout").args(options).args(files).current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if said.contains("No OpenCL") || said.contains("No devices found") {
        return println!("SKIPPED: hashcat has nothing to compute on: {said}");
    }
    let found = said.lines().filter(|line| line.ends_with(&format!(":{PASSWORD}"))).count();
    assert_eq!(found, lines.len(), "{said}\n{lines:#?}");
}

#[test]
fn every_line_that_a_real_client_leaves_gives_its_password_away() {
    let ports = LOGINS.map(|_| free_port());
    let bait = format!("honeycreds = [{{ username = \"mallory\", password = \"{PASSWORD}\" }}]");
    let sections = LOGINS.iter().zip(ports);
    let sections = sections.map(|(login, port)| {
        format!("[[service.{}]]\nport = {port}\n{}\n{bait}\n", login.section, login.settings)
    });
    let canary = Canary::start(&(HOST.to_owned() + &sections.collect::<String>()));
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for (login, port) in LOGINS.iter().zip(ports) {
        let Some(said) = (login.log_in)(&port.to_string()) else { continue };
        assert!(said.contains(login.hears), "{}: {said}", login.section);
        let here = |event: &Value| event["destination"]["port"] == port && event["credential"].is_object();
        let seen = canary.event(&format!("the login of {said} to {}", login.section), here);
        let line = proved(&seen, login.scheme);
        if login.scheme == "netntlmv1" {
            old.push(line)
        } else {
            new.push(line)
        }
        assert_eq!(canary.so_far(here).len(), 1, "{}: {:#?}", login.section, canary.so_far(here));
    }
    cracked("5600", &new);
    cracked("5500", &old);
}

#[test]
fn mssqlclient_leaves_the_password_of_a_login_of_sql_server_s_own() {
    let port = free_port();
    let canary = Canary::start(&format!("[service.mssql]\nport = {port}\n"));
    let Some(said) = impacket_sql(&port.to_string(), "sa:hunter2", "") else { return };
    assert!(said.contains("Login failed for user 'sa'"), "{said}");
    let login = canary.login("mssql", "sa", PASSWORD);
    assert_eq!(login["kind"], "mssql.login");
}

/// CredSSP would hand over the password itself; like any Windows that nobody has told to, ours does not offer it.
#[test]
fn pywinrm_is_not_offered_credssp_and_seen() {
    let port = free_port();
    let canary = Canary::start(&format!("[service.winrm]\nport = {port}\ntls = true\n"));
    let Some(said) = winrm(&format!("https://127.0.0.1:{port}/wsman"), "credssp") else { return };
    assert!(said.contains("CredSSP"), "{said}");
    canary.event("the request", |event| event["kind"] == "winrm.request");
}

/// A service, how it is asked for its names, and what it says of them.
struct Named {
    section: &'static str,
    settings: &'static str,
    ask: fn(port: &str) -> Option<String>,
    says: &'static [&'static str],
}

/// What nmap reads from a challenge.
const CHALLENGED: &[&str] = &[
    "NetBIOS_Domain_Name: CORP\n",
    "NetBIOS_Computer_Name: FILES01\n",
    "DNS_Domain_Name: corp.example.com\n",
    "DNS_Computer_Name: files01.corp.example.com\n",
    "DNS_Tree_Name: corp.example.com\n",
    "Product_Version: 10.0.20348\n",
];
/// What openssl reads from a certificate and the conversation around it.
const CERTIFIED: &[&str] =
    &["subject=CN = files01.corp.example.com\n", "issuer=CN = files01.corp.example.com\n", "TLSv1.2"];

/// A service that speaks as Windows belongs here.
const NAMED: [Named; 16] = [
    Named { section: "rdp", settings: "", ask: |port| nmap("+rdp-ntlm-info", port), says: CHALLENGED },
    Named { section: "rdp", settings: "", ask: certificate, says: CERTIFIED },
    Named { section: "mssql", settings: "", ask: |port| nmap("ms-sql-ntlm-info", port), says: CHALLENGED },
    Named {
        section: "mssqlbrowser",
        settings: "",
        ask: browser,
        says: &["ServerName;FILES01;", "Version;15.0."],
    },
    Named { section: "winrm", settings: "", ask: asked_by_winrm, says: CHALLENGED },
    Named { section: "winrm", settings: "tls = true", ask: certificate, says: CERTIFIED },
    Named { section: "http", settings: IIS, ask: |port| nmap("+http-ntlm-info", port), says: CHALLENGED },
    Named { section: "https", settings: IIS, ask: |port| nmap("+http-ntlm-info", port), says: CHALLENGED },
    Named { section: "https", settings: IIS, ask: certificate, says: CERTIFIED },
    Named { section: "httpproxy", settings: "auth = \"ntlm\"", ask: asked_by_proxy, says: CHALLENGED },
    Named { section: "smb", settings: "", ask: |port| asked_by_smb(port, "0x311"), says: CHALLENGED },
    Named { section: "smb", settings: "", ask: |port| asked_by_smb(port, "'NT LM 0.12'"), says: CHALLENGED },
    Named { section: "smb", settings: "", ask: workstation, says: &["FILES01", "CORP", "10.0"] },
    Named { section: "ldap", settings: "", ask: asked_by_ldap, says: CHALLENGED },
    Named {
        section: "ldap",
        settings: "",
        ask: root,
        says: &[
            "dnsHostName: files01.corp.example.com\n",
            "ldapServiceName: corp.example.com:files01$@CORP.EXAMPLE.COM\n",
            "defaultNamingContext: DC=corp,DC=example,DC=com\n",
        ],
    },
    // A controller has its certificate from the domain's own authority.
    Named {
        section: "ldap",
        settings: "",
        ask: certificate,
        says: &["subject=CN = files01.corp.example.com\n", "CN = corp-FILES01-CA\n", "TLSv1.2"],
    },
];

fn nmap(script: &str, port: &str) -> Option<String> {
    if !installed("nmap") {
        return None;
    }
    let folder = folder();
    let data = crate::clients_mssql::scripts(folder.path())?;
    // The scripts for SQL Server want to be told where one is.
    let arguments = format!("mssql.instance-port={port}");
    let said = client(
        "nmap",
        &[
            "--datadir",
            &data,
            "-Pn",
            "-n",
            "-p",
            port,
            "--script",
            script,
            "--script-args",
            &arguments,
            "127.0.0.1",
        ],
    );
    Some(said.replace('\r', ""))
}

fn certificate(port: &str) -> Option<String> {
    let server = format!("127.0.0.1:{port}");
    installed("openssl").then(|| client("openssl", &["s_client", "-connect", &server, "-no_ign_eof"]))
}

fn browser(port: &str) -> Option<String> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let question = [&b"\x04MSSQLSERVER\0"[..], &[0; 80]].concat();
    socket.send_to(&question, ("127.0.0.1", port.parse::<u16>().unwrap())).unwrap();
    let mut answer = [0; 512];
    let (length, _) = socket.recv_from(&mut answer).unwrap();
    Some(String::from_utf8_lossy(&answer[3..length]).into_owned())
}

/// What a server of SMB says of itself in its challenge, as nmap shows it. Who asks logs in as nobody.
fn asked_by_smb(port: &str, dialect: &str) -> Option<String> {
    let script = "import sys\n\
        from impacket.smbconnection import SMBConnection\n\
        smb = SMBConnection('*SMBSERVER', '127.0.0.1', sess_port=int(sys.argv[1]), preferredDialect=eval(sys.argv[2]))\n\
        smb.login('', '')\n\
        print('NetBIOS_Domain_Name:', smb.getServerDomain())\n\
        print('NetBIOS_Computer_Name:', smb.getServerName())\n\
        print('DNS_Domain_Name:', smb.getServerDNSDomainName())\n\
        print('DNS_Computer_Name:', smb.getServerDNSHostName())\n\
        print('DNS_Tree_Name:', smb.getServerDNSDomainName())\n\
        print('Product_Version: %d.%d.%d' % (smb.getServerOSMajor(), smb.getServerOSMinor(), smb.getServerOSBuild()))";
    python(script, &[port, dialect])
}

/// What a machine's service for workstations says over a pipe.
fn workstation(port: &str) -> Option<String> {
    let script = "import sys\n\
        from impacket.smbconnection import SMBConnection\n\
        from impacket.dcerpc.v5 import transport, wkst\n\
        smb = SMBConnection('*SMBSERVER', '127.0.0.1', sess_port=int(sys.argv[1]))\n\
        smb.login('', '')\n\
        rpc = transport.SMBTransport('127.0.0.1', filename='wkssvc', smb_connection=smb).get_dce_rpc()\n\
        rpc.connect()\n\
        rpc.bind(wkst.MSRPC_UUID_WKST)\n\
        told = wkst.hNetrWkstaGetInfo(rpc, 100)['WkstaInfo']['WkstaInfo100']\n\
        print(told['wki100_computername'], told['wki100_langroup'],\n\
        \x20   '%d.%d' % (told['wki100_ver_major'], told['wki100_ver_minor']))";
    python(script, &[port])
}

/// The challenge in the answer to a bind with SPNEGO.
fn asked_by_ldap(port: &str) -> Option<String> {
    let script = "import socket, sys\n\
        from impacket import ntlm\n\
        first = ntlm.getNTLMSSPType1('', '', False).getData()\n\
        def tlv(tag, *parts): text = b''.join(parts); return bytes([tag, len(text)]) + text\n\
        sasl = tlv(0xa3, tlv(4, b'GSS-SPNEGO'), tlv(4, first))\n\
        peer = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n\
        peer.sendall(tlv(0x30, b'\\x02\\x01\\x01', tlv(0x60, b'\\x02\\x01\\x03\\x04\\x00', sasl)))\n\
        answer = peer.recv(4096)\n\
        challenge = answer[answer.index(b'NTLMSSP'):]\n";
    python(&(script.to_owned() + SHOWN), &[port])
}

fn root(port: &str) -> Option<String> {
    let url = format!("ldap://127.0.0.1:{port}");
    installed("ldapsearch").then(|| client("ldapsearch", &["-x", "-LLL", "-H", &url, "-s", "base", "-b", ""]))
}

/// Shows a challenge as nmap does.
const SHOWN: &str = "\
    import struct\n\
    challenge = ntlm.NTLMAuthChallenge(challenge)\n\
    pairs = ntlm.AV_PAIRS(challenge['TargetInfoFields'])\n\
    for name, pair in [('NetBIOS_Domain_Name', 2), ('NetBIOS_Computer_Name', 1), ('DNS_Domain_Name', 4),\n\
    \x20       ('DNS_Computer_Name', 3), ('DNS_Tree_Name', 5)]:\n\
    \x20   print(name + ':', pairs[pair][1].decode('utf-16-le'))\n\
    print('Product_Version: %d.%d.%d' % struct.unpack('<BBH', challenge['Version'][:4]))";

/// As nmap shows it, what it does not ask for: a proxy's challenge, and one under the name of Negotiate.
fn challenged(request: [&str; 5], port: &str) -> Option<String> {
    let script = "import base64, http.client, sys\n\
        from impacket import ntlm\n\
        port, scheme, method, target, asks, answers = sys.argv[1:]\n\
        web = http.client.HTTPConnection('127.0.0.1', int(port))\n\
        first = base64.b64encode(ntlm.getNTLMSSPType1('', '', False).getData()).decode()\n\
        web.request(method, target, headers={asks: scheme + ' ' + first, 'Content-Length': '0'})\n\
        challenge = base64.b64decode(web.getresponse().getheader(answers).split()[1])\n";
    python(&(script.to_owned() + SHOWN), &[&[port][..], &request].concat())
}

fn asked_by_winrm(port: &str) -> Option<String> {
    challenged(["Negotiate", "POST", "/wsman", "Authorization", "WWW-Authenticate"], port)
}

fn asked_by_proxy(port: &str) -> Option<String> {
    let (asks, answers) = ("Proxy-Authorization", "Proxy-Authenticate");
    challenged(["NTLM", "GET", "http://example.invalid/", asks, answers], port)
}

#[test]
fn every_service_says_the_same_of_the_one_host_that_is_configured() {
    let ports = NAMED.map(|_| free_port());
    let sections = NAMED.iter().zip(ports);
    let sections = sections
        .map(|(named, port)| format!("[[service.{}]]\nport = {port}\n{}\n", named.section, named.settings));
    let _canary = Canary::start(&(HOST.to_owned() + &sections.collect::<String>()));
    for (named, port) in NAMED.iter().zip(ports) {
        let Some(said) = (named.ask)(&port.to_string()) else { continue };
        for part in named.says {
            assert!(said.contains(part), "{}: {part}: {said}", named.section);
        }
    }
}
