//! Which dialect is spoken (MS-SMB2, sections 2.2.3, 2.2.4, 3.3.5.3 and 3.3.5.4).

use haldane_core::{Cx, Sighting};
use haldane_wire::{ntlm::filetime, spnego};

use super::{
    Answer, Dialogue,
    head::{HEAD, Head, Request, command},
    seal,
    sign::{Algorithm, Said},
    structure,
};
use crate::smb::{
    NEGOTIATE,
    bytes::{Put, part, size16, size32, u16_at},
    frame,
    server::Server,
    status::Status,
};

/// "SMB 2.???": SMB 1's way to say that more than 2.0.2 is spoken.
const ANY: u16 = 0x02ff;
/// The dialects, with Samba's words.
const DIALECTS: [(u16, &str); 5] =
    [(0x0202, "SMB2_02"), (0x0210, "SMB2_10"), (0x0300, "SMB3_00"), (0x0302, "SMB3_02"), (0x0311, "SMB3_11")];
/// The build of Windows Server 2022, with which signatures can be agreed on.
const NEW_BUILD: u16 = 20_348;
/// Most dialects and contexts that are looked at.
const MOST: usize = 32;
/// Bytes of an answer before its token.
const FIXED: usize = 64;
/// The largest transfer of SMB 2.0.2, of Windows before 2012, and since.
const OLD_TRANSFER: u32 = 65_536;
const TRANSFER: u32 = 0x0010_0000;
const NEW_TRANSFER: u32 = 0x0080_0000;

/// What a side can do.
mod can {
    pub(super) const DFS: u32 = 1;
    pub(super) const LEASING: u32 = 2;
    pub(super) const LARGE: u32 = 4;
    pub(super) const CHANNELS: u32 = 8;
    pub(super) const FOLDER_LEASING: u32 = 0x20;
    pub(super) const ENCRYPTION: u32 = 0x40;
}

/// Contexts of 3.1.1 (section 2.2.3.1).
mod context {
    pub(super) const PREAUTH: u16 = 1;
    pub(super) const ENCRYPTION: u16 = 2;
    pub(super) const COMPRESSION: u16 = 3;
    pub(super) const NAME: u16 = 5;
    pub(super) const SIGNING: u16 = 8;
}

/// What was agreed on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Agreed {
    pub(super) dialect: u16,
    pub(super) can: u32,
    pub(super) mode: u16,
    /// Most bytes that are read, written or sent in one request.
    pub(super) transfer: u32,
    /// How those who have a key sign.
    pub(super) algorithm: Algorithm,
    /// How they encrypt.
    pub(super) cipher: Option<seal::Kind>,
    /// What the client said of itself: what it can, who it is, whether it signs.
    pub(super) client: (u32, [u8; 16], u16),
    /// Whether another negotiation follows, in which the dialect is chosen.
    again: bool,
}

impl Agreed {
    /// The dialect in Samba's words.
    pub(super) fn version(&self) -> &'static str {
        name(self.dialect)
    }
}

fn name(dialect: u16) -> &'static str {
    DIALECTS.iter().find(|(number, _)| *number == dialect).map_or("SMB2", |(_, name)| name)
}

/// The contexts of a client that speaks 3.1.1.
#[derive(Debug, Default)]
struct Contexts<'a> {
    sha512: Option<bool>,
    ciphers: Vec<u16>,
    signing: Vec<u16>,
    compression: Vec<u16>,
    name: &'a [u8],
}

impl<'a> Contexts<'a> {
    fn read(request: &Request<'a>) -> Result<Self, Status> {
        let (mut at, count) = (usize::try_from(request.u32(28)?).unwrap_or(usize::MAX), request.u16(32)?);
        let mut contexts = Self::default();
        for _ in 0..usize::from(count).min(MOST) {
            let kind = u16_at(request.message, at).ok_or(Status::INVALID_PARAMETER)?;
            let length = at.checked_add(2).and_then(|at| u16_at(request.message, at));
            let length = usize::from(length.ok_or(Status::INVALID_PARAMETER)?);
            let data = at.checked_add(8).and_then(|at| part(request.message, at, length));
            let data = data.ok_or(Status::INVALID_PARAMETER)?;
            match kind {
                context::PREAUTH if contexts.sha512.is_some() => return Err(Status::INVALID_PARAMETER),
                context::PREAUTH => contexts.sha512 = Some(numbers(data, 4).contains(&1)),
                context::ENCRYPTION => contexts.ciphers = numbers(data, 2),
                context::COMPRESSION => contexts.compression = numbers(data, 8),
                context::SIGNING => contexts.signing = numbers(data, 2),
                context::NAME => contexts.name = data,
                _ => {}
            }
            at = at.saturating_add(8).saturating_add(length).next_multiple_of(8);
        }
        match contexts.sha512 {
            None => Err(Status::INVALID_PARAMETER),
            Some(false) => Err(Status::SMB_NO_PREAUTH_INTEGRITY_HASH_OVERLAP),
            Some(true) => Ok(contexts),
        }
    }

