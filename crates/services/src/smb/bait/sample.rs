//! The bundled sample: what the file server of a small trading company may hold. All names, numbers and passwords in
//! it are made up.

/// When the share was set up, in seconds since 1970.
pub(super) const SINCE: u64 = 1_717_399_214;

/// Path, time in seconds since 1970, content.
#[rustfmt::skip]
pub(super) static FILES: &[(&str, u64, &[u8])] = &[
    ("Readme.txt", 1_739_779_960, include_bytes!("files/Readme.txt")),
    ("Finance/Bank accounts.xlsx", 1_774_869_903, include_bytes!("files/Finance/Bank accounts.xlsx")),
    ("Finance/Payroll 2026-03.csv", 1_774_597_014, include_bytes!("files/Finance/Payroll 2026-03.csv")),
    ("Finance/Invoices/Invoice 2026-0311.pdf", 1_773_219_012, include_bytes!("files/Finance/Invoices/Invoice 2026-0311.pdf")),
    ("Finance/Invoices/Invoice 2026-0318.pdf", 1_773_823_497, include_bytes!("files/Finance/Invoices/Invoice 2026-0318.pdf")),
    ("HR/Employment contract (template).docx", 1_747_735_351, include_bytes!("files/HR/Employment contract (template).docx")),
    ("HR/Salary review 2026 - confidential.docx", 1_770_131_564, include_bytes!("files/HR/Salary review 2026 - confidential.docx")),
    ("HR/Staff list 2026.xlsx", 1_768_210_867, include_bytes!("files/HR/Staff list 2026.xlsx")),
    ("IT/Passwords.kdbx", 1_775_721_513, include_bytes!("files/IT/Passwords.kdbx")),
    ("IT/admin passwords.txt", 1_772_121_791, include_bytes!("files/IT/admin passwords.txt")),
    ("IT/keepass export.csv", 1_762_350_449, include_bytes!("files/IT/keepass export.csv")),
    ("IT/Deployment/unattend.xml", 1_718_109_052, include_bytes!("files/IT/Deployment/unattend.xml")),
    ("IT/Remote/office-vpn.auth", 1_741_097_101, include_bytes!("files/IT/Remote/office-vpn.auth")),
    ("IT/Remote/office-vpn.ovpn", 1_741_096_946, include_bytes!("files/IT/Remote/office-vpn.ovpn")),
    ("IT/Remote/sql01.rdp", 1_755_767_737, include_bytes!("files/IT/Remote/sql01.rdp")),
    ("IT/Scripts/backup-nightly.ps1", 1_739_787_665, include_bytes!("files/IT/Scripts/backup-nightly.ps1")),
    ("IT/Scripts/map-drives.bat", 1_725_259_458, include_bytes!("files/IT/Scripts/map-drives.bat")),
    ("IT/Web/web.config", 1_760_441_628, include_bytes!("files/IT/Web/web.config")),
    ("Projects/New warehouse/Budget.xlsx", 1_776_184_640, include_bytes!("files/Projects/New warehouse/Budget.xlsx")),
    ("Projects/New warehouse/Minutes 2026-04-14.docx", 1_776_189_302, include_bytes!("files/Projects/New warehouse/Minutes 2026-04-14.docx")),
];
