//! Sessions (MS-SMB2, sections 2.2.5, 2.2.6 and 3.3.5.5). Each login is decided on and reported once.

use haldane_core::Cx;
use haldane_wire::spnego::{Conversation, Step};

use super::{
    Answer, Dialogue, SESSIONS, Session,
    head::{HEAD, Request, error},
    seal,
    sign::Key,
    structure,
};
use crate::smb::{
    bytes::{Put, size16},
    evidence,
    server::{Server, Standing, Who},
    status::Status,
};

/// Bytes of an answer before its token.
const FIXED: usize = 8;

impl Dialogue {
    pub(super) fn session_setup(
        &mut self,
        request: &mut Request<'_>,
        server: &Server,
        cx: &mut Cx<'_>,
    ) -> Answer {
        match self.log_in(request, server, cx) {
            Ok(answer) => answer,
            Err(status) => Err(status).into(),
        }
    }

    fn log_in(
        &mut self,
        request: &mut Request<'_>,
        server: &Server,
        cx: &mut Cx<'_>,
    ) -> Result<Answer, Status> {
        structure(request, 25)?;
        let token = request.buffer(12, 14)?;
        let (version, agreed, said) = (self.version(), self.agreed, self.said);
        if request.head.session == 0 {
            if self.sessions.len() >= SESSIONS {
                return Err(Status::REQUEST_NOT_ACCEPTED);
            }
            request.head.session = self.fresh(cx);
            let id = request.head.session;
            let login = Conversation::default();
            let (trees, opens) = (Vec::new(), Vec::new());
            let (first, who, key, seals) = (None, None, None, None);
            self.sessions.push(Session { id, login, first, who, said, key, seals, trees, opens });
        }
        let id = request.head.session;
        let found = self.sessions.iter().position(|session| session.id == id);
        let index = found.ok_or(Status::USER_SESSION_DELETED)?;
        let session = self.sessions.get_mut(index).ok_or(Status::USER_SESSION_DELETED)?;
        session.said.add(request.message);
        let step = session.login.take(token, &server.windows, cx);
        if let Step::Done(_) = step {
            session.first = None;
        }
        match step {
            Step::Reply { token, first } => {
                session.first = first.or_else(|| session.first.take());
                Ok(Answer::Reply(Status::MORE_PROCESSING_REQUIRED, answer(0, &token)))
            }
            Step::Done(attempt) => match server.knock(&attempt, version, cx) {
                Ok(who) => {
                    let (flags, mut token) = (flags(&who), attempt.accept.clone());
                    if let (Standing::User(key), Some(agreed)) = (who.standing, &agreed) {
                        token = attempt.accept_with(&key);
                        session.seals = agreed
                            .cipher
                            .and_then(|kind| seal::Keys::new(agreed.dialect, kind, &key, &session.said));
                        session.key = Key::new(agreed.dialect, agreed.algorithm, &key, &session.said);
                    }
                    session.who = Some(who);
                    Ok(Answer::Reply(Status::OK, answer(flags, &token)))
                }
                Err(status) => {
                    self.drop_session(index, server, cx);
                    Ok(Answer::Reply(status, error(&[])))
                }
            },
            Step::Unknown => {
                cx.report(evidence::broken("a login that is none", token));
                self.drop_session(index, server, cx);
                Err(Status::INVALID_PARAMETER)
            }
        }
    }

    fn drop_session(&mut self, index: usize, server: &Server, cx: &mut Cx<'_>) {
        let version = self.version();
        self.sessions.swap_remove(index).end(version, server, cx);
    }

    /// An id for a session, in the form of those of Windows.
    fn fresh(&mut self, cx: &mut Cx<'_>) -> u64 {
        let number = self.number();
        let [a, b] = cx.random::<2>();
        u64::from(u16::from_le_bytes([a, b])) << 42 | u64::from(number) << 2 | 1
    }
}

/// How the session differs from one with a key (SessionFlags).
fn flags(who: &Who) -> u16 {
    match who.standing {
        Standing::Guest => 1,
        Standing::Anonymous => 2,
        Standing::User(_) => 0,
    }
}

fn answer(flags: u16, token: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    body.u16(9).u16(flags).u16(size16(HEAD.saturating_add(FIXED))).u16(size16(token.len())).raw(token);
    if token.is_empty() {
        body.u8(0);
    }
    body
}
