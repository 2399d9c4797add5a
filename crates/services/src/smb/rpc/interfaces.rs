//! Which pipes there are, and which interfaces answer behind each.

use super::operations::{self as op, Operation};

/// A program that serves some pipes. Every interface of a program answers on every pipe of it, as on Windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// Logins, accounts and encrypted files: `lsass.exe`.
    Lsass,
    /// Services.
    Services,
    /// Shares.
    Server,
    /// The workstation.
    Workstation,
    /// Printers.
    Spooler,
    /// The registry.
    Registry,
    /// Tasks.
    Tasks,
    /// Event logs.
    Events,
    /// Distributed shares.
    Dfs,
    /// Snapshots of shares.
    Snapshots,
    /// Shutdown.
    Winlogon,
    /// Which interface is where.
    Mapper,
}

/// A pipe: its name in small letters, who serves it, and what it calls itself when an interface is bound.
#[derive(Debug)]
pub(crate) struct Place {
    /// As it is opened.
    pub(crate) name: &'static str,
    /// Who answers.
    pub(crate) program: Program,
    /// The secondary address of a bind (C706, section 12.6.3.1).
    pub(crate) address: &'static str,
}

const fn place(name: &'static str, program: Program, address: &'static str) -> Place {
    Place { name, program, address }
}

/// All pipes.
static PLACES: &[Place] = &[
    place("lsarpc", Program::Lsass, "\\pipe\\lsass"),
    place("lsass", Program::Lsass, "\\pipe\\lsass"),
    place("samr", Program::Lsass, "\\pipe\\lsass"),
    place("netlogon", Program::Lsass, "\\pipe\\lsass"),
    place("protected_storage", Program::Lsass, "\\pipe\\lsass"),
    place("efsrpc", Program::Lsass, "\\pipe\\efsrpc"),
    place("srvsvc", Program::Server, "\\PIPE\\srvsvc"),
    // Another name of the same, by which MS08-067 was gone about.
    place("browser", Program::Server, "\\PIPE\\browser"),
    place("wkssvc", Program::Workstation, "\\PIPE\\wkssvc"),
    place("svcctl", Program::Services, "\\PIPE\\svcctl"),
    place("ntsvcs", Program::Services, "\\PIPE\\ntsvcs"),
    place("scerpc", Program::Services, "\\PIPE\\scerpc"),
    place("spoolss", Program::Spooler, "\\pipe\\spoolss"),
    place("winreg", Program::Registry, "\\PIPE\\winreg"),
    place("atsvc", Program::Tasks, "\\PIPE\\atsvc"),
    place("eventlog", Program::Events, "\\pipe\\eventlog"),
    place("netdfs", Program::Dfs, "\\PIPE\\netdfs"),
    place("fssagentrpc", Program::Snapshots, "\\PIPE\\FssagentRpc"),
    place("initshutdown", Program::Winlogon, "\\PIPE\\InitShutdown"),
    place("epmapper", Program::Mapper, "\\pipe\\epmapper"),
];

impl Place {
    /// The pipe of that name, in any case.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        PLACES.iter().find(|place| place.name.eq_ignore_ascii_case(name))
    }
}

/// What a client binds to.
#[derive(Debug)]
pub(crate) struct Interface {
    /// By what name it is reported: its pipe's, mostly.
    pub(crate) name: &'static str,
    /// Its UUID as it is written.
    pub(crate) uuid: u128,
    /// Its version: the smaller number counts only up to that.
    pub(crate) version: (u16, u16),
    /// Who serves it; `None` for what this machine does not have, and all the same knows by name.
    pub(crate) program: Option<Program>,
    /// Its operations.
    pub(crate) operations: &'static [Operation],
}

const fn interface(
    name: &'static str,
    uuid: u128,
    version: (u16, u16),
    program: Option<Program>,
    operations: &'static [Operation],
) -> Interface {
    Interface { name, uuid, version, program, operations }
}

/// Shares.
pub(crate) static SRVSVC: Interface =
    interface("srvsvc", 0x4b32_4fc8_1670_01d3_1278_5a47_bf6e_e188, (3, 0), Some(Program::Server), op::SRVSVC);
/// The workstation.
pub(crate) static WKSSVC: Interface = interface(
    "wkssvc",
    0x6bff_d098_a112_3610_9833_46c3_f87e_345a,
    (1, 0),
    Some(Program::Workstation),
    op::WKSSVC,
);
/// Policy and names.
pub(crate) static LSARPC: Interface =
    interface("lsarpc", 0x1234_5778_1234_abcd_ef00_0123_4567_89ab, (0, 0), Some(Program::Lsass), op::LSARPC);
/// Accounts.
pub(crate) static SAMR: Interface =
    interface("samr", 0x1234_5778_1234_abcd_ef00_0123_4567_89ac, (1, 0), Some(Program::Lsass), op::SAMR);
/// The role in a domain, and, with version 1, a part of the directory's own.
pub(crate) static DSSETUP: Interface = interface(
    "dssetup",
    0x3919_286a_b10c_11d0_9ba8_00c0_4fd9_2ef5,
    (0, 0),
    Some(Program::Lsass),
    op::DSSETUP,
);
/// Logins of a domain.
pub(crate) static NETLOGON: Interface = interface(
    "netlogon",
    0x1234_5678_1234_abcd_ef00_0123_4567_cffb,
    (1, 0),
    Some(Program::Lsass),
    op::NETLOGON,
);
/// Encrypted files, at the pipe of their own.
pub(crate) static EFSRPC: Interface =
    interface("efsrpc", 0xdf19_41c5_fe89_4e79_bf10_4636_57ac_f44d, (1, 0), Some(Program::Lsass), op::EFSRPC);
