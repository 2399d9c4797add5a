//! SESSION_SETUP_ANDX (MS-CIFS, section 2.2.4.53; MS-SMB, section 2.2.4.6): who the client is.

use std::sync::Arc;

use haldane_core::{Cx, Login, Secret, Sighting};
use haldane_wire::{
    ntlm::{Answer, Identity, Negotiate, utf8},
    spnego::{Attempt, Conversation, Step},
};

use super::{
    super::{
        bytes::{Put, size16},
        evidence,
        server::{Standing, Who},
        status::Status,
    },
    BUFFER, Call, Dialogue, Done, FIRST, Stop, VERSION,
    attack::ETERNAL_BLUE,
    command, flags2, free, most,
    packet::Texts,
};

/// Words of the request: with the tokens of SPNEGO, with two passwords, with one.
const EXTENDED: usize = 12;
const PLAIN: usize = 13;
const OLD: usize = 10;
/// In `Action`: as a guest.
const AS_GUEST: u16 = 1;
/// Bytes of an answer to a challenge in version 1.
const RESPONSE: usize = 24;

/// Somebody with a number.
#[derive(Debug)]
pub(super) enum User {
    /// The login is under way; with what the client said of itself to get our challenge.
    Knocking(Conversation, Option<Negotiate>),
    /// It was let in.
    In(Arc<Who>),
}

impl User {
    /// It is gone. What a login that was under way has revealed is told.
    pub(super) fn left(&self, cx: &mut Cx<'_>) {
        if let Self::Knocking(_, Some(first)) = self {
            cx.report(evidence::challenged(first, VERSION));
        }
    }
}

/// What the client says of itself beside the login.
#[derive(Debug, Default)]
struct About {
    os: Vec<u8>,
    lan_manager: Vec<u8>,
}

impl About {
    fn read(texts: &mut Texts<'_>) -> Self {
        Self { os: texts.text(), lan_manager: texts.text() }
    }

    fn facts(&self, mut seen: Sighting) -> Sighting {
        for (name, value) in [("native_os", &self.os), ("native_lan_manager", &self.lan_manager)] {
            if !value.is_empty() {
                seen = seen.with(name, value.as_slice());
            }
        }
        seen
    }

    /// The system as Samba guesses it.
    fn arch(&self) -> &'static str {
        match (self.os.as_slice(), self.lan_manager.as_slice()) {
            (b"Unix", b"Samba") | (_, [b'S', b'a', b'm', b'b', b'a', ..]) => "Samba",
            (b"Windows 2002 2600 Service Pack 2" | b"Windows 2002 2600 Service Pack 3", _) => "WinXP",
            ([b'W', b'i', b'n', b'd', b'o', b'w', b's', ..], _) => "Vista",
            _ => "UNKNOWN",
        }
    }
}

impl Dialogue {
    pub(super) fn setup(&mut self, call: &mut Call<'_, '_>) -> Result<Done, Stop> {
        let mut words = call.block.words();
        words.take(4)?;
        self.largest = usize::from(words.u16_le()?).max(BUFFER);
        // Requests under way, circuit, key of the session.
        words.take(8)?;
        match call.block.count() {
            EXTENDED => {
                let length = usize::from(words.u16_le()?);
                self.extended(length, call)
            }
            PLAIN => {
                let lengths = (usize::from(words.u16_le()?), usize::from(words.u16_le()?));
                self.plain(lengths, call)
            }
            OLD => {
                let length = usize::from(words.u16_le()?);
                self.plain((length, 0), call)
            }
            _ => Err(Stop::Broken("a login of a form that there is not")),
        }
    }

    /// With SPNEGO, or NTLM alone, in as many messages as it takes.
    fn extended(&mut self, length: usize, call: &mut Call<'_, '_>) -> Result<Done, Stop> {
        let token = call.block.bytes.get(..length).unwrap_or(call.block.bytes);
        if !call.block.header().has(flags2::EXTENDED) {
            // Servers have taken the one form of this for the other and set aside what the client told them to.
            self.attack(ETERNAL_BLUE, "session setup that allocates memory", call.cx);
            return Err(Status::INVALID_PARAMETER.into());
        }
        let about = About::read(&mut call.block.texts_after(length));
        let (mut conversation, before) = match self.users.remove(&call.reply.uid) {
            Some(User::Knocking(conversation, first)) => (conversation, first),
            // Who is in may log in once more.
            Some(User::In(_)) => (Conversation::default(), None),
            None if self.users.len() >= most::USERS => return Err(Status::REQUEST_NOT_ACCEPTED.into()),
            None => {
                call.reply.uid = free(&self.users, FIRST);
                (Conversation::default(), None)
            }
        };
        match conversation.take(token, &call.server.windows, call.cx) {
            Step::Reply { token, first } => {
                self.users.insert(call.reply.uid, User::Knocking(conversation, first.or(before)));
                call.reply.status = Status::MORE_PROCESSING_REQUIRED;
                answer_extended(0, &token, call);
                Ok(Done::Answered)
            }
            Step::Done(attempt) => {
                let who = call.server.knock_with(&attempt, |seen| about.facts(seen), VERSION, call.cx)?;
                let accept = match &who.standing {
                    Standing::User(key) => {
                        self.begin_to_sign(key, call);
                        attempt.accept_with(key)
                    }
                    Standing::Guest | Standing::Anonymous => attempt.accept.clone(),
                };
                let action = self.enter(who, &about, call);
                answer_extended(action, &accept, call);
                Ok(Done::Answered)
            }
            Step::Unknown => {
                super::report(call.cx, "a login that is none", token);
                User::Knocking(conversation, before).left(call.cx);
                Err(Status::INVALID_PARAMETER.into())
            }
        }
    }

