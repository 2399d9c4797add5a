//! Clients of SQL Server.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::fixture::{Canary, client, free_port, installed, python};

fn canary(settings: &str) -> (Canary, u16) {
    canary_on("2019", settings)
}

/// The same on that Windows.
fn canary_on(windows: &str, settings: &str) -> (Canary, u16) {
    let port = free_port();
    (
        Canary::start(&format!(
            "[host]\nwindows = \"{windows}\"\n[service.mssql]\nport = {port}\n{settings}"
        )),
        port,
    )
}

/// All logins, SQL Server's own and Windows'.
fn logins(canary: &Canary) -> Vec<Value> {
    canary.so_far(|event| event["class"] == "login")
}

/// The one login, with its facts.
fn only(canary: &Canary, username: &str, password: &str, fields: &[(&str, &str)]) {
    let login = canary.login("mssql", username, password);
    assert_eq!(login["kind"], "mssql.login");
    for (name, value) in fields {
        assert_eq!(login["fields"][*name], *value, "{name}: {login}");
    }
    canary.event("the end", |event| event["kind"] == "connection.closed");
    assert_eq!(logins(canary).len(), 1);
}

/// The one login with a Windows account, whose password is known from the answer.
fn windows(canary: &Canary, username: &str) {
    let login = canary.event("the login", |event| event["kind"] == "mssql.windows");
    assert_eq!(login["honeycred"], true, "{login}");
    assert_eq!(
        (&login["credential"]["username"], &login["credential"]["domain"]),
        (&username.into(), &"CORP".into())
    );
    canary.event("the end", |event| event["kind"] == "connection.closed");
    assert_eq!(logins(canary).len(), 1);
    let line = login["credential"]["response"]["crackable"].as_str().unwrap();
    assert!(line.starts_with(&format!("{username}::CORP:")), "{line}");
}

#[test]
fn tsql_is_refused_as_by_the_real_server_and_its_password_recorded() {
    if !installed("tsql") {
        return;
    }
    let (canary, port) = canary("");
    let said = client("tsql", &["-H", "127.0.0.1", "-p", &port.to_string(), "-U", "sa", "-P", "hunter2"]);
    assert!(said.contains("Msg 18456 (severity 14, state 1)"), "{said}");
    assert!(said.contains("Login failed for user 'sa'."), "{said}");
    only(
        &canary,
        "sa",
        "hunter2",
        &[("app", "TSQL"), ("encrypted", "login"), ("tls_version", "TLSv1.2"), ("tds", "7.4")],
    );
}

#[test]
fn tsql_with_a_windows_account_leaves_a_line_that_can_be_cracked() {
    if !installed("tsql") {
        return;
    }
    let (canary, port) = canary("honeycreds = [{ username = \"bob\", password = \"Winter2024\" }]\n");
    let said =
        client("tsql", &["-H", "127.0.0.1", "-p", &port.to_string(), "-U", "CORP\\bob", "-P", "Winter2024"]);
    assert!(said.contains("Msg 18452") && said.contains("untrusted domain"), "{said}");
    windows(&canary, "bob");
}

const NEGOTIATE: &str = "
import sys, base64, pytds, spnego
class Auth:
    def __init__(self):
        options = spnego.NegotiateOptions.use_negotiate
        self.context = spnego.client('CORP\\\\carol', 'Winter2024', hostname='db', service='MSSQLSvc', protocol='negotiate', options=options)
    def create_packet(self): return self.context.step()
    def handle_next(self, packet): return self.context.step(packet)
    def close(self): pass
try:
    pytds.connect('127.0.0.1', port=int(sys.argv[1]), auth=Auth(), login_timeout=20)
    print('let in')
except pytds.Error as error:
    print(error)
";

#[test]
fn a_windows_account_that_is_negotiated_leaves_a_line_too() {
    let (canary, port) = canary("honeycreds = [{ username = \"carol\", password = \"Winter2024\" }]\n");
    let Some(said) = python(NEGOTIATE, &[&port.to_string()]) else { return };
    assert!(said.contains("untrusted domain"), "{said}");
    windows(&canary, "carol");
}

