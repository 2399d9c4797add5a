//! A file on its way from a client.

use std::sync::{Arc, atomic::Ordering};

use haldane_core::{Cx, Flow, Sighting};
use sha2::{Digest, Sha256};

use super::{
    EXCERPT, Keeping, Server, UPLOAD,
    options::Agreed,
    request::{self, DATA, ERROR, OACK, Refusal},
};

/// Bytes that all uploads that are to be kept may hold together. What comes on top is hashed and not kept.
const HELD: usize = 8 << 20;

/// A transfer from the client.
pub(super) struct Upload {
    server: Arc<Server>,
    name: Vec<u8>,
    agreed: Agreed,
    /// In netascii: whether the last byte was a CR.
    text: Option<bool>,
    /// The block received last; 0 before the first.
    number: u16,
    hash: Sha256,
    bytes: u64,
    head: Vec<u8>,
    held: Option<Held>,
    error: Option<(Option<u16>, Vec<u8>)>,
    complete: bool,
    told: bool,
}

/// Content that is to be kept, counted among all that is held.
struct Held {
    server: Arc<Server>,
    content: Vec<u8>,
}

impl Held {
    fn keeping(&self) -> Option<&Keeping> {
        self.server.keeping.as_ref()
    }

    /// Adds to it; `false` if there is no room.
    fn add(&mut self, bytes: &[u8]) -> bool {
        let Some(keeping) = &self.server.keeping else { return false };
        let before = keeping.held.fetch_add(bytes.len(), Ordering::Relaxed);
        self.content.extend_from_slice(bytes);
        before.saturating_add(bytes.len()) <= HELD
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(keeping) = self.keeping() {
            keeping.held.fetch_sub(self.content.len(), Ordering::Relaxed);
        }
    }
}

impl Upload {
    pub(super) fn new(server: Arc<Server>, name: &[u8], text: bool, agreed: Agreed) -> Self {
        let held =
            server.keeping.is_some().then(|| Held { server: Arc::clone(&server), content: Vec::new() });
        Self {
            server,
            name: name.to_vec(),
            agreed,
            text: text.then_some(false),
            number: 0,
            hash: Sha256::new(),
            bytes: 0,
            head: Vec::new(),
            held,
            error: None,
            complete: false,
            told: false,
        }
    }

    /// The largest datagram: a block's, and room to see that one is longer than agreed.
    pub(super) fn largest(&self) -> usize {
        self.agreed.block.max(1468).saturating_add(4)
    }

    /// Whether all of it is there.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// What is to be answered with the next block.
    pub(super) fn current(&self) -> Vec<u8> {
        if self.number == 0 && self.bytes == 0 && !self.agreed.said.is_empty() {
            return [&OACK.to_be_bytes(), self.agreed.said.as_slice()].concat();
        }
        request::ack(self.number)
    }

    /// Acts on a datagram of the client; what is sent then, and how it goes on.
    pub(super) fn take(&mut self, datagram: &[u8], cx: &mut Cx<'_>) -> Option<(Vec<u8>, Flow)> {
        let (opcode, rest) = request::opcode(datagram);
        if opcode == ERROR {
            let (code, text) = request::error(rest);
            self.error = Some((code, text.to_vec()));
            return Some((Vec::new(), Flow::Close));
        }
        let (number, block) = rest.split_at_checked(2).filter(|_| opcode == DATA)?;
        let number = u16::from_be_bytes(number.try_into().ok()?);
        if number == self.number {
            // Our answer was lost.
            return Some((self.current(), Flow::Continue));
        }
        if self.complete || number != self.number.checked_add(1).unwrap_or(self.agreed.rollover) {
            return None;
        }
        self.number = number;
        self.add(block);
        if self.bytes > self.server.largest {
            return Some((Refusal::NO_ROOM.datagram(), Flow::Close));
        }
        if block.len() != self.agreed.block {
            self.complete = true;
            self.tell(cx);
        }
        Some((request::ack(number), Flow::Continue))
    }

    fn add(&mut self, block: &[u8]) {
        let text = self.text.as_mut().map(|cr| from_netascii(block, cr));
        let content = text.as_deref().unwrap_or(block);
        self.hash.update(content);
        self.bytes = self.bytes.saturating_add(u64::try_from(content.len()).unwrap_or(u64::MAX));
        let room = EXCERPT.saturating_sub(self.head.len());
        self.head.extend_from_slice(content.get(..room).unwrap_or(content));
        if self.held.as_mut().is_some_and(|held| !held.add(content)) {
            self.held = None;
        }
    }

    /// Reports it, once. A request that no block followed has been reported already.
    pub(super) fn tell(&mut self, cx: &mut Cx<'_>) {
        if self.told || (self.number == 0 && self.bytes == 0 && self.error.is_none()) {
            return;
        }
        self.told = true;
        let sum: String = self.hash.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let mut seen = Sighting::of(&UPLOAD)
            .with("filename", self.name.as_slice())
            .with("bytes", self.bytes)
            .with("complete", self.complete)
            .with("sha256", sum.as_str())
            .with("head", self.head.as_slice());
        if let Some((code, text)) = &self.error {
            seen = seen.with("error", text.as_slice()).with("error_code", *code);
        }
        if let Some(keeping) = self.server.keeping.as_ref().filter(|_| self.bytes > 0) {
            let kept = match self.held.take() {
                Some(held) => keeping
                    .keep
                    .keep(Some(&keeping.folder), &sum, &mut || Ok(held.content.clone()))
                    .map(|_| keeping.folder.join(&sum).display().to_string()),
                None => Err("too many uploads at once".to_owned()),
            };
            seen = match kept {
                Ok(path) => seen.with("kept", path),
                Err(why) => seen.with("not_kept", why),
            };
        }
        cx.report(seen);
    }
}

/// Netascii as a file (RFC 764): CR LF is a line's end, CR NUL a CR. `cr`: the text before ended with one.
fn from_netascii(text: &[u8], cr: &mut bool) -> Vec<u8> {
    let mut content = Vec::with_capacity(text.len());
    for byte in text {
        match (std::mem::replace(cr, *byte == b'\r'), byte) {
            (true, b'\n') => content.push(b'\n'),
            (true, 0) => content.push(b'\r'),
            (true, b'\r') => content.push(b'\r'),
            (true, byte) => content.extend_from_slice(&[b'\r', *byte]),
            (false, b'\r') => {}
            (false, byte) => content.push(*byte),
        }
    }
    content
}
