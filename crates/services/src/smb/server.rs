//! What the server is: its names and shares, whom it lets in, and what it speaks.

use std::{
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use haldane_core::{Cx, Host, Login, Problem, Section, Severity, Sighting, Untrusted, Windows};
use haldane_wire::{ntlm::Identity, spnego::Attempt};
use sha2::{Digest, Sha256};

use super::{LOGIN, bait::Folder, rpc, status::Status};

/// The server. Shared by all connections.
#[derive(Debug)]
pub struct Server {
    /// Its names, its domain, its release.
    pub windows: Windows,
    /// By what it can be known again (MS-SMB2, section 3.3.3: ServerGuid). Kept.
    pub guid: [u8; 16],
    /// What it offers, in the order of the list.
    pub shares: Vec<Share>,
    /// Who is let in.
    pub accept: Accept,
    /// Accounts that are let in: name and password.
    pub users: Vec<(String, String)>,
    /// Whether messages must be signed by whoever can.
    pub signs: bool,
    /// Whether SMB 1 is spoken.
    pub smb1: bool,
    /// Whether scanners are told that MS17-010 was never fixed here.
    pub unpatched: bool,
    /// The newest dialect of SMB 2: `0x0311`.
    pub newest: u16,
    booted: OnceLock<SystemTime>,
}

/// One share.
#[derive(Debug)]
pub struct Share {
    /// Its name: `Documents`.
    pub name: String,
    /// What the list says about it.
    pub comment: String,
    /// What is behind it.
    pub sort: Sort,
}

/// What is behind a share.
#[derive(Debug)]
pub enum Sort {
    /// Files that can be read.
    Files(Folder),
    /// Files for administrators: nobody gets in.
    Closed,
    /// Named pipes.
    Pipes,
}

/// Who is let in without a password that is known: as a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accept {
    /// Every login is refused, that of nobody too.
    Nobody,
    /// Whoever has no name, and `guest`.
    Guests,
    /// Whoever comes, as Windows does if the account "Guest" is enabled and the name is not known.
    Anyone,
}

/// What a login comes to beside the accounts that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proved {
    /// There is no account of that name.
    Unknown,
    /// There is, and that is not its password.
    Wrong,
    /// It is; with the key of the session.
    Right([u8; 16]),
}

/// As whom a session was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nobody: no name and no password.
    Anonymous,
    /// The guest.
    Guest,
    /// Somebody who has proved it; with the key of the session.
    User([u8; 16]),
}

/// Who a session belongs to, as it said of itself.
#[derive(Debug, Clone)]
pub struct Who {
    /// Empty for nobody.
    pub user: Untrusted,
    /// Its domain.
    pub domain: Untrusted,
    /// Its machine; empty if that was not told.
    pub workstation: Untrusted,
    /// As whom it was let in.
    pub standing: Standing,
}

