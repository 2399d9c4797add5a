//! What a canary in a terminal says when it is up: who listens where, and what to try.

use std::net::SocketAddr;

/// One line for a service that is up: its name, where it listens, and a command that touches it.
pub fn line(service: &str, address: SocketAddr) -> String {
    format!("{service:<10} {:<22} try: {}", address.to_string(), hint(service, address))
}

/// A command that a person can paste. A service without one of its own gets a plain connection: nothing
/// depends on this list.
pub fn hint(service: &str, address: SocketAddr) -> String {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        ip if ip.is_ipv4() => std::net::Ipv4Addr::LOCALHOST.into(),
        _ => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    let port = address.port();
    let site = SocketAddr::new(ip, port);
    match service {
        "ssh" => format!("ssh -p {port} root@{ip}"),
        "http" | "ftp" => format!("curl {service}://{site}/"),
        "https" => format!("curl -k https://{site}/"),
        "telnet" => format!("telnet {ip} {port}"),
        "mysql" => format!("mysql -h {ip} -P {port} -u root -p"),
        "redis" => format!("redis-cli -h {ip} -p {port} INFO"),
        _ => format!("nc {ip} {port}"),
    }
}
