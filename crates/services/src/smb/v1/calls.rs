//! What transactions ask for: TRANSACTION of pipes, TRANSACTION2 of files (MS-CIFS, sections 2.2.5 and 2.2.6) and
//! NT_TRANSACT (section 2.2.7).

use haldane_core::{Input, Value};

use super::{
    super::{open::Object, server::Sort, status::Status},
    Call, Dialogue, Done, INSUFF_SERVER_RESOURCES, Stop,
    attack::{DOUBLE_PULSAR, ETERNAL_BLUE, ETERNAL_ROMANCE, MS17_010},
    command,
    packet::Texts,
    rap,
    reply::Reply,
    transaction::{Answer, Step, Transaction},
};

/// Functions of pipes (section 2.2.5).
mod pipe {
    pub(super) const SET_STATE: u16 = 0x01;
    pub(super) const QUERY_STATE: u16 = 0x21;
    pub(super) const PEEK: u16 = 0x23;
    pub(super) const TRANSACT: u16 = 0x26;
    pub(super) const WAIT: u16 = 0x53;
    /// A pipe of messages, read as such, with as many ends as there are clients.
    pub(super) const STATE: u16 = 0x05ff;
}

/// Functions of files (section 2.2.6).
mod file {
    pub(super) const FIND_FIRST: u16 = 1;
    pub(super) const FIND_NEXT: u16 = 2;
    pub(super) const QUERY_SYSTEM: u16 = 3;
    pub(super) const QUERY_PATH: u16 = 5;
    pub(super) const SET_PATH: u16 = 6;
    pub(super) const QUERY_FILE: u16 = 7;
    pub(super) const SET_FILE: u16 = 8;
    pub(super) const CREATE_FOLDER: u16 = 0xd;
    /// No client has ever used it.
    pub(super) const SESSION_SETUP: u16 = 0xe;
    pub(super) const REFERRAL: u16 = 0x10;
}

/// Functions of NT_TRANSACT (section 2.2.7).
mod nt {
    pub(super) const IOCTL: u16 = 2;
    pub(super) const SET_SECURITY: u16 = 3;
    pub(super) const NOTIFY: u16 = 4;
    /// Never put to use.
    pub(super) const RENAME: u16 = 5;
    pub(super) const QUERY_SECURITY: u16 = 6;
}

/// What a function comes to.
pub(super) type Answered = Result<Option<(Status, Answer)>, Stop>;

impl Dialogue {
    /// The first packet of one.
    pub(super) fn transaction(&mut self, call: &mut Call<'_, '_>) -> Result<Done, Stop> {
        self.who(call)?;
        self.share(call)?;
        let new = Transaction::read(&call.block)?;
        if new.command == command::NT_TRANSACT && new.total_data > usize::from(u16::MAX) {
            self.attack(ETERNAL_BLUE, "oversized transaction", call.cx);
        }
        let step = self.waiting.begin(new);
        self.step(step, true, call)
    }

    /// A later one.
    pub(super) fn secondary(&mut self, call: &mut Call<'_, '_>) -> Result<Done, Stop> {
        let step = self.waiting.go_on(&call.block)?;
        self.step(step, false, call)
    }

    fn step(&mut self, step: Step, first: bool, call: &mut Call<'_, '_>) -> Result<Done, Stop> {
        match step {
            Step::Whole(whole) => self.whole(&whole, call),
            Step::More if first => {
                // Go on.
                call.reply.block(call.block.command, false, &[]);
                Ok(Done::Answered)
            }
            Step::More => Ok(Done::Silent),
            Step::Full => Err(Status::INSUFFICIENT_RESOURCES.into()),
            Step::Stray(other) => {
                let name = match other {
                    Some(Transaction { command: command::NT_TRANSACT, .. }) => ETERNAL_BLUE,
                    Some(_) => MS17_010,
                    None => return Err(Status::INVALID_PARAMETER.into()),
                };
                self.attack(name, "transaction continued as another kind", call.cx);
                Err(Status::INVALID_PARAMETER.into())
            }
        }
    }

    fn whole(&mut self, whole: &Transaction, call: &mut Call<'_, '_>) -> Result<Done, Stop> {
        let answered = match whole.command {
            command::TRANSACTION => self.pipes(whole, call)?,
            command::TRANSACTION2 => self.of_files(whole, call)?,
            _ => self.nt(whole, call)?,
        };
        let Some((status, answer)) = answered else { return Ok(Done::Silent) };
        let header = call.block.header();
        let mut reply = std::mem::replace(call.reply, Reply::to(header));
        reply.status = status;
        Ok(Done::Packets(answer.send(whole.command, reply, header, self.largest)))
    }