const PYTDS: &str = "
import sys, pytds
port, cafile, login_only = int(sys.argv[1]), sys.argv[2], sys.argv[3] == 'login'
options = {'cafile': cafile, 'validate_host': False, 'enc_login_only': login_only} if cafile else {}
try:
    pytds.connect('127.0.0.1', port=port, user='sa', password='p\\u00e4ss \\u6f22', database='crm', login_timeout=20, **options)
    print('let in')
except pytds.Error as error:
    print(type(error).__name__, error)
";

#[test]
fn python_tds_logs_in_with_and_without_encryption() {
    for (mode, agreed) in [("", "none"), ("login", "login"), ("all", "all")] {
        let (canary, port) = canary("");
        let certificate = canary.folder.path().join("state/mssql.pem");
        let file = if mode.is_empty() { "" } else { certificate.to_str().unwrap() };
        let Some(said) = python(PYTDS, &[&port.to_string(), file, mode]) else { return };
        assert!(said.contains("Login failed for user 'sa'."), "{said}");
        only(&canary, "sa", "päss 漢", &[("encrypted", agreed), ("database", "crm"), ("app", "pytds")]);
    }
}

#[test]
fn pymssql_is_understood_in_every_version_of_the_protocol() {
    let script = "
import sys, pymssql
try:
    pymssql.connect('127.0.0.1', 'sa', 'hunter2', port=sys.argv[1], login_timeout=20, tds_version=sys.argv[2])
except pymssql.Error as error:
    print(error)
";
    for version in ["4.2", "7.0", "7.1", "7.2", "7.3", "7.4"] {
        let (canary, port) = canary("version = \"2012\"");
        let Some(said) = python(script, &[&port.to_string(), version]) else { return };
        assert!(said.contains("18456"), "{version}: {said}");
        only(&canary, "sa", "hunter2", &[("tds", if version == "7.3" { "7.3B" } else { version })]);
    }
}

/// Microsoft's own driver, which is ODBC 18 underneath: it encrypts unless told otherwise.
const ODBC: &str = "
import sys, mssql_python
try:
    mssql_python.connect(f'Server=127.0.0.1,{sys.argv[1]};UID=sa;PWD=hunter2;' + sys.argv[2])
    print('let in')
except Exception as error:
    print(error)
";

#[test]
fn microsoft_s_driver_goes_on_to_log_in() {
    let strict = "Encrypt=strict;ServerCertificate={certificate};";
    for (windows, version, options, agreed, tls) in [
        ("2019", "2019", "TrustServerCertificate=yes;", "all", "TLSv1.2"),
        ("2019", "2012", "Encrypt=no;", "login", "TLSv1.2"),
        ("2019", "2022", strict, "strict", "TLSv1.2"),
        ("2022", "2022", strict, "strict", "TLSv1.3"),
    ] {
        let (canary, port) = canary_on(windows, &format!("version = \"{version}\""));
        let certificate = canary.folder.path().join("certificate.pem");
        let pem = ["mssql.pem", "mssql-old.pem"].map(|name| canary.folder.path().join("state").join(name));
        let pem = pem.iter().find_map(|path| fs::read_to_string(path).ok()).unwrap();
        fs::write(&certificate, pem.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap()).unwrap();
        let options = options.replace("{certificate}", certificate.to_str().unwrap());
        let Some(said) = python(ODBC, &[&port.to_string(), &options]) else { return };
        assert!(said.contains("Login failed for user 'sa'."), "{options}: {said}");
        only(&canary, "sa", "hunter2", &[("encrypted", agreed), ("tls_version", tls)]);
    }
}

#[test]
fn microsoft_s_driver_that_does_not_trust_the_certificate_is_seen() {
    let (canary, port) = canary("");
    let Some(said) = python(ODBC, &[&port.to_string(), ""]) else { return };
    assert!(said.contains("certificate"), "{said}");
    let probe = canary.event("the probe", |event| event["service"] == "mssql" && event["class"] == "probe");
    assert_eq!(probe["fields"]["wants_encryption"], "on");
    assert!(probe["fields"]["ja4"].as_str().unwrap().starts_with("t13"), "{probe}");
    assert!(logins(&canary).is_empty());
}

