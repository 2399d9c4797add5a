//! NEGOTIATE (MS-CIFS, section 2.2.4.52; MS-SMB, section 2.2.4.5): which dialect is spoken.

use std::time::UNIX_EPOCH;

use haldane_core::{Flow, Sighting, Untrusted};
use haldane_wire::{
    ntlm::{filetime, wide},
    spnego,
};

use super::{
    super::{
        NEGOTIATE,
        bytes::{Put, size16},
        session::Next,
    },
    Call, Dialogue, Done, INVALID_SMB, Stop, command, flags2,
    info::dos_time,
    packet::Block,
    reply::oem,
};

/// The dialect that is spoken here, and those before it that Windows still knows, the newest first.
const DIALECT: &[u8] = b"NT LM 0.12";
const OLD: [&[u8]; 6] =
    [b"LANMAN2.1", b"DOS LANMAN2.1", b"LM1.2X002", b"DOS LM1.2X002", b"LANMAN1.0", b"MICROSOFT NETWORKS 3.0"];
/// Those that say that SMB 2 can be spoken: one of them which, the other not yet.
const SMB2: &[u8] = b"SMB 2.002";
const SMB2_ANY: &[u8] = b"SMB 2.???";
/// Dialects that are looked at; Windows knows eleven.
const MOST: usize = 64;
/// Numbers of Windows: requests under way, virtual circuits, the largest packet, raw transfers.
const REQUESTS: u16 = 50;
const CIRCUITS: u16 = 1;
const LARGEST: u32 = 16_644;
const RAW: u32 = 65_536;
/// The largest packet of the old dialects.
const SMALL: u16 = 4356;
/// Users have passwords, which are not sent in clear text; signatures can be had, and must be.
const SECURITY: u8 = 0x03;
const SIGNATURES: u8 = 0x0c;
/// What Windows can do: all but raw and multiplexed transfers, and Unix's extensions.
const CAPABILITIES: u32 = 0x0001_f3fc;
const CAN_EXTENDED: u32 = 0x8000_0000;

/// The dialects that a client offers.
fn dialects<'a>(block: &Block<'a>) -> Vec<&'a [u8]> {
    let mut texts = super::packet::Texts::new(block.bytes, 0, false);
    // Each stands behind a byte of 2.
    let next = std::iter::from_fn(|| (!texts.is_empty()).then(|| texts.bytes()));
    next.take(MOST).map(|text| text.strip_prefix(&[2]).unwrap_or(text)).collect()
}

impl Dialogue {
    pub(super) fn negotiate(&mut self, call: &mut Call<'_, '_>) -> Result<Done, Stop> {
        if self.agreed {
            return Err(INVALID_SMB.into());
        }
        let header = call.block.header();
        let offered = dialects(&call.block);
        let has = |name: &[u8]| offered.iter().position(|dialect| *dialect == name);
        let upgrade = (has(SMB2_ANY).is_some(), has(SMB2).is_some());
        let index = has(DIALECT).or_else(|| OLD.iter().find_map(|dialect| has(dialect)));
        let index = index.filter(|_| call.server.smb1);
        let chosen = match (upgrade, index.and_then(|index| offered.get(index))) {
            ((true, _), _) => Some("SMB 2.???".into()),
            ((_, true), _) => Some("SMB 2.002".into()),
            (_, Some(dialect)) => Some(Untrusted::new(dialect)),
            _ => None,
        };
        let names: Vec<Untrusted> = offered.iter().map(Untrusted::new).collect();
        call.cx.report(Sighting::of(&NEGOTIATE).with("dialects", names).with("dialect", chosen));
        if header.pid_high != 0 && upgrade != (false, false) {
            self.attack("MS09-050 (CVE-2009-3103)", "negotiation", call.cx);
        }
        if upgrade != (false, false) {
            return Ok(Done::Over(Next::Upgrade { any: upgrade.0 }));
        }
        if !call.server.smb1 {
            return Ok(Done::Over(Next::Go(Flow::Reset)));
        }
        match index {
            Some(index) if Some(index) == has(DIALECT) => self.agree(size16(index), call),
            Some(index) => self.agree_old(size16(index), call),
            // None of these is spoken.
            None => call.reply.block(command::NEGOTIATE, false, &[0xff, 0xff]),
        }
        Ok(Done::Answered)
    }

    fn agree(&mut self, index: u16, call: &mut Call<'_, '_>) {
        self.agreed = true;
        let (server, cx) = (call.server, &mut *call.cx);
        let extended = call.block.header().has(flags2::EXTENDED);
        let security = if server.signs { SECURITY | SIGNATURES } else { SECURITY };
        let capabilities = if extended { CAPABILITIES | CAN_EXTENDED } else { CAPABILITIES };
        let mut words = Vec::new();
        words
            .u16(index)
            .u8(security)
            .u16(REQUESTS)
            .u16(CIRCUITS)
            .u32(LARGEST)
            .u32(RAW)
            .u32(0)
            .u32(capabilities);
        words.u64(filetime(cx.now().max(UNIX_EPOCH))).u16(0);
        if extended {
            words.u8(0);
            call.reply.block(command::NEGOTIATE, false, &words);
            call.reply.raw(&server.guid);
            call.reply.raw(&spnego::offer(&server.windows));
            return;
        }
        let nonce: [u8; 8] = cx.random();
        self.nonce = Some(nonce);
        words.u8(8);
        call.reply.block(command::NEGOTIATE, false, &words);
        call.reply.raw(&nonce);
        // These are in UTF-16 whatever the client speaks, wherever they fall.
        for name in [&server.windows.group, &server.windows.computer] {
            call.reply.raw(&[wide(name).as_slice(), &[0, 0]].concat());
        }
    }
    /// The answer of the LAN Manager's dialects (X/Open, "Protocols for X/Open PC Interworking: SMB", section 11.1).
    fn agree_old(&mut self, index: u16, call: &mut Call<'_, '_>) {
        self.agreed = true;
        let nonce: [u8; 8] = call.cx.random();
        self.nonce = Some(nonce);
        let (date, time) = dos_time(call.cx.now());
        let mut words = Vec::new();
        words.u16(index).u16(SECURITY.into()).u16(SMALL).u16(REQUESTS).u16(CIRCUITS).u16(0).u32(0);
        words.u16(time).u16(date).u16(0).u16(8).u16(0);
        call.reply.block(command::NEGOTIATE, false, &words);
        call.reply.raw(&nonce);
        call.reply.raw(&[oem(&call.server.windows.group), vec![0]].concat());
    }
}
