//! The multipoint communication service (T.125) and the conference (T.124) that RDP is spoken in, as far as a client
//! gets before it is logged on (MS-RDPBCGR, sections 2.2.1.3 to 2.2.1.9).

use haldane_core::{Halt, Input};
use haldane_wire::ber;

use super::text::utf16;

/// The channel of everything that belongs to no virtual one.
pub const IO_CHANNEL: u16 = 1003;
/// What user numbers are counted from.
const FIRST_USER: u16 = 1001;
/// Static channels that a server opens, at most.
pub const MOST_CHANNELS: usize = 31;

/// Methods of encryption (section 2.2.1.3.3).
pub const BITS_40: u32 = 1;
/// See [`BITS_40`].
pub const BITS_128: u32 = 2;
/// See [`BITS_40`].
pub const BITS_56: u32 = 8;

/// What a client tells about itself when it connects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Client {
    /// The version of RDP, as in 0x80004.
    pub version: u32,
    /// Width and height of the desktop that it wants.
    pub size: (u16, u16),
    /// Windows' identifier of the keyboard layout.
    pub keyboard: u32,
    /// The client's build.
    pub build: u32,
    /// Its computer's name, in UTF-8.
    pub name: Vec<u8>,
    /// clientDigProductId, in UTF-8.
    pub product: Vec<u8>,
    /// Methods of encryption that it knows.
    pub encryption: u32,
    /// Static virtual channels that it wants, by name.
    pub channels: Vec<Vec<u8>>,
    /// Whether it wants the message channel.
    pub messages: bool,
    /// Whether it knows of transports besides this one.
    pub multitransport: bool,
}

/// A packet of the domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// Connect-Initial with the conference's request.
    Connect(Box<Client>),
    /// ErectDomainRequest: takes no answer.
    Erect,
    /// AttachUserRequest.
    Attach,
    /// ChannelJoinRequest: by whom, and which.
    Join(u16, u16),
    /// SendDataRequest, on that channel.
    Data(u16, Vec<u8>),
    /// DisconnectProviderUltimatum.
    Disconnect,
    /// Anything else.
    Other,
}

impl Packet {
    /// Reads one packet.
    ///
    /// # Errors
    /// It is broken.
    pub fn read(bytes: &[u8]) -> Result<Self, Halt> {
        let mut input = Input::whole(bytes);
        let choice = input.u8()?;
        if choice == 0x7f {
            return connect(&mut input).map(|client| Self::Connect(Box::new(client)));
        }
        Ok(match choice >> 2 {
            1 => Self::Erect,
            8 => Self::Disconnect,
            10 => Self::Attach,
            14 => Self::Join(input.u16()?, input.u16()?),
            25 => {
                input.u16()?;
                let channel = input.u16()?;
                input.u8()?;
                let length = per_length(&mut input)?;
                Self::Data(channel, input.take(length)?.to_vec())
            }
            _ => Self::Other,
        })
    }
}

fn connect(input: &mut Input<'_>) -> Result<Client, Halt> {
    // The second byte of its tag, [APPLICATION 101].
    let mut initial = ber::enter(input, 0x65)?;
    for _ in 0..6 {
        ber::element(&mut initial)?;
    }
    let conference = ber::expect(&mut initial, ber::OCTETS)?;
    // The key of a client's data (section 2.2.1.3): everything before it is the same for all.
    let start = conference.windows(4).position(|window| window == b"Duca");
    let start = start.ok_or(Halt::Malformed("conference request without data"))?;
    let mut blocks = Input::whole(conference.get(start.saturating_add(4)..).unwrap_or_default());
    per_length(&mut blocks)?;
    let mut client = Client::default();
    while blocks.rest().len() >= 4 {
        let (kind, length) = (blocks.u16_le()?, usize::from(blocks.u16_le()?));
        let Some(length) = length.checked_sub(4) else { break };
        client.block(kind, blocks.take(length)?);
    }
    Ok(client)
}

impl Client {
    /// Reads one block of data. What a block is too short for stays as it is.
    fn block(&mut self, kind: u16, block: &[u8]) {
        let word = |at: usize| block.get(at..at.saturating_add(2)).and_then(|bytes| bytes.try_into().ok());
        let word = |at| word(at).map(u16::from_le_bytes).unwrap_or_default();
        let long = |at: usize| block.get(at..at.saturating_add(4)).and_then(|bytes| bytes.try_into().ok());
        let long = |at| long(at).map(u32::from_le_bytes).unwrap_or_default();
        match kind {
            // TS_UD_CS_CORE
            0xc001 => {
                self.version = long(0);
                self.size = (word(4), word(6));
                self.keyboard = long(12);
                self.build = long(16);
                self.name = utf16(block.get(20..52).unwrap_or_default());
                self.product = utf16(block.get(142..206).unwrap_or_default());
            }
            // TS_UD_CS_SEC; a French client has them in its second field.
            0xc002 => self.encryption = if long(0) == 0 { long(4) } else { long(0) },
            // TS_UD_CS_NET
            0xc003 => {
                let channels = block.get(4..).unwrap_or_default().chunks_exact(12).take(MOST_CHANNELS);
                self.channels = channels
                    .map(|channel| channel.iter().take(8).copied().take_while(|byte| *byte != 0).collect())
                    .collect();
            }
            0xc006 => self.messages = true,
            0xc00a => self.multitransport = true,
            _ => {}
        }
    }