    /// TRANSACTION.
    fn pipes(&mut self, whole: &Transaction, call: &mut Call<'_, '_>) -> Answered {
        let fid = whole.setup.get(2..4).and_then(|fid| fid.try_into().ok()).map_or(0, u16::from_le_bytes);
        if whole.name.eq_ignore_ascii_case(rap::PIPE) {
            return self.lan_manager(whole, call);
        }
        match whole.function {
            Some(pipe::PEEK) if fid == 0 => {
                // How scanners find out whether MS17-010 was fixed.
                self.attack(MS17_010, "probe", call.cx);
                let modern = call.server.windows.release.version.0 >= 10;
                Err(match () {
                    () if call.server.unpatched => INSUFF_SERVER_RESOURCES,
                    () if modern => Status::ACCESS_DENIED,
                    () => Status::INVALID_HANDLE,
                }
                .into())
            }
            Some(pipe::PEEK) => {
                self.pipe(fid, call)?;
                let parameters = [0, 0, 0, 0, 3, 0];
                Ok(Some((Status::OK, Answer::of(parameters.to_vec(), Vec::new()))))
            }
            Some(pipe::TRANSACT) => {
                self.pipe_write(fid, &whole.data, call)?;
                let (status, data) = self.pipe_read(fid, whole.max_data, call)?;
                Ok(Some((status, Answer::of(Vec::new(), data))))
            }
            Some(pipe::SET_STATE) => {
                self.pipe(fid, call)?;
                Ok(Some((Status::OK, Answer::default())))
            }
            Some(pipe::QUERY_STATE) => {
                self.pipe(fid, call)?;
                Ok(Some((Status::OK, Answer::of(pipe::STATE.to_le_bytes().to_vec(), Vec::new()))))
            }
            Some(pipe::WAIT) => Ok(Some((Status::OK, Answer::default()))),
            Some(_) => Err(Status::INVALID_PARAMETER.into()),
            None => Err(Status::NOT_SUPPORTED.into()),
        }
    }

    /// TRANSACTION2.
    fn of_files(&mut self, whole: &Transaction, call: &mut Call<'_, '_>) -> Answered {
        let mut input = Input::whole(&whole.parameters);
        match whole.function {
            Some(file::FIND_FIRST) => self.find_first(whole, call),
            Some(file::FIND_NEXT) => self.find_next(whole, call),
            Some(file::QUERY_SYSTEM) => {
                let level = input.u16_le()?;
                self.query_system(level, call)
            }
            Some(file::QUERY_PATH) => {
                let level = input.u16_le()?;
                input.take(4)?;
                let path = texts(&mut input, call).text();
                self.query_path(level, &path, call)
            }
            Some(file::QUERY_FILE) => {
                let (fid, level) = (input.u16_le()?, input.u16_le()?);
                self.query_file(fid, level, call)
            }
            Some(file::SET_PATH) => {
                let level = input.u16_le()?;
                input.take(4)?;
                let path = texts(&mut input, call).text();
                self.refuse(meant(level, &whole.data), &path, Value::Null, call)
            }
            Some(file::SET_FILE) => {
                let (fid, level) = (input.u16_le()?, input.u16_le()?);
                let path = self.path(fid, call)?;
                self.refuse(meant(level, &whole.data), path.as_bytes(), Value::Null, call)
            }
            Some(file::CREATE_FOLDER) => {
                input.take(4)?;
                let path = texts(&mut input, call).text();
                self.refuse("mkdirat", &path, Value::Null, call)
            }
            Some(file::SESSION_SETUP) => {
                self.double_pulsar(whole, call);
                Err(Status::NOT_IMPLEMENTED.into())
            }
            Some(file::REFERRAL) => Err(Status::FS_DRIVER_REQUIRED.into()),
            Some(_) => Err(Status::NOT_IMPLEMENTED.into()),
            None => Err(Stop::Broken("a transaction without a function")),
        }
    }

    /// The back door is talked to with a function that nobody uses. What is wanted of it is the sum of the bytes of
    /// the timeout.
    fn double_pulsar(&mut self, whole: &Transaction, call: &mut Call<'_, '_>) {
        let sum = whole.timeout.to_le_bytes().into_iter().fold(0_u8, u8::wrapping_add);
        let step = match sum {
            0x23 => "ping",
            0xc8 => "code execution",
            0x77 => "removal",
            _ => "unknown request",
        };
        self.attack(DOUBLE_PULSAR, step, call.cx);
    }

