//! FTP control channel: takes a name and a password, then says no.
//!
//! Reports `ftp.login` for each `PASS` and `ftp.command` for all else.
//! Protocol: RFC 959, sections 4.2 and 5.4.

use std::time::Duration;

use haldane_core::{
    Class, Compat, Cx, Flow, Halt, Host, Input, Kind, Login, Peer, Protocol, Section, Session, Severity,
    Sighting, Untrusted,
};

/// A password was tried.
pub static LOGIN: Kind = Kind::new(2000, "ftp.login", Class::Login, Severity::High, "FTP login")
    .compat(&[Compat::USERNAME, Compat::PASSWORD]);
/// Any other command.
pub static COMMAND: Kind = Kind::new(30101, "ftp.command", Class::Command, Severity::Low, "FTP command");

/// The service.
#[derive(Debug)]
pub struct Ftp {
    banner: String,
}

impl Protocol for Ftp {
    const NAME: &'static str = "ftp";
    const PORT: u16 = 21;
    const KINDS: &'static [&'static Kind] = &[&LOGIN, &COMMAND];
    type Session = Control;

    fn configure(section: &mut Section<'_>, _host: &Host) -> Self {
        let banner = section.text("banner", "(vsFTPd 3.0.3)", "What follows 220 in the greeting. One line.");
        if banner.contains(['\r', '\n']) {
            section.invalid("banner", "expected one line");
        }
        Self { banner }
    }

    fn session(&self, _peer: &Peer) -> Control {
        Control { banner: self.banner.clone(), username: None }
    }
}

/// One control connection.
#[derive(Debug)]
pub struct Control {
    banner: String,
    username: Option<Untrusted>,
}

impl Session for Control {
    type Message = Vec<u8>;

    fn greet(&mut self, cx: &mut Cx<'_>) {
        cx.reply(format!("220 {}\r\n", self.banner));
    }

    fn parse(&self, input: &mut Input<'_>) -> Result<Vec<u8>, Halt> {
        input.line(4096).map(<[u8]>::to_vec)
    }

    fn handle(&mut self, line: Vec<u8>, cx: &mut Cx<'_>) -> Flow {
        let (verb, argument) = match line.iter().position(|b| *b == b' ') {
            Some(space) => line.split_at(space),
            None => (line.as_slice(), &[][..]),
        };
        let argument = argument.trim_ascii();
        match verb.to_ascii_uppercase().as_slice() {
            b"USER" => {
                self.username = Some(Untrusted::new(argument));
                cx.reply("331 Please specify the password.\r\n");
            }
            b"PASS" => {
                let username = self.username.take().unwrap_or_default();
                cx.report(Sighting::of(&LOGIN).login(Login::password("password", username.raw(), argument)));
                cx.pause(Duration::from_secs(1));
                cx.reply("530 Login incorrect.\r\n");
            }
            b"QUIT" => {
                cx.reply("221 Goodbye.\r\n");
                return Flow::Close;
            }
            _ => {
                cx.report(Sighting::of(&COMMAND).with("command", line.as_slice()));
                cx.reply("530 Please login with USER and PASS.\r\n");
            }
        }
        Flow::Continue
    }
}
