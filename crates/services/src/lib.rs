//! One folder for each emulated protocol. To add one: add the folder, its `mod` line and its [`ALL`] line.
//! Everything else follows from the registry.

pub mod ftp;
pub mod git;
pub mod http;
pub mod httpproxy;
pub mod https;
pub mod ldap;
pub mod llmnr;
pub mod mongodb;
pub mod mssql;
pub mod mssqlbrowser;
pub mod mysql;
pub mod ntp;
pub mod portscan;
pub mod rdp;
pub mod redis;
pub mod replay;
pub mod sip;
pub mod smb;
pub mod snmp;
pub mod ssh;
pub mod tcpbanner;
pub mod telnet;
pub mod tftp;
pub mod vnc;
pub mod winrm;

use haldane_core::{Entry, Transport};

/// Every protocol that this crate emulates, in the order of the documentation.
#[rustfmt::skip]
pub static ALL: &[Entry] = &[
    Entry::stream::<ftp::Ftp>(),
    Entry::stream::<telnet::Telnet>(),
    Entry::stream::<http::Http>(),
    Entry::stream::<https::Https>(),
    Entry::stream::<httpproxy::HttpProxy>(),
    Entry::stream::<ssh::Ssh>(),
    Entry::stream::<mysql::Mysql>(),
    Entry::stream::<mssql::Mssql>(),
    Entry::datagrams::<mssqlbrowser::MssqlBrowser>(),
    Entry::stream::<redis::Redis>(),
    Entry::stream::<mongodb::Mongodb>(),
    Entry::datagrams::<snmp::Snmp>(),
    Entry::datagrams::<ntp::Ntp>(),
    Entry::both::<sip::Sip>().usually(&[Transport::Udp, Transport::Tcp]),
    Entry::stream::<git::Git>(),
    Entry::both::<tcpbanner::TcpBanner>(),
    Entry::sensor::<portscan::PortScan>(),
    Entry::datagrams::<tftp::Tftp>(),
    Entry::stream::<vnc::Vnc>(),
    Entry::stream::<rdp::Rdp>(),
    Entry::stream::<winrm::Winrm>(),
    Entry::both::<ldap::Ldap>().usually(&[Transport::Tcp, Transport::Udp]).also(&[636]),
    Entry::sensor::<llmnr::Llmnr>(),
    Entry::either::<smb::Native, smb::audit::Audit>(),
];
