//! Lines appended to a file.
//!
//! The file may be moved or deleted at any time (logrotate): it is made anew for the next line. It may also
//! be rotated here, by size and by time, with the names that Python's logging handlers give. No half line
//! stays in it, whatever happens.

mod log;
mod rotation;

use std::path::PathBuf;

use haldane_core::{Notify, Record, Section, Severity, Wants};
use rotation::{Rotation, When};

use crate::{Failure, Sender, Sink, desk::Desk, encode::Layout};

/// A file of lines.
#[derive(Debug)]
pub struct File {
    path: Option<PathBuf>,
    desk: Desk<log::Log>,
    layout: Layout,
}

impl Sink for File {
    const NAME: &'static str = "file";
    const BATCH: usize = 500;
    const WANTS: Wants = Wants { severity: Severity::Info, operational: true, notify: Notify::Event };
    const MASK: bool = false;

    fn configure(section: &mut Section<'_>, sender: &Sender) -> Self {
        let path = section
            .path("path", "The file, as in \"/var/log/haldane.log\". Made, with mode 0640, if need be.");
        if path.is_none() {
            section.invalid("path", "expected the path of a file");
        }
        let mode = section.choice(
            "mode",
            "a",
            &["a", "w"],
            "What happens to what is in the file at start: a (append to it) or w (empty it).",
        );
        let layout = Layout::configure(section, "native", &sender.node);
        let rotation = rotation(section);
        // A file that is rotated is never emptied, as with Python's handlers.
        let empty = mode == "w" && rotation.size == 0 && rotation.when.is_none();
        let log = log::Log::new(path.clone().unwrap_or_else(|| PathBuf::from("/dev/null")), empty, rotation);
        Self { path, desk: Desk::new(log), layout }
    }

    async fn deliver(&mut self, batch: &[Record]) -> Result<(), Failure> {
        let layout = &self.layout;
        self.desk.write(batch, |event| layout.line(event)).await
    }

    // A moved file is noticed before each write, and SIGHUP after a move has nothing to add. What SIGHUP is
    // for otherwise, a file system mounted over the folder, is noticed in the same way.
    fn reopen(&mut self) {}

    fn owns(&self) -> Vec<PathBuf> {
        self.path.iter().cloned().collect()
    }
}

fn rotation(section: &mut Section<'_>) -> Rotation {
    let size = section.bytes(
        "rotate_size",
        0,
        "A file that would outgrow this is renamed to path.1 (and path.1 to path.2 …); 0: never.",
    );
    let about = "When the file is renamed to path.DATE: S, M, H, D (every rotate_interval seconds, minutes, hours \
                 or days), midnight, or W0 (Monday) to W6.";
    let when = section.optional("rotate_when", about).filter(|when| !when.is_empty());
    let interval = section.number("rotate_interval", 1, 1..=100_000, "Every how many of rotate_when.");
    let default = 7;
    let keep = section.number(
        "keep",
        default,
        0..=10_000,
        "How many renamed files are kept. 0: all of those renamed by date; and none is renamed for its size.",
    );
    let utc = section.flag("utc", false, "Whether dates and midnight are those of UTC rather than local.");
    let when = when.and_then(|when| {
        let parsed = When::parse(&when, interval);
        if parsed.is_none() {
            section.invalid("rotate_when", "expected S, M, H, D, midnight, or W0 to W6");
        }
        parsed
    });
    Rotation { size, when, keep: usize::try_from(keep).unwrap_or(usize::MAX), utc }
}