impl Server {
    /// Reads the section. Mistakes are noted there.
    pub fn configure(section: &mut Section<'_>, host: &Host) -> Self {
        // Told here, too, so that whoever asks for the keys of this service reads of it.
        section.text(
            "auditfile",
            super::audit::FILE,
            "With mode \"audit\": the file that Samba's audit is logged to.",
        );
        let folder = section.path(
            "folder",
            "The folder whose files the share shows; they can be read, and nothing else. Left out: a sample of plausible \
             documents.",
        );
        let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
        if folder.as_deref().is_some_and(|folder| std::fs::read_dir(folder).is_err()) {
            section.invalid("folder", "expected a folder that can be read");
        }
        let (files, problems) = Folder::load(folder.as_deref());
        for problem in problems {
            section.note(Problem::warning(None, "folder", problem));
        }
        let name = section.text("share", "Documents", "The name of the share with the files.");
        if !is_share_name(&name) {
            section.invalid(
                "share",
                "expected 1 to 80 characters, none of them \\ / : * ? \" < > | + [ ] ; , =",
            );
        }
        let comment = section.text("comment", "", "What the list of shares says about it.");
        let accept = section.choice(
            "accept",
            "guests",
            &["nobody", "guests", "anyone"],
            "Who is let in, with few rights: nobody, those without a name and \"guest\", or anyone with any password.",
        );
        let users = section.list(
            "users",
            &[],
            "Accounts that are let in with their password, as \"NAME:PASSWORD\": bait that was left elsewhere leads here. \
             They may read, and no more.",
        );
        let users: Vec<_> = users
            .iter()
            .filter_map(|user| {
                let parts = user.split_once(':').filter(|(name, _)| !name.is_empty());
                if parts.is_none() {
                    section.invalid("users", "expected NAME:PASSWORD");
                }
                parts.map(|(name, password)| (name.to_owned(), password.to_owned()))
            })
            .collect();
        let signing = section.choice(
            "signing",
            "enabled",
            &["enabled", "required"],
            "What the server says about signatures: a domain controller requires them, others do not.",
        );
        let smb1 = section.flag(
            "smb1",
            true,
            "Whether SMB 1 is spoken, as by a server where it was left or made possible for old clients.",
        );
        let unpatched = section.flag(
            "unpatched",
            false,
            "Whether scanners are told that MS17-010 was never fixed here, so that who wants to use EternalBlue goes on.",
        );
        let guid = host.keep.keep(None, "smb-guid", &mut || {
            let mut guid = [0; 16];
            openssl::rand::rand_bytes(&mut guid).map_err(|error| error.to_string())?;
            Ok(guid.to_vec())
        });
        let guid = guid.and_then(|guid| guid.try_into().map_err(|_| "smb-guid is not 16 bytes".to_owned()));
        let guid = guid.unwrap_or_else(|why| {
            section.invalid("share", format!("expected an identity that can be kept: {why}"));
            [0; 16]
        });
        Self {
            windows: host.windows.clone(),
            guid,
            shares: shares(name, comment, files),
            accept: match accept {
                "nobody" => Accept::Nobody,
                "anyone" => Accept::Anyone,
                _ => Accept::Guests,
            },
            users,
            signs: signing == "required",
            smb1,
            unpatched,
            newest: match host.windows.release.name {
                "2008r2" => 0x0210,
                "2012" => 0x0300,
                "2012r2" => 0x0302,
                _ => 0x0311,
            },
            booted: OnceLock::new(),
        }
    }

    /// The share of that name, in any case, with its number.
    pub fn share(&self, name: &str) -> Option<(usize, &Share)> {
        let wanted = name.to_lowercase();
        self.shares.iter().enumerate().find(|(_, share)| share.name.to_lowercase() == wanted)
    }

    /// When the machine says it was started: some days before the first client came.
    pub fn booted(&self, now: SystemTime) -> SystemTime {
        let [low, middle, high, ..] = self.guid;
        let before = u64::from(u32::from_le_bytes([low, middle, high, 0]) % 2_000_000);
        *self
            .booted
            .get_or_init(|| now.checked_sub(Duration::from_secs(before)).unwrap_or(SystemTime::UNIX_EPOCH))
    }

    /// What the servers behind the named pipes say about this machine.
    pub fn names(&self) -> rpc::Names {
        let shares = self.shares.iter().map(|share| {
            let sort = match share.sort {
                Sort::Pipes => rpc::ShareSort::Pipes,
                Sort::Files(_) => rpc::ShareSort::Disk,
                Sort::Closed => rpc::ShareSort::Hidden,
            };
            (share.name.clone(), sort, share.comment.clone())
        });
        // As lasting as the identity and yet not to be known from it: that is told to everyone.
        let hash: [u8; 32] = Sha256::digest([&self.guid[..], b"SID"].concat()).into();
        let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = hash;
        let sid = [[a, b, c, d], [e, f, g, h], [i, j, k, l]].map(u32::from_le_bytes);
        rpc::Names { windows: self.windows.clone(), shares: shares.collect(), sid }
    }

    /// Decides about a login and reports it, once for each. `via`: the dialect in Samba's words (`SMB3_11`).
    ///
    /// # Errors
    /// Why it is refused.
    pub fn knock(&self, attempt: &Attempt, via: &'static str, cx: &mut Cx<'_>) -> Result<Who, Status> {
        self.knock_with(attempt, |seen| seen, via, cx)
    }

