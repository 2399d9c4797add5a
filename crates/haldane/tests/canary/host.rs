//! One believable host: its certificates, and what of it survives a restart.

use std::{net::TcpStream, sync::Arc};

use openssl::{
    hash::MessageDigest,
    ssl::{SslConnector, SslMethod, SslVerifyMode, SslVersion},
    x509::X509,
};

use crate::fixture::{Canary, connect, folder, free_port};

/// What a client sees that takes any certificate and speaks no newer version than that.
fn certificate(port: u16, newest: SslVersion) -> X509 {
    let mut connector = SslConnector::builder(SslMethod::tls_client()).unwrap();
    connector.set_verify(SslVerifyMode::NONE);
    connector.set_security_level(0);
    connector.set_min_proto_version(Some(SslVersion::TLS1)).unwrap();
    connector.set_max_proto_version(Some(newest)).unwrap();
    connector.set_cipher_list("ALL:@SECLEVEL=0").unwrap();
    let settings =
        connector.build().configure().unwrap().verify_hostname(false).use_server_name_indication(false);
    let stream: TcpStream = connect(port);
    settings.connect("nobody", stream).unwrap().ssl().peer_certificate().unwrap()
}

fn https(port: u16) -> String {
    format!("[host]\nname = \"files01\"\n[service.https]\nport = {port}\n")
}

#[test]
fn a_certificate_is_the_hosts_own_and_no_detectors() {
    let port = free_port();
    let _canary = Canary::start(&https(port));
    let shown = certificate(port, SslVersion::TLS1_3);
    let text = String::from_utf8(shown.to_text().unwrap()).unwrap().to_lowercase();
    for tell in ["synology", "localhost", "example", "cowrie", "dionaea", "honeypot", "haldane", "canary"] {
        assert!(!text.contains(tell), "{tell} is in {text}");
    }
    let name = shown.subject_name().entries().next().unwrap().data().to_string().unwrap();
    assert_eq!(name, "files01");
    let names = shown.subject_alt_names().unwrap();
    assert!(names.iter().any(|other| other.dnsname() == Some("files01")));
    let life = shown.not_before().diff(shown.not_after()).unwrap();
    assert_eq!(life.days, 3650, "as Debian's ssl-cert makes them, not a year");
}

#[test]
fn who_speaks_only_old_versions_of_tls_is_served_too() {
    let port = free_port();
    let _canary = Canary::start(&https(port));
    let new = certificate(port, SslVersion::TLS1_3).to_der().unwrap();
    for version in [SslVersion::TLS1, SslVersion::TLS1_1, SslVersion::TLS1_2] {
        assert_eq!(certificate(port, version).to_der().unwrap(), new);
    }
}

#[test]
fn a_certificate_survives_a_restart_and_is_another_on_another_host() {
    let port = free_port();
    let own = folder();
    let print = |canary: Canary| {
        let shown = certificate(port, SslVersion::TLS1_3);
        canary.stop();
        let serial = shown.serial_number().to_bn().unwrap().to_vec();
        (shown.digest(MessageDigest::sha256()).unwrap().to_vec(), serial)
    };
    let first = print(Canary::start_in(Arc::clone(&own), &https(port)));
    let again = print(Canary::start_in(own, &https(port)));
    let other = print(Canary::start(&https(port)));
    assert_eq!(first, again);
    assert_ne!(first.0, other.0);
    assert_ne!(first.1, other.1);
}
