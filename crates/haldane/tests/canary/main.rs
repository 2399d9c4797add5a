//! The real binary, with real clients and real receivers.
//!
//! [`fixture`] starts a canary on free ports of loopback and waits for its events; each other module is a theme.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::print_stdout,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a test may panic, and tell why it was skipped"
)]

mod actions;
mod amplification;
mod believable;
mod channels;
mod clients;
mod clients_db;
mod clients_git;
mod clients_httpproxy;
mod clients_ldap;
mod clients_mongodb;
mod clients_mssql;
mod clients_ntlm;
mod clients_ntp;
mod clients_rdp;
mod clients_sip;
mod clients_smb;
mod clients_smb1;
mod clients_smb_rpc;
mod clients_snmp;
mod clients_ssh;
mod clients_text;
mod clients_tftp;
mod clients_vnc;
mod clients_web;
mod clients_windows;
mod compat;
mod faults;
mod fixture;
mod host;
mod incidents;
mod input;
mod lifecycle;
mod llmnr;
mod network;
mod operator;
mod portscan;
mod privileges;
mod receivers;
mod rules;
mod smb;
mod whole;
