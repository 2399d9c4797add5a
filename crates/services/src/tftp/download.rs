//! A bait file on its way to a client.

use std::sync::Arc;

use haldane_core::{Flow, Sighting};

use super::{
    BAIT,
    options::Agreed,
    request::{self, ACK, DATA, ERROR, OACK},
};

/// A transfer to the client.
#[derive(Debug)]
pub(super) struct Download {
    name: Vec<u8>,
    content: Arc<[u8]>,
    agreed: Agreed,
    /// Where the block begins that is to be acknowledged.
    at: usize,
    /// Its number; 0 while it is the OACK.
    number: u16,
    /// The OACK, while it is to be acknowledged.
    opening: Option<Vec<u8>>,
    over: Option<End>,
}

#[derive(Debug)]
enum End {
    Complete,
    Refused(Option<u16>, Vec<u8>),
}

impl Download {
    pub(super) fn new(name: &[u8], content: Arc<[u8]>, agreed: Agreed) -> Self {
        let opening =
            (!agreed.said.is_empty()).then(|| [&OACK.to_be_bytes(), agreed.said.as_slice()].concat());
        let number = if opening.is_some() { 0 } else { 1 };
        Self { name: name.to_vec(), content, agreed, at: 0, number, opening, over: None }
    }

    /// What is to be acknowledged.
    pub(super) fn current(&self) -> Vec<u8> {
        if let Some(opening) = &self.opening {
            return opening.clone();
        }
        [&DATA.to_be_bytes(), &self.number.to_be_bytes(), self.block()].concat()
    }

    fn block(&self) -> &[u8] {
        let rest = self.content.get(self.at..).unwrap_or_default();
        rest.get(..self.agreed.block).unwrap_or(rest)
    }

    /// Acts on a datagram of the client; what is sent then, and how it goes on.
    pub(super) fn take(&mut self, datagram: &[u8]) -> Option<(Vec<u8>, Flow)> {
        let (opcode, rest) = request::opcode(datagram);
        if opcode == ERROR {
            let (code, text) = request::error(rest);
            self.over = Some(End::Refused(code, text.to_vec()));
            return Some((Vec::new(), Flow::Close));
        }
        let acknowledged = opcode == ACK && rest.get(..2) == Some(&self.number.to_be_bytes());
        if let Some(opening) = &mut self.opening {
            if acknowledged {
                self.opening = None;
                self.number = 1;
            } else {
                // The server sends its OACK again, from memory into which it has received this.
                for (old, new) in opening.iter_mut().zip(datagram) {
                    *old = *new;
                }
            }
            return Some((self.current(), Flow::Continue));
        }
        if !acknowledged {
            return None;
        }
        let length = self.block().len();
        self.at = self.at.saturating_add(length);
        if length < self.agreed.block {
            self.over = Some(End::Complete);
            return Some((Vec::new(), Flow::Close));
        }
        self.number = self.number.checked_add(1).unwrap_or(self.agreed.rollover);
        Some((self.current(), Flow::Continue))
    }

    /// How it went.
    pub(super) fn sighting(&self) -> Sighting {
        let seen = Sighting::of(&BAIT)
            .with("filename", self.name.as_slice())
            .with("bytes", self.at)
            .with("complete", matches!(self.over, Some(End::Complete)));
        match &self.over {
            Some(End::Refused(code, text)) => seen.with("error", text.as_slice()).with("error_code", *code),
            _ => seen,
        }
    }
}

/// A file as netascii has it (RFC 764): CR LF for a line's end, CR NUL for a CR.
pub(super) fn netascii(content: &[u8]) -> Arc<[u8]> {
    let mut text = Vec::with_capacity(content.len());
    for byte in content {
        match byte {
            b'\n' => text.extend_from_slice(b"\r\n"),
            b'\r' => text.extend_from_slice(b"\r\0"),
            byte => text.push(*byte),
        }
    }
    text.into()
}