    /// Whether one of its channels has that name, in any case.
    pub fn wants(&self, channel: &[u8]) -> bool {
        self.channels.iter().any(|name| name.eq_ignore_ascii_case(channel))
    }

    /// The channels that are opened besides [`IO_CHANNEL`], which they follow.
    fn opened(&self) -> u16 {
        let static_ones = u16::try_from(self.channels.len()).unwrap_or_default();
        static_ones.saturating_add(u16::from(self.messages))
    }

    /// The channel of the client itself.
    pub fn user(&self) -> u16 {
        IO_CHANNEL.saturating_add(self.opened()).saturating_add(1)
    }
}

/// A length of PER: one byte, or two with the first bit set.
fn per_length(input: &mut Input<'_>) -> Result<usize, Halt> {
    let first = input.u8()?;
    if first & 0x80 == 0 {
        return Ok(first.into());
    }
    let second = input.u8()?;
    Ok(usize::from(u16::from_be_bytes([first & 0x7f, second])))
}

fn per(length: usize) -> Vec<u8> {
    match u8::try_from(length) {
        Ok(short @ 0..0x80) => vec![short],
        _ => (u16::try_from(length).unwrap_or(u16::MAX) | 0x8000).to_be_bytes().to_vec(),
    }
}

/// What the server says of itself in the conference's response.
#[derive(Debug)]
pub struct Server<'a> {
    /// The version of RDP.
    pub version: u32,
    /// What the client asked for in its first packet.
    pub requested: u32,
    /// Method and level of encryption, then random bytes and certificate; empty inside TLS.
    pub security: &'a [u8],
}

/// Connect-Response with the conference's response, as Windows lays it out.
pub fn response(server: &Server<'_>, client: &Client) -> Vec<u8> {
    let core = [server.version, server.requested, CAPABILITIES].map(u32::to_le_bytes).concat();
    let mut network = [IO_CHANNEL, u16::try_from(client.channels.len()).unwrap_or_default()].to_vec();
    let statics = (1..).map(|at| IO_CHANNEL.saturating_add(at)).take(client.channels.len());
    network.extend(statics);
    if client.channels.len() % 2 == 1 {
        network.push(0);
    }
    let network: Vec<u8> = network.into_iter().flat_map(u16::to_le_bytes).collect();
    let security = if server.security.is_empty() { &[0; 8] } else { server.security };
    let mut blocks = [block(0x0c01, &core), block(0x0c03, &network), block(0x0c02, security)].concat();
    if client.messages {
        let channel = IO_CHANNEL.saturating_add(client.opened());
        blocks.extend(block(0x0c04, &channel.to_le_bytes()));
    }
    if client.multitransport {
        blocks.extend(block(0x0c08, &[0; 4]));
    }
    // T.124's identifier, then a length that is the same whatever follows, the response to node 1001 with tag 1 and
    // result 0, and the key of a server's data.
    let mut conference = b"\0\x05\0\x14\x7c\0\x01\x2a\x14\x76\x0a\x01\x01\0\x01\xc0\0McDn".to_vec();
    conference.extend(per(blocks.len()));
    conference.extend(blocks);
    let parts = [b"\x0a\x01\0\x02\x01\0".to_vec(), PARAMETERS.to_vec(), ber::wrap(ber::OCTETS, &conference)];
    // [APPLICATION 102], whose tag has two bytes.
    [&[0x7f][..], &ber::wrap_all(0x66, &parts)].concat()
}

/// Edge actions, daylight saving and edge actions of the second version (section 2.2.1.4.2).
const CAPABILITIES: u32 = 7;

/// 34 channels, 3 users, no tokens, 1 priority, no throughput, height 1, packets up to 65528, protocol 2.
const PARAMETERS: &[u8] =
    b"\x30\x1a\x02\x01\x22\x02\x01\x03\x02\x01\0\x02\x01\x01\x02\x01\0\x02\x01\x01\x02\x03\0\xff\xf8\x02\x01\x02";

fn block(kind: u16, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len().saturating_add(4)).unwrap_or(u16::MAX);
    [&kind.to_le_bytes(), &length.to_le_bytes(), content].concat()
}

/// AttachUserConfirm: the client is that user.
pub fn attached(user: u16) -> Vec<u8> {
    [&[0x2e, 0][..], &user.saturating_sub(FIRST_USER).to_be_bytes()].concat()
}

/// ChannelJoinConfirm; without the channel where there is none of that number.
pub fn joined(initiator: u16, channel: u16, client: &Client) -> Vec<u8> {
    let [initiator, requested] = [initiator, channel].map(u16::to_be_bytes);
    match (IO_CHANNEL..=client.user()).contains(&channel) {
        true => [&[0x3e, 0][..], &initiator, &requested, &requested].concat(),
        // rt-no-such-channel
        false => [&[0x3c, 0x60][..], &initiator, &requested].concat(),
    }
}

/// SendDataIndication from the server on the I/O channel.
pub fn indication(content: &[u8]) -> Vec<u8> {
    let head = [&[0x68, 0, 1][..], &IO_CHANNEL.to_be_bytes(), &[0x70]].concat();
    [head, per(content.len()), content.to_vec()].concat()
}
