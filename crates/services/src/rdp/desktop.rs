//! From the licence to the logon screen (MS-RDPBCGR, sections 2.2.1.12 to 2.2.1.22, and MS-RDPEGDI, section 2.2.2.2),
//! as far as it takes until a client without network level authentication learns that its password was wrong: that is
//! told in pictures alone, so that whoever guesses passwords looks for a known part of them.

use haldane_core::{Halt, Input};

use super::persona::Persona;

/// The header of a licensing packet, and LICENSE_ERROR_MESSAGE (sections 2.2.1.12.1.1 and 2.2.1.12.1.3): the client is
/// valid (7), and there is nothing to talk about (2).
pub const LICENCE: [u8; 20] = [0x80, 0, 0, 0, 0xff, 3, 0x10, 0, 7, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0];

/// The server's own channel, which every packet of its comes from.
const SOURCE: u16 = 1002;
/// The number of the session, as Windows counts it: the first, on that channel.
const SHARE: u32 = 0x0001_03ea;

/// PDUTYPE_DEMANDACTIVEPDU, of protocol version 1 (section 2.2.8.1.1.1.1).
const DEMAND: u16 = 0x11;
/// PDUTYPE_CONFIRMACTIVEPDU, likewise.
const CONFIRM: u16 = 0x13;
/// PDUTYPE_DATAPDU, likewise.
const DATA: u16 = 0x17;
/// CAPSTYPE_ORDER and CAPSTYPE_BITMAPCACHE_REV2 (section 2.2.1.13.1.1.1).
const ORDER: u16 = 3;
const CACHE: u16 = 0x13;
/// Where the order capabilities say whether MemBlt is known: TS_NEG_MEMBLT_INDEX (section 2.2.7.1.3).
const MEMBLT: usize = 35;
/// Sets of capabilities that are looked at, at most.
const MOST_SETS: u16 = 64;

/// What is in a packet of data (section 2.2.8.1.1.1.2).
mod kind {
    pub(super) const UPDATE: u8 = 2;
    pub(super) const CONTROL: u8 = 20;
    pub(super) const SYNCHRONIZE: u8 = 31;
    pub(super) const FONTS: u8 = 39;
}

/// What a client says while its desktop is made ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// What it can do; whether it keeps bitmaps and copies them from where it keeps them.
    Capabilities(bool),
    /// It is there.
    Synchronize,
    /// It would share the desktop, or control it: CTRLACTION.
    Control(u16),
    /// It is ready.
    Fonts,
    /// Anything else that may be said, as that a key is pressed.
    Other,
}

impl Said {
    /// Reads one packet. `None` if it is none.
    pub fn read(content: &[u8]) -> Option<Self> {
        let mut input = Input::whole(content);
        let (_, kind, _) = (input.u16_le().ok()?, input.u16_le().ok()?, input.u16_le().ok()?);
        if kind & 0xf == CONFIRM & 0xf {
            return Some(Self::Capabilities(keeps_bitmaps(&mut input).unwrap_or(false)));
        }
        if kind & 0xf != DATA & 0xf {
            return Some(Self::Other);
        }
        input.take(8).ok()?;
        let kind = input.u8().ok()?;
        input.take(3).ok()?;
        Some(match kind {
            kind::SYNCHRONIZE => Self::Synchronize,
            kind::CONTROL => Self::Control(input.u16_le().ok()?),
            kind::FONTS => Self::Fonts,
            _ => Self::Other,
        })
    }

    /// What a server answers the client on that channel of its own.
    pub fn answer(self, user: u16) -> Option<Vec<u8>> {
        let [low, high] = user.to_le_bytes();
        match self {
            Self::Synchronize => Some(data(kind::SYNCHRONIZE, &[1, 0, low, high])),
            // Request for control: granted to that channel, by the server's.
            Self::Control(1) => Some(data(kind::CONTROL, &[2, 0, low, high, 0xea, 3, 0, 0])),
            // To cooperate.
            Self::Control(4) => Some(data(kind::CONTROL, &[4, 0, 0, 0, 0, 0, 0, 0])),
            Self::Control(_) | Self::Capabilities(_) | Self::Fonts | Self::Other => None,
        }
    }
}

/// Reads Confirm Active PDU (section 2.2.1.13.2.1), from the share's number on.
fn keeps_bitmaps(input: &mut Input<'_>) -> Result<bool, Halt> {
    input.take(6)?;
    let source = input.u16_le()?;
    input.u16_le()?;
    input.take(source.into())?;
    let sets = input.u16_le()?;
    input.u16_le()?;
    let (mut copies, mut keeps) = (false, false);
    for _ in 0..sets.min(MOST_SETS) {
        let (kind, length) = (input.u16_le()?, usize::from(input.u16_le()?));
        let set = input.take(length.checked_sub(4).ok_or(Halt::Malformed("set of capabilities"))?)?;
        match kind {
            ORDER => copies = set.get(MEMBLT).is_some_and(|knows| *knows != 0),
            // Flags, a byte that is not used, then the number of caches.
            CACHE => keeps = set.get(3).is_some_and(|caches| *caches > CACHED),
            _ => {}
        }
    }
    Ok(copies && keeps)
}

fn packet(kind: u16, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len().saturating_add(6)).unwrap_or(u16::MAX);
    [&[length, kind, SOURCE].map(u16::to_le_bytes).concat(), content].concat()
}

fn data(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len().saturating_add(4)).unwrap_or(u16::MAX).to_le_bytes();
    let head = [&SHARE.to_le_bytes()[..], &[0, 1], &length, &[kind, 0, 0, 0]].concat();
    packet(DATA, &[&head, content].concat())
}

