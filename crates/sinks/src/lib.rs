//! Where alerts go. One folder for each sink; the loop around them is in [`runner`], once. To add a sink: add
//! the folder, its `mod` line and its [`ALL`] line. A service that is told over HTTP needs no code: add its file to
//! `channel/presets` and its line here.

mod channel;
mod concealed;
pub mod delivery;
mod desk;
pub mod encode;
pub mod file;
pub mod gelf;
pub mod hearing;
pub mod hpfeeds;
mod http;
pub mod kafka;
mod link;
pub mod mqtt;
pub mod nats;
pub mod runner;
pub mod sink;
pub mod smtp;
pub mod stdout;
pub mod step;
pub mod syslog;
pub mod tcp;
mod trust;
pub mod webhook;

pub use channel::registry;
pub use delivery::Delivery;
pub use hearing::{Hearing, KINDS};
pub use sink::{AnySink, Entry, Failure, Sender, Signals, Sink};

/// The row of a preset.
macro_rules! preset {
    ($name:literal) => {
        Entry::preset($name, include_str!(concat!("channel/presets/", $name, ".toml")))
    };
}

/// Every sink; [`registry`] adds the operator's own.
#[rustfmt::skip]
pub static ALL: &[Entry] = &[
    preset!("discord"),
    preset!("elasticsearch"),
    Entry::of::<file::File>(),
    preset!("googlechat"),
    preset!("graylog"),
    preset!("loki"),
    preset!("mattermost"),
    preset!("ntfy"),
    preset!("opsgenie"),
    preset!("pagerduty"),
    preset!("pushover"),
    preset!("slack"),
    Entry::of::<gelf::Gelf>(),
    Entry::of::<hpfeeds::Hpfeeds>(),
    Entry::of::<kafka::Kafka>(),
    Entry::of::<mqtt::Mqtt>(),
    Entry::of::<nats::Nats>(),
    Entry::of::<smtp::Smtp>(),
    preset!("splunk"),
    Entry::of::<stdout::Stdout>(),
    Entry::of::<syslog::Syslog>(),
    preset!("teams"),
    preset!("telegram"),
    Entry::of::<tcp::Tcp>(),
    Entry::of::<webhook::Webhook>(),
];