#[test]
fn brute_forcers_find_nothing_and_are_recorded() {
    for tool in ["hydra", "medusa", "ncrack"] {
        if !installed(tool) {
            continue;
        }
        let (canary, port) = canary("");
        let port = port.to_string();
        let said = match tool {
            "ncrack" => {
                let target = format!("mssql://127.0.0.1:{port}");
                client(tool, &["-g", "cl=1,CL=1,at=1", "--user", "sa", "--pass", "hunter2", &target])
            }
            "hydra" => client(tool, &["-I", "-l", "sa", "-p", "hunter2", "-s", &port, "127.0.0.1", "mssql"]),
            _ => client(tool, &["-h", "127.0.0.1", "-n", &port, "-u", "sa", "-p", "hunter2", "-M", "mssql"]),
        };
        assert!(
            !said.contains("ACCOUNT FOUND")
                && !said.contains("1 valid password found")
                && !said.contains("Discovered credentials"),
            "{said}"
        );
        only(&canary, "sa", "hunter2", &[("tds", "4.2")]);
    }
}

#[test]
fn nmap_names_the_product_and_its_scripts_read_our_names() {
    if !installed("nmap") {
        return;
    }
    let (canary, port) = canary("");
    let port = port.to_string();
    let scan = client("nmap", &["-sV", "-Pn", "-n", "-p", &port, "127.0.0.1"]);
    assert!(scan.contains("ms-sql-s") && scan.contains("Microsoft SQL Server 2019 15.00.2000"), "{scan}");
    let Some(data) = scripts(canary.folder.path()) else { return };
    let names = "ms-sql-info,ms-sql-ntlm-info,ms-sql-empty-password,ssl-cert";
    let scan = client(
        "nmap",
        &["--datadir", &data, "-sV", "-Pn", "-n", "--script", names, "-p", &port, "127.0.0.1"],
    );
    for part in [
        "name: Microsoft SQL Server 2019 RTM",
        "NetBIOS_Computer_Name: ",
        "Product_Version: 10.0.",
        "commonName=SSL_Self_Signed_Fallback",
    ] {
        assert!(scan.contains(part), "{part}: {scan}");
    }
    canary.login("mssql", "sa", "");
    canary.event("the question for names", |event| event["fields"]["asked"] == "windows");
}

/// nmap's files, with the mistake mended that keeps the scripts of 7.93 from running (nmap/nmap#2622).
pub fn scripts(folder: &Path) -> Option<String> {
    let data = folder.join("nmap");
    let copied = Command::new("cp").args(["-r", "/usr/share/nmap"]).arg(&data).status().unwrap();
    let library = data.join("nselib/mssql.lua");
    let text = copied.success().then(|| fs::read_to_string(&library).ok())??;
    let mended = text
        .replace(
            "local status, instances = Helper.GetDiscoveredInstances(host, port)",
            "local instances = Helper.GetDiscoveredInstances(host, port); local status = instances",
        )
        .replace("    if #output > 0 then", "    if next(output) then");
    fs::write(&library, mended).unwrap();
    Some(data.to_str().unwrap().to_owned())
}

#[test]
fn the_browser_records_who_asks_and_says_nothing_that_is_longer() {
    let port = free_port();
    let canary = Canary::start(&format!("[service.mssqlbrowser]\nport = {port}\n"));
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"\x04MSSQLSERVER\0", ("127.0.0.1", port)).unwrap();
    let asked = canary.event("the question", |event| event["kind"] == "mssqlbrowser.query");
    assert_eq!(
        (&asked["fields"]["instance"], &asked["fields"]["answered"]),
        (&"MSSQLSERVER".into(), &false.into())
    );
    socket.send_to(&[&[4][..], b"MSSQLSERVER\0", &[0; 60]].concat(), ("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(crate::fixture::PATIENCE)).unwrap();
    let mut answer = [0; 512];
    let (length, _) = socket.recv_from(&mut answer).unwrap();
    let text = String::from_utf8_lossy(&answer[3..length]).into_owned();
    assert!(
        text.contains(";InstanceName;MSSQLSERVER;IsClustered;No;Version;15.0.2000.5;tcp;1433;;"),
        "{text}"
    );
}
