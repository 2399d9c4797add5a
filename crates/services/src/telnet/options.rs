//! Negotiation: who does what (RFC 854 and RFC 1143), and what clients tell of themselves on the way.

use std::collections::BTreeMap;

use haldane_core::{Sighting, Untrusted, Value};

/// Interpret as command.
pub(super) const IAC: u8 = 255;
/// The four words of negotiation.
pub(super) const WILL: u8 = 251;
pub(super) const WONT: u8 = 252;
pub(super) const DO: u8 = 253;
pub(super) const DONT: u8 = 254;
/// Subnegotiation begins, ends.
pub(super) const SB: u8 = 250;
pub(super) const SE: u8 = 240;

/// RFC 856.
const BINARY: u8 = 0;
/// RFC 857.
pub(super) const ECHO: u8 = 1;
/// RFC 858.
pub(super) const SGA: u8 = 3;
/// RFC 859.
const STATUS: u8 = 5;
/// RFC 860.
const TIMING_MARK: u8 = 6;
/// RFC 727.
pub(super) const LOGOUT: u8 = 18;
/// RFC 1091.
const TERMINAL_TYPE: u8 = 24;
/// RFC 1073.
const WINDOW: u8 = 31;
/// RFC 1079.
const TERMINAL_SPEED: u8 = 32;
/// RFC 1372.
pub(super) const FLOW: u8 = 33;
/// RFC 1184.
pub(super) const LINEMODE: u8 = 34;
/// RFC 1096.
const DISPLAY: u8 = 35;
/// RFC 1408.
const ENVIRON: u8 = 36;
/// RFC 2941.
const AUTHENTICATION: u8 = 37;
/// RFC 2946.
const ENCRYPT: u8 = 38;
/// RFC 1572.
const NEW_ENVIRON: u8 = 39;

/// What inetutils-telnetd does if asked.
const OURS: u64 = bit(BINARY) | bit(ECHO) | bit(SGA) | bit(STATUS) | bit(LOGOUT) | bit(ENCRYPT);
/// What it lets the client do.
const THEIRS: u64 = bit(BINARY)
    | bit(SGA)
    | bit(WINDOW)
    | bit(FLOW)
    | bit(LINEMODE)
    | bit(AUTHENTICATION)
    | bit(ENCRYPT)
    | described();
/// What clients describe themselves with, in the order in which it asks.
const DESCRIBED: [u8; 5] = [TERMINAL_SPEED, DISPLAY, NEW_ENVIRON, ENVIRON, TERMINAL_TYPE];

const fn described() -> u64 {
    bit(TERMINAL_SPEED) | bit(DISPLAY) | bit(NEW_ENVIRON) | bit(ENVIRON) | bit(TERMINAL_TYPE)
}

/// Options of 64 and above are none of ours.
const fn bit(option: u8) -> u64 {
    if option < 64 { 1_u64.rotate_left(u32::from_be_bytes([0, 0, 0, option])) } else { 0 }
}

/// Who does what: a bit for each option.
#[derive(Debug, Default)]
pub(super) struct Options {
    /// We do it.
    ours: u64,
    /// We offered to, and await the answer.
    offered: u64,
    /// The client does it.
    theirs: u64,
    /// We asked it to, and await the answer.
    asked: u64,
    /// We asked it to describe itself with these, and await that.
    awaited: u64,
    /// The client edits lines by itself, whatever it says of timing marks.
    linemode: bool,
    /// It was told how to control the flow.
    flow_set: bool,
    /// It has answered something that we opened with.
    pub(super) answered: bool,
}

impl Options {
    /// The state after those bytes were sent.
    pub(super) fn opened_with(bytes: &[u8]) -> Self {
        let mut options = Self::default();
        for command in bytes.chunks(3) {
            match command {
                [_, WILL, option] => options.offered |= bit(*option),
                [_, DO, option] => options.asked |= bit(*option),
                _ => {}
            }
        }
        options
    }

    /// Whether all questions of the opening that the login waits for are answered.
    pub(super) fn opened(&self) -> bool {
        self.asked & described() == 0
    }

    /// Whether the client sends eight bits.
    pub(super) fn binary(&self) -> bool {
        self.theirs & bit(BINARY) != 0
    }

    /// Whether the client agreed to any of them.
    pub(super) fn agreed(&self) -> bool {
        self.theirs & described() != 0
    }

    /// Whether the client has described itself as it was asked to.
    pub(super) fn told(&self) -> bool {
        self.awaited == 0
    }

    /// Whether the questions of the second round are answered.
    pub(super) fn second_answered(&self) -> bool {
        self.asked & (bit(ECHO) | bit(LINEMODE) | bit(WINDOW) | bit(FLOW)) == 0
    }

    /// Whether the question of the third round is answered.
    pub(super) fn third_answered(&self) -> bool {
        self.asked & bit(BINARY) == 0
    }

    /// The client described itself with that option.
    pub(super) fn described_with(&mut self, option: u8) {
        self.awaited &= !bit(option);
    }

