//! TLS of the decoys: OpenSSL, driven over memory buffers.
//!
//! A decoy's handshake must be that of the servers it imitates, and must take clients that are as old as they
//! come: that is OpenSSL with its security level at 0. It owns no socket: [`Engine`] takes the bytes that came
//! and hands out those to send, so TLS from the first byte, STARTTLS, and TLS inside another protocol's packets
//! are the same code. Our own connections (sinks) use rustls instead; the two never meet.

mod engine;
pub mod hello;
mod identity;

pub use engine::{Acceptor, Engine, Failure, Offer};
pub use identity::{Identity, Names};

/// Fills the buffer from OpenSSL's generator, which the system seeds.
pub fn random(buffer: &mut [u8]) {
    // It fails only if the system has no randomness at all; what is left in the buffer is then as good as
    // anything that could be done.
    openssl::rand::rand_bytes(buffer).ok();
}