/// Demand Active PDU (section 2.2.1.13.1), with the capabilities of the annotated one (section 4.1.12) but for what
/// there is left of a memory. `size`: of the desktop that the client wants.
pub fn demand((width, height): (u16, u16)) -> Vec<u8> {
    let [width, height] = [(width, 1024), (height, 768)].map(|(wanted, usual)| match wanted {
        0 => usual,
        _ => wanted,
    });
    let [width, height] = [width, height].map(u16::to_le_bytes);
    let bitmap =
        [&[16, 0, 1, 0, 1, 0, 1, 0][..], &width, &height, &[0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0]].concat();
    let mut input = vec![0x35, 0, 0, 0];
    input.resize(84, 0);
    let sets: [(u16, &[u8]); 13] = [
        (9, &[0xea, 3, 0, 0]),
        (1, &[1, 0, 3, 0, 0, 2, 0, 0, 0, 0, 0x1d, 4, 0, 0, 0, 0, 0, 0, 1, 1]),
        (0x14, &[2, 0, 0, 0, 0x40, 6, 0, 0]),
        (0x16, &[0; 36]),
        (0x0e, &[]),
        (2, &bitmap),
        (3, &ORDERS),
        (0x0a, &[6, 0, 0, 0]),
        (0x12, &[1, 0, 0, 0]),
        (8, &[1, 0, 25, 0, 25, 0]),
        (0x0d, &input),
        (0x17, &[0; 4]),
        (0x18, &[0; 7]),
    ];
    let mut combined = [u16::try_from(sets.len()).unwrap_or_default(), 0].map(u16::to_le_bytes).concat();
    for (kind, set) in sets {
        let length = u16::try_from(set.len().saturating_add(4)).unwrap_or_default();
        combined.extend([kind, length].map(u16::to_le_bytes).concat());
        combined.extend(set);
    }
    let length = u16::try_from(combined.len()).unwrap_or_default().to_le_bytes();
    packet(DEMAND, &[&SHARE.to_le_bytes()[..], &[4, 0], &length, b"RDP\0", &combined, &[0; 4]].concat())
}

/// Order Capability Set (section 2.2.7.1.3): text in a grid of 1 by 20, orders with bounds and zero deltas, and of
/// these all that Windows sends.
#[rustfmt::skip]
const ORDERS: [u8; 84] = [
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0x40, 0x42, 0x0f, 0, 1, 0, 0x14, 0, 0, 0, 1, 0, 0, 0, 0x22, 0,
    1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 0, 0, 0, 0,
    0xa1, 6, 0, 0, 0x40, 0x42, 0x0f, 0, 0x40, 0x42, 0x0f, 0, 1, 0, 0, 0, 0, 0, 0, 0,
];

/// The cache of large bitmaps, which Windows keeps these in.
const CACHED: u8 = 2;

/// The part of the logon screen that is painted anew when a logon has failed.
struct Tile {
    width: u8,
    height: u8,
    at: (u16, u16),
    /// How often.
    times: u16,
}

/// Up to 2008 R2, the button below "The user name or password is incorrect".
const BUTTON: Tile = Tile { width: 60, height: 56, at: (740, 448), times: 1 };
/// From 2012 on the screen is painted in squares; the one where the ring of dots turns comes again and again.
const RING: Tile = Tile { width: 64, height: 64, at: (256, 256), times: 6 };
/// The first build that paints in squares.
const SQUARES: u16 = 9200;
/// The background of the logon screen: red, green and blue in 5, 6 and 5 bits.
const BACKGROUND: u16 = 0x0969;

/// What shows that the logon has failed.
pub fn failure(persona: &Persona) -> Vec<u8> {
    let tile = if persona.host.release.build < SQUARES { BUTTON } else { RING };
    let orders = tile.times.saturating_add(1).to_le_bytes();
    let mut update = [&[0; 4][..], &orders, &[0; 2], &tile.cached()].concat();
    for _ in 0..tile.times {
        update.extend(tile.painted());
    }
    data(kind::UPDATE, &update)
}

impl Tile {
    /// Cache Bitmap - Revision 2 (MS-RDPEGDI, section 2.2.2.2.1.2.3), compressed: its content, in cache 2 at place 0.
    fn cached(&self) -> Vec<u8> {
        let area = u16::from(self.width).saturating_mul(self.height.into());
        // One run of one colour (MS-RDPBCGR, section 2.2.9.1.1.3.1.2.4).
        let bits = [&[0xf3][..], &area.to_le_bytes(), &BACKGROUND.to_le_bytes()].concat();
        // 16 bits for a pixel, without a header before the bits.
        let mut flags = 0x0420 | u16::from(CACHED);
        let mut body = vec![self.width];
        if self.width == self.height {
            flags |= 0x80;
        } else {
            body.push(self.height);
        }
        body.extend([0x40, u8::try_from(bits.len()).unwrap_or_default(), 0]);
        body.extend(bits);
        // An order's length is less by 13 than what it takes, and the head takes 6.
        let length = u16::try_from(body.len()).unwrap_or_default().wrapping_sub(7);
        [&[3][..], &length.to_le_bytes(), &flags.to_le_bytes(), &[5], &body].concat()
    }

    /// MemBlt (MS-RDPEGDI, section 2.2.2.2.1.1.2.9), with all of its fields: that content, copied.
    fn painted(&self) -> Vec<u8> {
        let (left, top) = self.at;
        let place = [left, top, self.width.into(), self.height.into()].map(u16::to_le_bytes).concat();
        [&[9, 0x0d, 0xff, 1, CACHED, 0][..], &place, &[0xcc, 0, 0, 0, 0, 0, 0]].concat()
    }
}