    /// NT_TRANSACT.
    fn nt(&mut self, whole: &Transaction, call: &mut Call<'_, '_>) -> Answered {
        if whole.total_data > usize::from(u16::MAX) {
            return Err(Status::INVALID_PARAMETER.into());
        }
        match whole.function {
            Some(nt::NOTIFY) => Ok(None),
            Some(nt::IOCTL) => Err(Status::INVALID_DEVICE_REQUEST.into()),
            Some(nt::SET_SECURITY) => {
                let fid = Input::whole(&whole.parameters).u16_le()?;
                let path = self.path(fid, call)?;
                self.refuse("fset_nt_acl", path.as_bytes(), Value::Null, call)
            }
            Some(nt::QUERY_SECURITY) => Err(Status::ACCESS_DENIED.into()),
            Some(nt::RENAME) => {
                self.attack(ETERNAL_ROMANCE, "memory leak by NT_TRANSACT_RENAME", call.cx);
                Err(Status::INVALID_PARAMETER.into())
            }
            _ => Err(Status::INVALID_PARAMETER.into()),
        }
    }

    /// The pipe that a number stands for.
    pub(super) fn pipe(&self, fid: u16, call: &Call<'_, '_>) -> Result<(), Status> {
        let open = self.opens.get(&fid).filter(|held| held.tid == call.reply.tid);
        match open.map(|held| &held.open.object) {
            Some(Object::Pipe(_)) => Ok(()),
            Some(_) => Err(Status::INVALID_DEVICE_REQUEST),
            None => Err(Status::INVALID_HANDLE),
        }
    }

    /// Gives a pipe a request. What it is gets reported.
    pub(super) fn pipe_write(
        &mut self,
        fid: u16,
        data: &[u8],
        call: &mut Call<'_, '_>,
    ) -> Result<(), Status> {
        self.pipe(fid, call)?;
        let (_, share) = self.share(call)?;
        let Some(held) = self.opens.get_mut(&fid) else { return Err(Status::INVALID_HANDLE) };
        let Object::Pipe(pipe) = &mut held.open.object else { return Err(Status::INVALID_HANDLE) };
        let seen = pipe.write(data, call.cx);
        let Some(held) = self.opens.get(&fid) else { return Err(Status::INVALID_HANDLE) };
        let place = self.place(call.server, &held.who, &share.name);
        place.heard(&held.open.path.to_lowercase(), seen, call.cx);
        Ok(())
    }

    /// What a pipe answers, at most so much.
    pub(super) fn pipe_read(
        &mut self,
        fid: u16,
        most: usize,
        call: &Call<'_, '_>,
    ) -> Result<(Status, Vec<u8>), Status> {
        self.pipe(fid, call)?;
        let Some(held) = self.opens.get_mut(&fid) else { return Err(Status::INVALID_HANDLE) };
        let Object::Pipe(pipe) = &mut held.open.object else { return Err(Status::INVALID_HANDLE) };
        if pipe.is_broken() {
            return Err(Status::PIPE_DISCONNECTED);
        }
        let (data, more) = pipe.read(most);
        Ok((if more { Status::BUFFER_OVERFLOW } else { Status::OK }, data))
    }

    /// A request to change something.
    fn refuse(
        &mut self,
        action: &'static str,
        path: &[u8],
        target: Value,
        call: &mut Call<'_, '_>,
    ) -> Answered {
        Err(self.refused(action, path, target, call)?.into())
    }

    /// Whether a share has files.
    pub(super) fn folder<'a>(&self, call: &Call<'a, '_>) -> Result<&'a super::super::bait::Folder, Status> {
        match &self.share(call)?.1.sort {
            Sort::Files(folder) => Ok(folder),
            _ => Err(Status::INVALID_DEVICE_REQUEST),
        }
    }
}

/// Texts within parameters: those begin at an even place.
pub(super) fn texts<'a>(input: &mut Input<'a>, call: &Call<'_, '_>) -> Texts<'a> {
    let from = input.consumed();
    Texts::new(input.take_rest(), from, call.block.header().has(super::flags2::UNICODE))
}

/// What a change of information means, as Samba's audit calls it (section 2.2.8.4; MS-FSCC, section 2.4).
fn meant(level: u16, data: &[u8]) -> &'static str {
    match level {
        // SMB_SET_FILE_DISPOSITION_INFO: deletion, or the opposite.
        0x0102 | 1013 if data.first() != Some(&0) => "unlinkat",
        // Renaming, and linking.
        1010 => "renameat",
        1011 => "linkat",
        // End and allocation.
        0x0103 | 0x0104 | 1019 | 1020 => "ftruncate",
        _ => "fset_dos_attributes",
    }
}
