//! Remote calls of the LAN Manager (MS-RAP), which came before RPC: the list of shares is told to whoever may see it;
//! what else is asked is recorded and not to be had, as on a server without a computer browser.

use haldane_core::Input;

use super::{
    super::{
        bytes::{Put, size16},
        rpc::Seen,
        server::{Share, Sort},
        status::Status,
    },
    Call, Dialogue,
    calls::Answered,
    reply::oem,
    transaction::{Answer, Transaction},
};

/// The pipe of it, which is none.
pub(super) const PIPE: &[u8] = b"\\PIPE\\LANMAN";

/// Calls (section 2.5.1).
const CALLS: [(u16, &str); 11] = [
    (SHARES, "NetShareEnum"),
    (1, "NetShareGetInfo"),
    (13, "NetServerGetInfo"),
    (69, "NetPrintQEnum"),
    (70, "NetPrintQGetInfo"),
    (84, "NetRemoteTOD"),
    (63, "NetWkstaGetInfo"),
    (104, "NetServerEnum2"),
    (115, "NetUserPasswordSet2"),
    (132, "NetWkstaUserLogon"),
    (215, "NetServerEnum3"),
];
const SHARES: u16 = 0;
const BROWSING: [u16; 2] = [104, 215];

/// How a call ends: a code of Windows (MS-ERREF, section 2.2).
mod code {
    pub(super) const MORE: u16 = 234;
    pub(super) const NOT_SUPPORTED: u16 = 50;
    pub(super) const LEVEL: u16 = 124;
    /// There is no browser that would know.
    pub(super) const NO_BROWSER: u16 = 6118;
}

/// Bytes of a share's name here: with a zero behind it.
const NAME: usize = 13;
/// Bytes of a share in the list, by level.
const SHORT: usize = 13;
const LONG: usize = 20;

impl Dialogue {
    pub(super) fn lan_manager(&mut self, whole: &Transaction, call: &mut Call<'_, '_>) -> Answered {
        let mut input = Input::whole(&whole.parameters);
        let number = input.u16_le()?;
        let known = CALLS.iter().find(|(known, _)| *known == number).map(|(_, name)| *name);
        let name = known.map_or_else(|| format!("call {number}"), str::to_owned);
        let who = self.who(call)?;
        let (_, share) = self.share(call)?;
        let seen =
            Seen { call: format!("LANMAN {name}"), exploit: None, arguments: String::new(), login: None };
        let seen = self.place(call.server, &who, &share.name).called("LANMAN", seen);
        call.cx.report(seen);
        // What the parameters and the answer look like, in letters.
        const FORM: usize = 64;
        input.until(0, FORM)?;
        input.until(0, FORM)?;
        let (ended, counts, data) = match number {
            SHARES => {
                let (level, room) = (input.u16_le()?, usize::from(input.u16_le()?));
                shares(&call.server.shares, level, room.min(whole.max_data))
            }
            number if BROWSING.contains(&number) => (code::NO_BROWSER, Some((0, 0)), Vec::new()),
            _ => (code::NOT_SUPPORTED, None, Vec::new()),
        };
        let mut parameters = Vec::new();
        parameters.u16(ended).u16(0);
        if let Some((told, all)) = counts {
            parameters.u16(size16(told)).u16(size16(all));
        }
        Ok(Some((Status::OK, Answer::of(parameters, data))))
    }
}

/// Those whose names are short enough: how it ended, how many were told of how many, and what (section 2.5.5).
fn shares(all: &[Share], level: u16, room: usize) -> (u16, Option<(usize, usize)>, Vec<u8>) {
    let each = match level {
        0 => SHORT,
        1 => LONG,
        _ => return (code::LEVEL, Some((0, 0)), Vec::new()),
    };
    let named = all.iter().filter(|share| oem(&share.name).len() < NAME);
    let told: Vec<&Share> = named.clone().take(room.checked_div(each).unwrap_or_default()).collect();
    let mut remarks = Vec::new();
    let mut data = Vec::new();
    for share in &told {
        let name = oem(&share.name);
        data.raw(&name).zeros(NAME.saturating_sub(name.len()));
        if level == 1 {
            // Where the remark is, counted from the front; behind the list.
            let at = told.len().saturating_mul(LONG).saturating_add(remarks.len());
            let sort = if matches!(share.sort, Sort::Pipes) { 3 } else { 0 };
            data.zeros(1).u16(sort).u16(size16(at)).u16(0);
            remarks.raw(&oem(&share.comment)).zeros(1);
        }
    }
    data.raw(&remarks);
    let count = named.count();
    if told.len() < count || data.len() > room {
        data.truncate(room);
        return (code::MORE, Some((told.len(), count)), data);
    }
    (0, Some((count, count)), data)
}
