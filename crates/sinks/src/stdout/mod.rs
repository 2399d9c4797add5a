//! Lines on standard output or standard error: coloured text for a person at a terminal, JSON for a program.

use std::{
    fs::File,
    io::{self, ErrorKind, IsTerminal, Write},
    os::fd::AsFd,
};

use haldane_core::{Notify, Record, Section, Severity, Wants};

use crate::{
    Failure, Sender, Sink,
    desk::{Desk, Put, write_lines},
    encode::{FORMATS, Layout, pattern},
};

/// Standard output or standard error.
#[derive(Debug)]
pub struct Stdout {
    desk: Desk<Stream>,
    layout: Layout,
}

impl Sink for Stdout {
    const NAME: &'static str = "stdout";
    const BATCH: usize = 500;
    const WANTS: Wants = Wants { severity: Severity::Low, operational: true, notify: Notify::Event };
    const MASK: bool = false;

    fn configure(section: &mut Section<'_>, sender: &Sender) -> Self {
        let stream = section.choice(
            "stream",
            "stdout",
            &["stdout", "stderr"],
            "Where lines go: stdout (standard output) or stderr (standard error).",
        );
        let format = section.choice(
            "format",
            "auto",
            &FORMATS,
            "What is written for an event: text (a line for people), native (JSON, everything), another of these \
             words, or auto (text on a terminal, else native).",
        );
        let error = stream == "stderr";
        let terminal = if error { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
        let format = match format {
            "auto" if terminal => "text",
            "auto" => "native",
            format => format,
        };
        // See https://no-color.org.
        let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let layout = Layout::of(format, colour, &sender.node).within(pattern(section));
        Self { desk: Desk::new(Stream { error, torn: false, open: None }), layout }
    }

    async fn deliver(&mut self, batch: &[Record]) -> Result<(), Failure> {
        let layout = &self.layout;
        self.desk.write(batch, |event| layout.line(event)).await
    }
}

#[derive(Debug)]
struct Stream {
    error: bool,
    /// The last write ended within a line.
    torn: bool,
    /// The stream under another descriptor, past the buffer of std, which would write again what failed. Kept,
    /// so that a process without descriptors to spare goes on writing.
    open: Option<File>,
}

impl Put for Stream {
    fn put(&mut self, lines: &[String]) -> (usize, Result<(), Failure>) {
        let open = match self.open.take() {
            Some(open) => Ok(open),
            None if self.error => io::stderr().as_fd().try_clone_to_owned().map(File::from),
            None => io::stdout().as_fd().try_clone_to_owned().map(File::from),
        };
        match open {
            Ok(mut open) => {
                let outcome = self.put_to(&mut open, lines);
                self.open = Some(open);
                outcome
            }
            Err(error) => (0, Err(self.failure(&error))),
        }
    }
}

impl Stream {
    fn put_to(&mut self, out: &mut impl Write, lines: &[String]) -> (usize, Result<(), Failure>) {
        if self.torn {
            if let Err(error) = out.write_all(b"\n") {
                return (0, Err(self.failure(&error)));
            }
            self.torn = false;
        }
        let written = write_lines(out, lines);
        self.torn = written.torn > 0;
        (written.whole, written.error.map_or(Ok(()), |error| Err(self.failure(&error))))
    }

    fn failure(&self, error: &io::Error) -> Failure {
        let name = if self.error { "standard error" } else { "standard output" };
        Failure::later(match error.kind() {
            ErrorKind::BrokenPipe => format!("whoever read {name} has gone"),
            _ => format!("cannot write to {name}: {error}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes that many bytes, then has no room.
    struct Full(Vec<u8>, usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.1.saturating_sub(self.0.len()).min(bytes.len()) {
                0 => Err(ErrorKind::StorageFull.into()),
                room => self.0.write(&bytes[..room]),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_torn_line_is_ended_before_it_is_written_again() {
        let mut stream = Stream { error: false, torn: false, open: None };
        let mut out = Full(Vec::new(), 6);
        let lines = ["one\n".to_owned(), "two\n".to_owned()];
        let (whole, outcome) = stream.put_to(&mut out, &lines);
        assert_eq!(whole, 1);
        assert!(matches!(outcome, Err(Failure::Later { .. })));
        out.1 = 100;
        assert_eq!(stream.put_to(&mut out, &lines[whole..]), (1, Ok(())));
        assert_eq!(out.0, b"one\ntw\ntwo\n");
    }
}