    /// Ours: SHA-512, the cipher, and how messages are signed.
    fn answer(&self, server: &Server, cx: &mut Cx<'_>) -> (u16, Vec<u8>) {
        let mut bytes = Vec::new();
        bytes.u16(context::PREAUTH).u16(38).u32(0).u16(1).u16(32).u16(1).raw(&cx.random::<32>());
        let mut count = 1_u16;
        if !self.ciphers.is_empty() {
            let cipher = self.cipher().map_or(0, seal::Kind::number);
            bytes.align(8).u16(context::ENCRYPTION).u16(4).u32(0).u16(1).u16(cipher);
            count = count.saturating_add(1);
        }
        if let Some(signing) = self.signing(server) {
            bytes.align(8).u16(context::SIGNING).u16(4).u32(0).u16(1).u16(signing);
            count = count.saturating_add(1);
        }
        (count, bytes)
    }
}

impl Contexts<'_> {
    /// The first cipher of the client's that we know.
    fn cipher(&self) -> Option<seal::Kind> {
        self.ciphers.iter().find_map(|number| seal::Kind::of(*number))
    }

    /// How messages are to be signed: by the first way of the client's that we know. Windows can be asked since 2022.
    fn signing(&self, server: &Server) -> Option<u16> {
        self.signing
            .iter()
            .find(|way| **way <= 1)
            .copied()
            .filter(|_| server.windows.release.build >= NEW_BUILD)
    }
}

/// Numbers of two bytes, as many as the first two bytes say, from `at` on.
fn numbers(data: &[u8], at: usize) -> Vec<u16> {
    let count = u16_at(data, 0).unwrap_or_default();
    let list = data.get(at..).unwrap_or_default().chunks_exact(2);
    list.filter_map(|pair| u16_at(pair, 0)).take(usize::from(count).min(MOST)).collect()
}

impl Dialogue {
    /// After SMB 1's negotiation: answers it with SMB 2 (section 3.3.5.3). `any`: the dialect is chosen by another
    /// negotiation that follows. What the client offered was reported there.
    pub fn upgrade(&mut self, any: bool, server: &Server, cx: &mut Cx<'_>) {
        let dialect = if any { ANY } else { 0x0202 };
        let agreed = self.agree(dialect, (0, [0; 16], 0), server);
        let head = Head {
            charge: 0,
            command: command::NEGOTIATE,
            credits: 1,
            flags: 0,
            next: 0,
            message: 0,
            place: 0,
            session: 0,
        };
        let body = agreed.answer((0, &[]), server, cx);
        cx.reply(frame::packet(&head.answer(Status::OK, 1, &body)));
    }

    fn agree(&mut self, dialect: u16, client: (u32, [u8; 16], u16), server: &Server) -> Agreed {
        let mut can = can::DFS;
        if dialect >= 0x0210 {
            can |= can::LEASING | can::LARGE;
        }
        if dialect >= 0x0300 {
            can |= client.0 & (can::CHANNELS | can::FOLDER_LEASING);
        }
        // Later, a cipher is agreed on by a context.
        let mut cipher = None;
        if matches!(dialect, 0x0300 | 0x0302) && client.0 & can::ENCRYPTION != 0 {
            can |= can::ENCRYPTION;
            cipher = Some(seal::Kind::Ccm);
        }
        let mode = if server.signs { 3 } else { 1 };
        let transfer = match (dialect, server.newest) {
            (0x0202, _) => OLD_TRANSFER,
            (_, 0x0210) => TRANSFER,
            _ => NEW_TRANSFER,
        };
        let agreed = Agreed {
            dialect,
            can,
            mode,
            transfer,
            algorithm: Algorithm::Cmac,
            cipher,
            client,
            again: dialect == ANY,
        };
        self.agreed = Some(agreed);
        agreed
    }

    pub(super) fn negotiate(&mut self, request: &Request<'_>, server: &Server, cx: &mut Cx<'_>) -> Answer {
        if self.agreed.is_some_and(|agreed| !agreed.again) {
            return Answer::HangUp("a second negotiation");
        }
        self.said = Said::default();
        self.said.add(request.message);
        self.choose(request, server, cx).into()
    }