/// Encrypted files, at `lsarpc`.
pub(crate) static EFSRPC_LSA: Interface =
    interface("efsrpc", 0xc681_d488_d850_11d0_8c52_00c0_4fd9_0f7e, (1, 0), Some(Program::Lsass), op::EFSRPC);
/// Services.
pub(crate) static SVCCTL: Interface = interface(
    "svcctl",
    0x367a_bb81_9844_35f1_ad32_98f0_3800_1003,
    (2, 0),
    Some(Program::Services),
    op::SVCCTL,
);
/// Printers.
pub(crate) static SPOOLSS: Interface = interface(
    "spoolss",
    0x1234_5678_1234_abcd_ef00_0123_4567_89ab,
    (1, 0),
    Some(Program::Spooler),
    op::SPOOLSS,
);
/// The registry.
pub(crate) static WINREG: Interface = interface(
    "winreg",
    0x338c_d001_2244_31f1_aaaa_9000_3800_1003,
    (1, 0),
    Some(Program::Registry),
    op::WINREG,
);
/// Event logs.
pub(crate) static EVENTLOG: Interface = interface(
    "eventlog",
    0x8227_3fdc_e32a_18c3_3f78_8279_29dc_23ea,
    (0, 0),
    Some(Program::Events),
    op::EVENTLOG,
);
/// Distributed shares.
pub(crate) static NETDFS: Interface =
    interface("netdfs", 0x4fc7_42e0_4a10_11cf_8273_00aa_004a_e673, (3, 0), Some(Program::Dfs), op::NETDFS);
/// Snapshots of shares.
pub(crate) static FSSAGENT: Interface = interface(
    "fssagent",
    0xa8e0_653c_2744_4389_a61d_7373_df8b_2292,
    (1, 0),
    Some(Program::Snapshots),
    op::FSSAGENT,
);
/// Copies of a directory: only a domain controller has it.
pub(crate) static DRSUAPI: Interface =
    interface("drsuapi", 0xe351_4235_4b06_11d1_ab04_00c0_4fc2_dcd2, (4, 0), None, op::DRSUAPI);

/// Those that nothing here knows more of than the names.
static OTHERS: [Interface; 10] = [
    interface("atsvc", 0x1ff7_0682_0a51_30e8_076d_740b_e8ce_e98b, (1, 0), Some(Program::Tasks), op::ATSVC),
    interface("sasec", 0x378e_52b0_c0a9_11cf_822d_00aa_0051_e40f, (1, 0), Some(Program::Tasks), op::SASEC),
    interface(
        "schedule",
        0x86d3_5949_83c9_4044_b424_db36_3231_fd0c,
        (1, 0),
        Some(Program::Tasks),
        op::SCHEDULE,
    ),
    interface(
        "eventlog6",
        0xf6be_aff7_1e19_4fbb_9f8f_b89e_2018_337c,
        (1, 0),
        Some(Program::Events),
        op::EVENTLOG6,
    ),
    interface(
        "initshutdown",
        0x894d_e0c0_0d55_11d3_a322_00c0_4fa3_21a1,
        (1, 0),
        Some(Program::Winlogon),
        op::INITSHUTDOWN,
    ),
    interface(
        "epmapper",
        0xe1af_8308_5d1f_11c9_91a4_0800_2b14_a0fa,
        (3, 0),
        Some(Program::Mapper),
        op::EPMAPPER,
    ),
    interface("bkrp", 0x3dde_7c30_165d_11d1_ab8f_0080_5f14_db40, (1, 0), Some(Program::Lsass), op::BKRP),
    interface("par", 0x76f0_3f96_cdfd_44fc_a22c_6495_0a00_1209, (1, 0), Some(Program::Spooler), op::PAR),
    interface("icpr", 0x91ae_6020_9e3c_11cf_8d7c_00aa_00c0_91be, (0, 0), None, op::ICPR),
    interface("mgmt", 0xafa8_bd80_7d8a_11c9_bef4_0800_2b10_2989, (1, 0), None, op::MGMT),
];

static OWN: [&Interface; 15] = [
    &SRVSVC,
    &WKSSVC,
    &LSARPC,
    &SAMR,
    &DSSETUP,
    &NETLOGON,
    &EFSRPC,
    &EFSRPC_LSA,
    &SVCCTL,
    &SPOOLSS,
    &WINREG,
    &EVENTLOG,
    &NETDFS,
    &FSSAGENT,
    &DRSUAPI,
];

impl Interface {
    /// The interface of that UUID, whether or not it is served here.
    pub(crate) fn find(uuid: u128, (major, minor): (u16, u16)) -> Option<&'static Self> {
        let fits = |known: &&Self| known.uuid == uuid && known.version.0 == major && minor <= known.version.1;
        OWN.into_iter().chain(&OTHERS).find(fits)
    }

    /// The name of an operation, or its number.
    pub(crate) fn operation(&self, number: u16) -> String {
        let known = self.operations.iter().find(|(known, _)| *known == number);
        known.map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned())
    }

    /// Whether it is that one.
    pub(crate) fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}
