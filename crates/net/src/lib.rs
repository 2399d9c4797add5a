//! The only crate that opens sockets. It makes the promises that no author of a service can forget: limits,
//! clocks, stamps, evidence before answer.

pub mod admission;
mod bug;
pub mod conn;
pub mod datagram;
pub mod drive;
mod exchange;
pub mod kinds;
pub mod listen;
pub mod neighbours;
pub mod proxy;
pub mod report;
pub mod sensor;
mod udp;

pub use admission::{Admission, Room};
pub use bug::text as panic_text;
pub use conn::Conn;
pub use datagram::serve_datagrams;
pub use kinds::KINDS;
pub use listen::{Listening, serve};
pub use report::{Reporter, now};