    fn choose(&mut self, request: &Request<'_>, server: &Server, cx: &mut Cx<'_>) -> Result<Vec<u8>, Status> {
        structure(request, 36)?;
        let (count, mode) = (request.u16(2)?, request.u16(4)?);
        let guid = request.body.get(12..).and_then(|rest| rest.first_chunk::<16>()).copied();
        let client = (request.u32(8)?, guid.unwrap_or_default(), mode);
        let offered: Vec<u16> = request
            .body
            .get(36..)
            .unwrap_or_default()
            .chunks_exact(2)
            .filter_map(|pair| u16_at(pair, 0))
            .take(usize::from(count).min(MOST))
            .collect();
        let common = |dialect: &u16| *dialect <= server.newest && offered.contains(dialect);
        let chosen = DIALECTS.iter().map(|(dialect, _)| *dialect).rfind(|dialect| common(dialect));
        let contexts = (offered.contains(&0x0311)).then(|| Contexts::read(request));
        cx.report(seen(&offered, chosen, &client, contexts.as_ref().and_then(|read| read.as_ref().ok())));
        if offered.is_empty() || offered.len() < usize::from(count).min(MOST) {
            return Err(Status::INVALID_PARAMETER);
        }
        let dialect = chosen.ok_or(Status::NOT_SUPPORTED)?;
        let (mut algorithm, mut cipher, mut answer) = (Algorithm::Cmac, None, (0, Vec::new()));
        if let Some(contexts) = contexts.filter(|_| dialect == 0x0311) {
            let contexts = contexts?;
            answer = contexts.answer(server, cx);
            cipher = contexts.cipher();
            if contexts.signing(server) == Some(0) {
                algorithm = Algorithm::Hmac;
            }
        }
        let mut agreed = self.agree(dialect, client, server);
        agreed.algorithm = algorithm;
        agreed.cipher = agreed.cipher.or(cipher);
        self.agreed = Some(agreed);
        Ok(agreed.answer((answer.0, &answer.1), server, cx))
    }
}

impl Agreed {
    fn answer(&self, (count, contexts): (u16, &[u8]), server: &Server, cx: &Cx<'_>) -> Vec<u8> {
        let token = spnego::offer(&server.windows);
        let transfer = self.transfer;
        // Since Windows 10, a server does not tell since when it runs.
        let booted =
            if server.windows.release.version.0 >= 10 { 0 } else { filetime(server.booted(cx.now())) };
        let mut body = Vec::new();
        body.u16(65).u16(self.mode).u16(self.dialect).u16(count).raw(&server.guid).u32(self.can);
        body.u32(transfer).u32(transfer).u32(transfer).u64(filetime(cx.now())).u64(booted);
        let at = HEAD.saturating_add(FIXED);
        let behind = at.saturating_add(token.len()).next_multiple_of(8);
        body.u16(size16(at)).u16(size16(token.len()));
        body.u32(if count == 0 { 0 } else { size32(behind) }).raw(&token);
        if count > 0 {
            body.align(8).raw(contexts);
        }
        body
    }
}

/// The event.
fn seen(
    offered: &[u16],
    chosen: Option<u16>,
    client: &(u32, [u8; 16], u16),
    contexts: Option<&Contexts<'_>>,
) -> Sighting {
    let show = |dialect: &u16| match DIALECTS.iter().find(|(number, _)| number == dialect) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("0x{dialect:04x}"),
    };
    let mut seen = Sighting::of(&NEGOTIATE)
        .with("dialects", offered.iter().map(show).collect::<Vec<_>>())
        .with("dialect", chosen.map(name))
        .with("client_guid", uuid(&client.1))
        .with("capabilities", client.0)
        .with("signing_required", client.2 & 2 != 0);
    let Some(contexts) = contexts else { return seen };
    let texts = |list: &[u16], names: &[&str]| -> Vec<String> {
        let one = |number: &u16| match names.get(usize::from(*number)) {
            Some(name) => (*name).to_owned(),
            None => number.to_string(),
        };
        list.iter().map(one).collect()
    };
    if !contexts.ciphers.is_empty() {
        let names = ["none", "AES-128-CCM", "AES-128-GCM", "AES-256-CCM", "AES-256-GCM"];
        seen = seen.with("ciphers", texts(&contexts.ciphers, &names));
    }
    if !contexts.compression.is_empty() {
        let names = ["none", "LZNT1", "LZ77", "LZ77+Huffman", "Pattern_V1", "LZ4"];
        seen = seen.with("compression", texts(&contexts.compression, &names));
    }
    if !contexts.name.is_empty() {
        seen = seen.with("called", haldane_wire::ntlm::utf8(contexts.name));
    }
    seen
}

/// A GUID as Windows writes it.
fn uuid(bytes: &[u8; 16]) -> String {
    let [a, b, c, d, e, f, g, h, rest @ ..] = *bytes;
    let tail: String = rest.iter().skip(2).map(|byte| format!("{byte:02x}")).collect();
    let [i, j, ..] = rest;
    format!(
        "{:08x}-{:04x}-{:04x}-{i:02x}{j:02x}-{tail}",
        u32::from_le_bytes([a, b, c, d]),
        u16::from_le_bytes([e, f]),
        u16::from_le_bytes([g, h])
    )
}
