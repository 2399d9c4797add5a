//! A folder for a new decoy, and its line in the registry.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};

/// Makes them.
pub fn run(name: &str) -> Result<()> {
    ensure!(
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase()),
        "a name is lower-case letters"
    );
    let services = Path::new("crates/services/src");
    let folder = services.join(name);
    ensure!(!folder.exists(), "{} is there already", folder.display());
    let registry = services.join("lib.rs");
    let text = fs::read_to_string(&registry).with_context(|| registry.display().to_string())?;
    let kind: String =
        name.chars().take(1).flat_map(char::to_uppercase).chain(name.chars().skip(1)).collect();
    let row = format!("    Entry::stream::<{name}::{kind}>(),\n];");
    let text = text.replacen("];", &row, 1).replacen(
        "pub mod replay;",
        &format!("pub mod {name};\npub mod replay;"),
        1,
    );
    fs::create_dir_all(folder.join("talks"))?;
    fs::write(folder.join("mod.rs"), TEMPLATE.replace("NAME", name).replace("KIND", &kind))?;
    fs::write(
        folder.join("talks/first.talk"),
        "# Replace this by what a real client says.\nC: hello\\n\nE: NAME.command command=\"hello\"\n"
            .replace("NAME", name),
    )?;
    fs::write(&registry, text)?;
    println!("made {}; its tests run already: cargo test -p haldane-services", folder.display());
    Ok(())
}

const TEMPLATE: &str = r#"//! NAME: what it imitates, what it reports, and the specification with its section.

use haldane_core::{Class, Cx, Flow, Halt, Host, Input, Kind, Peer, Protocol, Section, Session, Severity, Sighting};

/// A command was sent. Take a free block of a hundred numbers from 30000 on.
pub static COMMAND: Kind = Kind::new(39_999, "NAME.command", Class::Command, Severity::Low, "NAME command");

/// The service.
#[derive(Debug)]
pub struct KIND;

impl Protocol for KIND {
    const NAME: &'static str = "NAME";
    const PORT: u16 = 9999;
    const KINDS: &'static [&'static Kind] = &[&COMMAND];
    type Session = Conversation;

    fn configure(_section: &mut Section<'_>, _host: &Host) -> Self {
        Self
    }

    fn session(&self, _peer: &Peer) -> Conversation {
        Conversation
    }
}

/// One conversation.
#[derive(Debug)]
pub struct Conversation;

impl Session for Conversation {
    type Message = Vec<u8>;

    fn parse(&self, input: &mut Input<'_>) -> Result<Vec<u8>, Halt> {
        input.line(1024).map(<[u8]>::to_vec)
    }

    fn handle(&mut self, line: Vec<u8>, cx: &mut Cx<'_>) -> Flow {
        cx.report(Sighting::of(&COMMAND).with("command", line));
        Flow::Continue
    }
}
"#;