    /// Asks the client to describe itself, with all that it agreed to.
    pub(super) fn ask_descriptions(&mut self, reply: &mut Vec<u8>) {
        let newer = self.theirs & bit(NEW_ENVIRON) != 0;
        let agreed = |option: &u8| self.theirs & bit(*option) != 0 && !(newer && *option == ENVIRON);
        for option in DESCRIBED.into_iter().filter(agreed) {
            self.awaited |= bit(option);
            reply.extend_from_slice(&[IAC, SB, option, 1, IAC, SE]);
        }
    }

    /// Before the terminal is there: what both ends do, line by line or at once.
    pub(super) fn ask_second(&mut self, reply: &mut Vec<u8>) {
        self.offer(SGA, reply);
        self.ask(ECHO, reply);
        self.ask(LINEMODE, reply);
        self.ask(WINDOW, reply);
        self.offer(STATUS, reply);
        self.ask(FLOW, reply);
    }

    /// With the terminal there: a character at a time, and we echo.
    pub(super) fn ask_third(&mut self, reply: &mut Vec<u8>) {
        if self.theirs & bit(FLOW) != 0 {
            self.set_flow(reply);
        }
        self.stop(ECHO, reply);
        self.offer(ECHO, reply);
        let mut stopped = Vec::new();
        if !self.stop(LINEMODE, &mut stopped) {
            self.ask(TIMING_MARK, reply);
        }
        self.ask(BINARY, reply);
        reply.extend_from_slice(&stopped);
    }

    /// Tells a client that stops its output by itself which characters mean that, once (RFC 1372, section 2).
    pub(super) fn set_flow(&mut self, reply: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.flow_set, true) {
            reply.extend_from_slice(&[IAC, SB, FLOW, 3, IAC, SE, 0]);
        }
    }

    /// Sets the mode of a client that edits lines itself (RFC 1184, section 2.2).
    pub(super) fn set_mode(reply: &mut Vec<u8>) {
        reply.extend_from_slice(&[IAC, SB, LINEMODE, 1, 3, IAC, SE, 0]);
    }

    /// Takes one word of the client's, answers it.
    pub(super) fn hear(&mut self, verb: u8, option: u8, reply: &mut Vec<u8>) {
        let bit = bit(option);
        self.linemode |= verb == WILL && option == LINEMODE;
        if option == TIMING_MARK && matches!(verb, WILL | WONT) {
            self.asked &= !bit;
            return self.timed(verb == WILL, reply);
        }
        let mut say = |verb: u8| reply.extend_from_slice(&[IAC, verb, option]);
        match verb {
            WILL | WONT if self.asked & bit != 0 => {
                self.asked &= !bit;
                self.answered = true;
                if verb == WILL {
                    self.theirs |= bit;
                }
            }
            DO | DONT if self.offered & bit != 0 => {
                self.offered &= !bit;
                self.answered = true;
                if verb == DO {
                    self.ours |= bit;
                }
            }
            WILL if self.theirs & bit != 0 => {}
            WILL if THEIRS & bit != 0 => {
                self.theirs |= bit;
                say(DO);
                reply.extend_from_slice(match option {
                    LINEMODE => &[IAC, SB, LINEMODE, 1, 16, IAC, SE, 0],
                    // SEND with Kerberos 5, mutual and one-way; SUPPORT with nothing.
                    AUTHENTICATION => &[IAC, SB, AUTHENTICATION, 1, 2, 2, 2, 0, IAC, SE],
                    ENCRYPT => &[IAC, SB, ENCRYPT, 1, IAC, SE],
                    _ => &[],
                });
            }
            WILL => say(DONT),
            WONT if self.theirs & bit != 0 => {
                self.theirs &= !bit;
                say(DONT);
            }
            DO if option == TIMING_MARK => say(WILL),
            DO if self.ours & bit != 0 => {}
            DO if OURS & bit != 0 => {
                self.ours |= bit;
                say(WILL);
            }
            DO => say(WONT),
            DONT if self.ours & bit != 0 => {
                self.ours &= !bit;
                say(WONT);
            }
            _ => {}
        }
    }

    /// Takes what the client says of timing marks: telnetd finds out so who edits lines by itself.
    fn timed(&mut self, will: bool, reply: &mut Vec<u8>) {
        match will {
            _ if self.linemode => {}
            true if (self.ours | self.offered) & bit(SGA) != 0 => {
                self.ours &= !bit(SGA);
                self.offered &= !bit(SGA);
                reply.extend_from_slice(&[IAC, WONT, SGA]);
            }
            true => {}
            false => {
                self.offer(SGA, reply);
                self.offer(ECHO, reply);
            }
        }
    }

    /// Offers to do it, unless that is settled or pending.
    fn offer(&mut self, option: u8, reply: &mut Vec<u8>) {
        if (self.ours | self.offered) & bit(option) == 0 {
            self.offered |= bit(option);
            reply.extend_from_slice(&[IAC, WILL, option]);
        }
    }

    /// Asks the client to do it, unless that is settled or pending.
    fn ask(&mut self, option: u8, reply: &mut Vec<u8>) {
        if (self.theirs | self.asked) & bit(option) == 0 {
            self.asked |= bit(option);
            reply.extend_from_slice(&[IAC, DO, option]);
        }
    }

    /// Asks the client to stop it, if it does it. Whether it did.
    pub(super) fn stop(&mut self, option: u8, reply: &mut Vec<u8>) -> bool {
        let on = self.theirs & bit(option) != 0;
        if on {
            self.theirs &= !bit(option);
            reply.extend_from_slice(&[IAC, DONT, option]);
        }
        on
    }
}

