//! `haldane gate`: see [`crate::daemon::actions::gate`].

use std::process::ExitCode;

use clap::Args;
use ipnet::IpNet;

use crate::{
    config::action::Set,
    daemon::{
        actions::gate::{Orders, serve},
        privileges::Identity,
    },
};

/// Its options.
#[derive(Debug, Args)]
pub(super) struct Gate {
    /// Whom to become.
    #[arg(long, requires = "gid")]
    uid: Option<u32>,
    /// The group to go with it.
    #[arg(long, requires = "uid")]
    gid: Option<u32>,
    /// A set that may be changed.
    #[arg(long, value_parser = set)]
    set: Vec<Set>,
    /// A network that is never blocked.
    #[arg(long)]
    never: Vec<IpNet>,
}

fn set(text: &str) -> Result<Set, String> {
    Set::parse(text).ok_or_else(|| "expected a set, as in \"ipset walled\"".to_owned())
}

impl Gate {
    pub(super) fn run(self) -> ExitCode {
        let identity = self.uid.zip(self.gid).map(|(uid, gid)| Identity { uid, gid });
        serve(&Orders { identity, sets: self.set, never: self.never })
    }
}