    /// Without: with answers to the challenge of the negotiation, or with clear text.
    fn plain(&mut self, (lm, nt): (usize, usize), call: &mut Call<'_, '_>) -> Result<Done, Stop> {
        let bytes = call.block.bytes;
        let passwords =
            bytes.get(..lm.saturating_add(nt)).ok_or(Stop::Broken("passwords that are not there"))?;
        let (lm, nt) = passwords.split_at_checked(lm).unwrap_or_default();
        let mut texts = call.block.texts_after(passwords.len());
        let (user, domain) = (texts.text(), texts.text());
        let about = About::read(&mut texts);
        let answer = Answer { user, domain, lm: lm.to_vec(), nt: nt.to_vec(), ..Answer::default() };
        let password = clear(&answer, call.block.header().has(flags2::UNICODE));
        let mut attempt = Attempt::bare(answer, self.nonce);
        if let Some(password) = password.filter(|_| attempt.identity() != Identity::Anonymous) {
            let Login { username, domain, .. } = attempt.login;
            let secret = Some(Secret::Password(password.into()));
            attempt.login = Login { username, domain, secret, ..Login::new("smb") };
        }
        let who = call.server.knock_with(&attempt, |seen| about.facts(seen), VERSION, call.cx)?;
        if let Standing::User(key) = &who.standing {
            // The answer to the challenge is part of the key.
            self.begin_to_sign(&[&key[..], nt].concat(), call);
        }
        if !self.users.contains_key(&call.reply.uid) {
            if self.users.len() >= most::USERS {
                return Err(Status::REQUEST_NOT_ACCEPTED.into());
            }
            call.reply.uid = free(&self.users, FIRST);
        }
        let action = self.enter(who, &about, call);
        call.reply.block(command::SESSION_SETUP, true, &action.to_le_bytes());
        system(call);
        call.reply.text(&call.server.windows.group);
        Ok(Done::Answered)
    }

    /// Somebody is let in. Returns as what.
    fn enter(&mut self, who: Who, about: &About, call: &Call<'_, '_>) -> u16 {
        let action = if who.standing == Standing::Guest { AS_GUEST } else { 0 };
        self.arch.get_or_insert(about.arch());
        self.users.insert(call.reply.uid, User::In(Arc::new(who)));
        action
    }

    /// LOGOFF_ANDX (section 2.2.4.54).
    pub(super) fn logoff(&mut self, call: &mut Call<'_, '_>) -> Result<Done, Stop> {
        let uid = call.reply.uid;
        let user = self.users.remove(&uid).ok_or(Status::SMB_BAD_UID)?;
        user.left(call.cx);
        if let User::In(who) = user {
            self.close_those(|held| Arc::ptr_eq(&held.who, &who), call.server, call.cx);
        }
        call.reply.block(command::LOGOFF, true, &[]);
        Ok(Done::Answered)
    }
}

fn answer_extended(action: u16, token: &[u8], call: &mut Call<'_, '_>) {
    let mut words = Vec::new();
    words.u16(action).u16(size16(token.len()));
    call.reply.block(command::SESSION_SETUP, true, &words);
    call.reply.raw(token);
    system(call);
}

/// What we are: as Windows says it, with its build and with a version that has stood still since 8.1.
fn system(call: &mut Call<'_, '_>) {
    let release = &call.server.windows.release;
    let (major, minor) = if release.version.0 >= 10 { (6, 3) } else { release.version };
    let pack = if release.build == 7601 { " Service Pack 1" } else { "" };
    call.reply.text(&format!("{} {}{pack}", release.product, release.build));
    call.reply.text(&format!("{} {major}.{minor}", release.product));
}

/// The password, if it is in clear text: neither of the two is an answer to a challenge.
fn clear(answer: &Answer, unicode: bool) -> Option<Vec<u8>> {
    if answer.lm.len() == RESPONSE || answer.nt.len() >= RESPONSE {
        return None;
    }
    let text = if answer.nt.is_empty() {
        answer.lm.clone()
    } else if unicode {
        utf8(&answer.nt)
    } else {
        answer.nt.clone()
    };
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    Some(text.get(..end).unwrap_or_default().to_vec())
}