/// How many words of negotiation are kept as the client's fingerprint, and how many variables.
const WORDS: usize = 48;
const VARIABLES: usize = 64;

/// What a client told of itself.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Its side of the negotiation, word by word.
    words: Vec<(u8, u8)>,
    terminal: Option<Untrusted>,
    speed: Option<Untrusted>,
    display: Option<Untrusted>,
    window: Option<String>,
    environment: BTreeMap<String, Value>,
    /// A name as it was typed, before it was edited.
    pub(super) typed_name: Option<Vec<u8>>,
    /// Not reported yet.
    pub(super) fresh: bool,
}

impl Facts {
    /// Keeps one word of negotiation.
    pub(super) fn word(&mut self, verb: u8, option: u8) {
        if self.words.len() < WORDS {
            self.words.push((verb, option));
            self.fresh = true;
        }
    }

    /// Whether the client began by offering LINEMODE, unasked: hydra does.
    pub(super) fn began_with_linemode(&self) -> bool {
        self.words.first() == Some(&(WILL, LINEMODE))
    }

    /// Reads a subnegotiation (the option and what follows). The value of `USER` if it is an option for
    /// login(1) in disguise.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Option<Untrusted> {
        self.fresh = true;
        match bytes {
            [TERMINAL_TYPE, 0, text @ ..] => self.terminal = Some(text.into()),
            [TERMINAL_SPEED, 0, text @ ..] => self.speed = Some(text.into()),
            [DISPLAY, 0, text @ ..] => self.display = Some(text.into()),
            [WINDOW, a, b, c, d, ..] => {
                let (columns, rows) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
                self.window = Some(format!("{columns}x{rows}"));
            }
            [NEW_ENVIRON | ENVIRON, 0 | 2, variables @ ..] => return self.variables(variables),
            _ => {}
        }
        None
    }

    /// `VAR name VALUE value` and `USERVAR name VALUE value`, bytes below 4 escaped by ESC (RFC 1572, section 2).
    fn variables(&mut self, bytes: &[u8]) -> Option<Untrusted> {
        let mut disguised = None;
        let (mut name, mut value, mut in_value) = (Vec::new(), Vec::new(), false);
        let mut rest = bytes;
        loop {
            let (next, tail) = match rest {
                [2, escaped, tail @ ..] => (Some(*escaped), tail),
                [0 | 3, tail @ ..] => (None, tail),
                [1, tail @ ..] => {
                    in_value = true;
                    rest = tail;
                    continue;
                }
                [byte, tail @ ..] => (Some(*byte), tail),
                [] => (None, &[][..]),
            };
            match next {
                Some(byte) if in_value => value.push(byte),
                Some(byte) => name.push(byte),
                None if name.is_empty() && value.is_empty() => {}
                None => {
                    if name.eq_ignore_ascii_case(b"USER") && value.trim_ascii_start().starts_with(b"-") {
                        disguised = Some(Untrusted::new(&value));
                    }
                    if self.environment.len() < VARIABLES {
                        let name = Untrusted::new(&name).to_string();
                        self.environment.insert(name, std::mem::take(&mut value).into());
                    }
                    (name, value, in_value) = (Vec::new(), Vec::new(), false);
                }
            }
            if rest.is_empty() {
                return disguised;
            }
            rest = tail;
        }
    }

    /// Adds them to a sighting.
    pub(super) fn tell(&mut self, seen: Sighting) -> Sighting {
        self.fresh = false;
        let seen = match self.typed_name.take() {
            Some(typed) => seen.with("typed_username", typed),
            None => seen,
        };
        let named = |verb: &u8| match *verb {
            WILL => "WILL",
            WONT => "WONT",
            DO => "DO",
            _ => "DONT",
        };
        let words: Vec<String> =
            self.words.iter().map(|(verb, option)| format!("{} {option}", named(verb))).collect();
        let mut seen = if words.is_empty() { seen } else { seen.with("negotiation", words.join(", ")) };
        let texts = [("terminal", &self.terminal), ("speed", &self.speed), ("display", &self.display)];
        for (key, text) in texts {
            if let Some(text) = text {
                seen = seen.with(key, text.clone());
            }
        }
        if let Some(window) = &self.window {
            seen = seen.with("window", window.as_str());
        }
        match self.environment.is_empty() {
            true => seen,
            false => seen.with("environment", Value::Map(self.environment.clone())),
        }
    }
}
