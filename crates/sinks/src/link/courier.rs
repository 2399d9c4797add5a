//! Delivery over a stream without acknowledgements, as near to certain as TCP tells.
//!
//! A receiver that refuses, resets, has hung up or has fallen silent is noticed, and what it may not have read
//! is sent again; one that takes a message and loses it is not.

use std::{io, time::Duration};

use tokio::io::AsyncWriteExt;

use super::{Far, Stream, stream::Heard, unsure::Unsure};
use crate::step::step;

/// A connection that is kept, and what may be lost with it.
#[derive(Debug)]
pub(crate) struct Courier {
    stream: Option<Stream>,
    unsure: Unsure,
    answers: Answers,
    refusal: Duration,
}

/// What it means that a receiver says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    /// Nothing.
    Ignored,
    /// It has not taken what was sent last: the protocol has answers for errors alone.
    Errors,
}

impl Courier {
    /// `refusal` is how long to wait for a refusal after each writing: longer than the way to the receiver and
    /// back within a site.
    pub(crate) fn new(answers: Answers, refusal: Duration) -> Self {
        Self { stream: None, unsure: Unsure::default(), answers, refusal }
    }

    /// Whether there is a connection that still stands. `Err` is an error that the receiver sent meanwhile.
    pub(crate) async fn stands(&mut self) -> Result<bool, Vec<u8>> {
        // Out of its place meanwhile, here and below: what is dropped within leaves no connection behind.
        let Some(mut stream) = self.stream.take() else { return Ok(false) };
        let Ok(heard) = stream.listen(BEFORE).await else { return Ok(false) };
        if let Some(error) = self.error(&heard) {
            return Err(error);
        }
        match heard.stands {
            true => {
                self.unsure.connection_stands();
                self.stream = Some(stream);
            }
            false => self.unsure.clear(),
        }
        Ok(heard.stands)
    }

    /// Takes a new connection, to which is written again what may have been lost with the last one.
    pub(crate) async fn opened(&mut self, mut stream: Stream) -> io::Result<()> {
        let lost = self.unsure.frames();
        if !lost.is_empty() {
            stream.write_all(&lost).await?;
        }
        self.stream = Some(stream);
        Ok(())
    }

    /// Writes frames and waits for a refusal; returns the error that the receiver sent.
    pub(crate) async fn write(&mut self, frames: Vec<u8>) -> io::Result<Result<(), Vec<u8>>> {
        let Some(mut stream) = self.stream.take() else { return Err(io::ErrorKind::NotConnected.into()) };
        stream.write_all(&frames).await?;
        stream.flush().await?;
        step(format_args!("{} bytes written", frames.len()));
        let heard = stream.listen(self.refusal).await?;
        if let Some(error) = self.error(&heard) {
            return Ok(Err(error));
        }
        step(match heard.stands {
            true => "the receiver did not object (it has no way to confirm)",
            false => "the receiver took it and hung up",
        });
        match heard.stands {
            true => {
                self.unsure.push(frames);
                self.stream = Some(stream);
            }
            false => self.unsure.clear(),
        }
        Ok(Ok(()))
    }

    /// For protocols without any answers: connects if need be, and writes.
    ///
    /// # Errors
    /// To be put into words by [`Far::why`].
    pub(crate) async fn deliver(&mut self, far: &Far, frames: Vec<u8>) -> io::Result<()> {
        if !self.stands().await.unwrap_or(false) {
            let stream = far.connect().await?;
            self.opened(stream).await?;
        }
        // There are no answers, so there is no error either.
        self.write(frames).await.map(|_| ())
    }

    fn error(&self, heard: &Heard) -> Option<Vec<u8>> {
        (self.answers == Answers::Errors && !heard.said.is_empty()).then(|| heard.said.clone())
    }

    /// The operator wants a new connection: the old one is ended in good order.
    pub(crate) fn close(&mut self) {
        self.stream = None;
        self.unsure.clear();
    }
}

/// How long to look whether the far end has hung up.
const BEFORE: Duration = Duration::from_millis(1);
