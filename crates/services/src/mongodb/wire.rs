//! Messages (MongoDB manual, "MongoDB Wire Protocol"): a header of four numbers, then what its operation is.

use std::io::Read;

use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use haldane_core::{Halt, Input};

use super::bson;

/// Operation codes.
const OP_REPLY: u32 = 1;
const OP_QUERY: u32 = 2004;
const OP_COMPRESSED: u32 = 2012;
const OP_MSG: u32 = 2013;
/// Operations of old drivers that are answered by none, with what they do.
const LEGACY: [(u32, &str); 5] =
    [(2001, "update"), (2002, "insert"), (2005, "getMore"), (2006, "delete"), (2007, "killCursors")];
/// `maxMessageSizeBytes`: mongod hangs up over anything longer.
const LONGEST: u32 = 48_000_000;
/// What a message may become when it is decompressed here.
const INFLATED: u64 = 1 << 20;
/// Compressors by number: 0 none, 2 zlib.
const NOOP: u8 = 0;
const ZLIB: u8 = 2;
/// A flag of OP_MSG: a checksum ends it. Another: no answer is wanted.
const CHECKSUM: u32 = 1;
const MORE_TO_COME: u32 = 2;

/// How a message came: its answer goes the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    request: u32,
    query: bool,
    compressed: bool,
    /// Whether an answer is wanted.
    pub answered: bool,
}

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    /// A command.
    Command {
        /// How it came.
        way: Way,
        /// The database that it is for.
        database: Vec<u8>,
        /// The elements of its document.
        body: Vec<u8>,
        /// Further documents (kind 1 sections), as text: what is to be inserted, for example.
        more: Vec<u8>,
    },
    /// An operation of old drivers: what it does, and to which collection.
    Legacy {
        /// What it does.
        name: &'static str,
        /// Database and collection, with a dot between.
        collection: Vec<u8>,
        /// Its documents as text, as far as they can be read.
        more: Vec<u8>,
    },
    /// HTTP on the wrong port.
    Http,
    /// What mongod hangs up over: why, and its first bytes.
    Broken(&'static str, Vec<u8>),
}

impl Way {
    /// Whether it came in OP_QUERY.
    pub fn is_query(self) -> bool {
        self.query
    }
}

/// Reads one message. `first`: nothing came before it.
pub(super) fn message(input: &mut Input<'_>, first: bool) -> Result<Message, Halt> {
    let length = input.array::<4>()?;
    if length == *b"GET " {
        input.take_rest();
        return Ok(Message::Http);
    }
    let [request, response, operation] = [input.array::<4>()?, input.array()?, input.array()?];
    let head = [length, request, response, operation].concat();
    let length = u32::from_le_bytes(length);
    // So a mongod that can do TLS tells its own protocol from a handshake (MongoDB source, `session_asio.h`).
    if first && response != [0; 4] && response != [0xff; 4] {
        return Ok(Message::Broken("not the first message of a driver", head));
    }
    if !(16..=LONGEST).contains(&length) {
        return Ok(Message::Broken("message size out of bounds", head));
    }
    let rest = usize::try_from(length.saturating_sub(16)).unwrap_or(usize::MAX);
    let whole = input.take(rest)?;
    let way = Way { request: u32::from_le_bytes(request), query: false, compressed: false, answered: true };
    Ok(body(u32::from_le_bytes(operation), &mut Input::whole(whole), way).unwrap_or_else(|halt| {
        let why = match halt {
            Halt::Malformed(why) => why,
            Halt::Need(_) => "truncated",
        };
        Message::Broken(why, [&head, whole.get(..240).unwrap_or(whole)].concat())
    }))
}

fn body(operation: u32, input: &mut Input<'_>, way: Way) -> Result<Message, Halt> {
    match operation {
        OP_MSG => msg(input, way),
        OP_QUERY => {
            let _flags = input.u32_le()?;
            let name = bson::text_to_nul(input)?;
            input.take(8)?;
            let command = bson::document(input)?;
            bson::check(command)?;
            let database = name.split(|&byte| byte == b'.').next().unwrap_or_default().to_vec();
            if !name.ends_with(b".$cmd") {
                let (collection, more) = (name.to_vec(), bson::shown(command));
                return Ok(Message::Legacy { name: "query", collection, more });
            }
            // Drivers wrap a command to say how it is to be read.
            let inner = match bson::find(command, "$query").or_else(|| bson::find(command, "query")) {
                Some(bson::Value::Document(inner)) => inner,
                _ => command,
            };
            let way = Way { query: true, ..way };
            Ok(Message::Command { way, database, body: inner.to_vec(), more: Vec::new() })
        }
        OP_COMPRESSED => {
            let original = input.u32_le()?;
            let _size = input.u32_le()?;
            let compressor = input.u8()?;
            let data = input.take_rest();
            let plain = match compressor {
                NOOP => data.to_vec(),
                ZLIB => inflate(data)?,
                _ => return Err(Halt::Malformed("compressor that was not offered")),
            };
            if original == OP_COMPRESSED {
                return Err(Halt::Malformed("compressed twice"));
            }
            body(original, &mut Input::whole(&plain), Way { compressed: compressor == ZLIB, ..way })
        }
        _ => match LEGACY.iter().find(|(code, _)| *code == operation) {
            Some((_, name)) => {
                input.u32_le()?;
                let collection = match *name {
                    "killCursors" => Vec::new(),
                    _ => bson::text_to_nul(input)?.to_vec(),
                };
                if matches!(*name, "update" | "delete") {
                    let _flags = input.u32_le()?;
                }
                let more =
                    if matches!(*name, "getMore" | "killCursors") { Vec::new() } else { documents(input) };
                Ok(Message::Legacy { name, collection, more })
            }
            None => Err(Halt::Malformed("operation that does not exist")),
        },
    }
}

