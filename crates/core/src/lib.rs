//! The vocabulary that every other crate speaks. No sockets, no clock, no runtime.
//!
//! Read in this order: [`session`] (what the author of a protocol writes), [`event`] and [`kind`] (what
//! comes out), [`service`] (how the registry finds it), [`section`] (how it is configured), [`limits`].

pub mod credential;
pub mod event;
pub mod input;
pub mod journal;
pub mod kind;
pub mod limits;
pub mod pattern;
pub mod peer;
pub mod process;
pub mod section;
pub mod sensor;
pub mod service;
pub mod session;
pub mod text;
pub mod window;
pub mod windows;

pub use credential::{Login, Secret};
pub use event::{Batch, Event, Honeycred, Record, Sighting, TlsFacts};
pub use input::{Halt, Input};
pub use journal::{Health, Journal, Notify, Page, Wants};
pub use kind::{Absent, Class, Compat, Kind, Kinds, Part, Severity};
pub use limits::{Keepalive, Limits};
pub use pattern::Pattern;
pub use peer::{Peer, Transport};
pub use process::{News, Process, Saved, Unsaved};
pub use section::{Problem, Section, Table};
pub use sensor::{Arrival, Datagram, Destination, Feed, Network, Packet, Sensor, Watch, Watched};
pub use service::{Datagrams, Entry, Exchange, Host, Keep, Protocol, TlsStack, TlsUse};
pub use session::{Cx, Effects, Flow, Session, Timeout};
pub use text::{Fields, Untrusted, Value};
pub use window::Window;
pub use windows::Windows;
