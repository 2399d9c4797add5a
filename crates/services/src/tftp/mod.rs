//! TFTP: answers requests as tftpd-hpa 5.2 does, from a port of its own for each, with errors, bait files and
//! acknowledgements.
//!
//! Reports `tftp.request` for each request, whatever is in it; `tftp.bait` when a file of the operator's was fetched, with
//! how much of it arrived; `tftp.upload` when a client has sent a file, or stopped: size, SHA-256, and how it begins; and
//! `tftp.datagram` for what is no request.
//!
//! Protocol: RFC 1350; options of RFC 2347 to 2349, and tftpd-hpa's own (`blksize2`, `utimeout`, `rollover`); like it, we
//! do not know RFC 7440 (`windowsize`). Read `request` for the grammar, `options` for what is agreed on, `download` and
//! `upload` for the two kinds of transfer, `files` for the bait.
//!
//! What differs from the real server: uploads go to any folder, since a name that was sent is worth more than the
//! error; and a file that was sent cannot be fetched again.

mod download;
mod files;
mod options;
mod request;
mod transfer;
mod upload;

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicUsize},
};

use haldane_core::{
    Class, Compat, Cx, Datagrams, Exchange, Halt, Host, Input, Keep, Kind, Peer, Section, Severity, Sighting,
};

use files::Files;
use transfer::Transfer;

/// Somebody asked to read or to write a file.
pub static REQUEST: Kind = Kind::new(10001, "tftp.request", Class::Access, Severity::Low, "TFTP request")
    .compat(&[
        Compat::field("FILENAME", "filename"),
        Compat::field("MODE", "mode"),
        Compat::field("OPCODE", "opcode"),
    ]);
/// A datagram that is no request: fields `opcode` and `excerpt`.
pub static DATAGRAM: Kind =
    Kind::new(31500, "tftp.datagram", Class::Probe, Severity::Low, "TFTP datagram without a request");
/// A file was sent to us: fields `filename`, `bytes`, `sha256`, `complete`, `head`, and `kept` or `not_kept`.
pub static UPLOAD: Kind = Kind::new(31501, "tftp.upload", Class::Command, Severity::High, "TFTP upload");
/// A bait file was fetched: fields `filename`, `bytes` that arrived, `complete`.
pub static BAIT: Kind =
    Kind::new(31502, "tftp.bait", Class::Bait, Severity::Critical, "TFTP bait file fetched");

/// Bytes of what came that are recorded.
const EXCERPT: usize = 256;

/// The service.
#[derive(Debug)]
pub struct Tftp {
    server: Arc<Server>,
}

/// What all transfers share.
#[derive(Debug)]
struct Server {
    bait: Files,
    uploads: bool,
    largest: u64,
    keeping: Option<Keeping>,
}

/// Where uploads are kept.
#[derive(Debug)]
struct Keeping {
    folder: PathBuf,
    keep: Arc<dyn Keep>,
    /// Bytes that all running uploads hold together.
    held: AtomicUsize,
}

impl Datagrams for Tftp {
    const NAME: &'static str = "tftp";
    const PORT: u16 = 69;
    const KINDS: &'static [&'static Kind] = &[&REQUEST, &DATAGRAM, &UPLOAD, &BAIT];
    const TRY: &'static str = "curl -m 5 tftp://{host}:{port}/startup-config";

    fn configure(section: &mut Section<'_>, host: &Host) -> Self {
        let bait = section.path(
            "bait",
            "A folder of files that may be fetched: at most 1000 of 4 MiB at most, 16 MiB together. They are read at the start; links in it are not followed.",
        );
        let bait = match bait.map(|folder| Files::read(&folder)) {
            None => Files::default(),
            Some(Ok(files)) => files,
            Some(Err(why)) => {
                section.invalid("bait", format!("expected a folder of bait files: {why}"));
                Files::default()
            }
        };
        let uploads = section.flag(
            "uploads",
            true,
            "Whether files may be sent. They are received and hashed, and cannot be fetched again.",
        );
        let largest = section.bytes("max_upload", 1 << 20, "The largest file that is received whole.");
        let keeping = section
            .path("keep_uploads", "A folder in which files that were sent are kept, under their SHA-256.")
            .map(|folder| Keeping { folder, keep: Arc::clone(&host.keep), held: AtomicUsize::new(0) });
        Self { server: Arc::new(Server { bait, uploads, largest, keeping }) }
    }

    fn answer(&self, datagram: &mut Input<'_>, cx: &mut Cx<'_>) -> Result<(), Halt> {
        let whole = datagram.take_rest();
        let seen = Sighting::of(&DATAGRAM).with("excerpt", whole.get(..EXCERPT).unwrap_or(whole));
        cx.report(match whole {
            [first, second, ..] => seen.with("opcode", u16::from_be_bytes([*first, *second])),
            _ => seen,
        });
        Ok(())
    }

    fn exchange(&self, datagram: &[u8], _peer: &Peer) -> Option<Box<dyn Exchange>> {
        request::is_one(datagram).then(|| {
            let begun: Box<dyn Exchange> = Box::new(Transfer::new(Arc::clone(&self.server), datagram));
            begun
        })
    }
}