    /// The same, where the client says more than the login. `more`: adds that to the event.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn knock_with(
        &self,
        attempt: &Attempt,
        more: impl FnOnce(Sighting) -> Sighting,
        via: &'static str,
        cx: &mut Cx<'_>,
    ) -> Result<Who, Status> {
        let workstation = match &attempt.proof {
            haldane_wire::spnego::Proof::Ntlm(answer) => answer.workstation.as_slice().into(),
            haldane_wire::spnego::Proof::Kerberos(_) => Untrusted::new(b""),
        };
        let facts = |seen| more(attempt.facts(seen));
        let name =
            attempt.login.username.as_ref().map(|name| String::from_utf8_lossy(name.raw()).to_lowercase());
        let known: Vec<&str> = self
            .users
            .iter()
            .filter(|(user, _)| name.as_deref() == Some(user.to_lowercase().as_str()))
            .map(|(_, password)| password.as_str())
            .collect();
        let proof = if known.is_empty() { Proved::Unknown } else { Proved::Wrong };
        let key = known.into_iter().find_map(|password| attempt.key(password.as_bytes()));
        let proof = key.map_or(proof, Proved::Right);
        self.decide((&attempt.login, attempt.identity(), proof), workstation, facts, via, cx)
    }

    fn decide(
        &self,
        (login, identity, proof): (&Login, Identity, Proved),
        workstation: Untrusted,
        facts: impl FnOnce(Sighting) -> Sighting,
        via: &'static str,
        cx: &mut Cx<'_>,
    ) -> Result<Who, Status> {
        let usual = match (self.accept, identity) {
            (Accept::Nobody, Identity::Anonymous) => Err(Status::ACCESS_DENIED),
            (Accept::Nobody, Identity::Guest) => Err(Status::ACCOUNT_DISABLED),
            (Accept::Nobody | Accept::Guests, Identity::User) => Err(Status::LOGON_FAILURE),
            (Accept::Guests | Accept::Anyone, Identity::Anonymous) => Ok(Standing::Anonymous),
            (Accept::Guests, Identity::Guest) | (Accept::Anyone, _) => Ok(Standing::Guest),
        };
        let verdict = match proof {
            Proved::Right(key) => Ok(Standing::User(key)),
            // Whoever has an account is no guest.
            Proved::Wrong if identity == Identity::User => Err(Status::LOGON_FAILURE),
            Proved::Wrong | Proved::Unknown => usual,
        };
        let status = verdict.err().unwrap_or(Status::OK);
        let severity = if identity == Identity::Anonymous { Severity::Low } else { LOGIN.severity };
        let seen = Sighting::of(&LOGIN).with("status", status.name()).with("version", via);
        cx.report(facts(seen).login(login.clone()).severity(severity));
        verdict.map(|standing| Who {
            user: login.username.clone().unwrap_or_else(|| Untrusted::new(b"")),
            domain: login.domain.clone().unwrap_or_else(|| Untrusted::new(b"")),
            workstation,
            standing,
        })
    }
}

/// Those of a Windows server, in the order of their names.
fn shares(name: String, comment: String, files: Folder) -> Vec<Share> {
    let share = |name: &str, comment: &str, sort| Share { name: name.into(), comment: comment.into(), sort };
    let mut shares = vec![
        share("ADMIN$", "Remote Admin", Sort::Closed),
        share("C$", "Default share", Sort::Closed),
        share("IPC$", "Remote IPC", Sort::Pipes),
        Share { name, comment, sort: Sort::Files(files) },
    ];
    shares.sort_by_key(|share| share.name.to_lowercase());
    shares
}

/// Whether Windows would take that name.
fn is_share_name(name: &str) -> bool {
    let taken = ["ADMIN$", "C$", "IPC$"].iter().any(|taken| taken.eq_ignore_ascii_case(name));
    let odd = |c: char| c.is_control() || "\\/:*?\"<>|+[];,=".contains(c);
    !taken && (1..=80).contains(&name.chars().count()) && !name.contains(odd)
}