/// What follows, as text. Nobody answers: what cannot be read ends it.
fn documents(input: &mut Input<'_>) -> Vec<u8> {
    let mut more = Vec::new();
    while more.len() <= haldane_core::Untrusted::MAX
        && let Ok(document) = bson::document(input)
        && bson::check(document).is_ok()
    {
        more.extend_from_slice(&bson::shown(document));
    }
    more
}

fn msg(input: &mut Input<'_>, way: Way) -> Result<Message, Halt> {
    let flags = input.u32_le()?;
    let tail = if flags & CHECKSUM != 0 { 4 } else { 0 };
    let sections = input.rest().len().checked_sub(tail).ok_or(Halt::Malformed("truncated"))?;
    let mut sections = input.frame(sections)?;
    let (mut body, mut more) = (None, Vec::new());
    while !sections.is_empty() {
        match sections.u8()? {
            0 if body.is_none() => {
                let document = bson::document(&mut sections)?;
                bson::check(document)?;
                body = Some(document.to_vec());
            }
            1 => {
                let length = usize::try_from(sections.u32_le()?).unwrap_or(usize::MAX);
                let mut sequence = sections.frame(length.saturating_sub(4))?;
                bson::text_to_nul(&mut sequence)?;
                while !sequence.is_empty() {
                    let document = bson::document(&mut sequence)?;
                    bson::check(document)?;
                    // No more is kept of a text than this.
                    if more.len() <= haldane_core::Untrusted::MAX {
                        more.extend_from_slice(&bson::shown(document));
                    }
                }
            }
            _ => return Err(Halt::Malformed("section that does not exist")),
        }
    }
    let body = body.ok_or(Halt::Malformed("no body"))?;
    let database = match bson::find(&body, "$db") {
        Some(bson::Value::Text(name)) => name.to_vec(),
        _ => Vec::new(),
    };
    let way = Way { answered: flags & MORE_TO_COME == 0, ..way };
    Ok(Message::Command { way, database, body, more })
}

fn inflate(data: &[u8]) -> Result<Vec<u8>, Halt> {
    let mut plain = Vec::new();
    match ZlibDecoder::new(data).take(INFLATED).read_to_end(&mut plain) {
        Ok(_) => Ok(plain),
        Err(_) => Err(Halt::Malformed("not zlib")),
    }
}

/// An answer that goes the way its request came.
pub(super) fn answer(way: Way, number: u32, document: &[u8]) -> Vec<u8> {
    let (operation, body) = if way.query {
        // Flags (AwaitCapable), no cursor, from the start, one document.
        let head = [&8_u32.to_le_bytes()[..], &[0; 8], &[0; 4], &1_u32.to_le_bytes()].concat();
        (OP_REPLY, [&head, document].concat())
    } else {
        (OP_MSG, [&[0; 5], document].concat())
    };
    let (operation, body) = if way.compressed { compress(operation, &body) } else { (operation, body) };
    let length = u32::try_from(body.len().saturating_add(16)).unwrap_or(u32::MAX);
    let head = [length, number, way.request, operation].map(u32::to_le_bytes).concat();
    [head, body].concat()
}

fn compress(operation: u32, body: &[u8]) -> (u32, Vec<u8>) {
    use std::io::Write;
    let size = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let head = [&operation.to_le_bytes()[..], &size.to_le_bytes(), &[ZLIB]].concat();
    let mut encoder = ZlibEncoder::new(head, Compression::default());
    match encoder.write_all(body).and_then(|()| encoder.finish()) {
        Ok(compressed) => (OP_COMPRESSED, compressed),
        // Writing to memory does not fail.
        Err(_) => (operation, body.to_vec()),
    }
}
