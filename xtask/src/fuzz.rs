//! Runs every fuzz target for a while. Needs cargo-fuzz (`cargo install cargo-fuzz`) and a C++ compiler; the
//! stable compiler is told to act as a nightly one, which the sanitizer needs.
//!
//! The first inputs are made anew each time, from transcripts and samples; what the fuzzer finds interesting beyond
//! those stays in fuzz/corpus, which is not kept in the repository.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use haldane_services::{ALL, replay::unescape};

/// Runs each target for that many seconds, or conversations with that service alone; the first finding ends it.
pub fn run(seconds: u64, only: Option<&str>) -> Result<()> {
    if let Some(service) = only {
        ensure!(ALL.iter().any(|entry| entry.name == service), "there is no service {service}");
    }
    let list = Command::new("cargo").args(["fuzz", "list"]).output().context("cargo fuzz")?;
    ensure!(list.status.success(), "cargo-fuzz is not installed: cargo install cargo-fuzz");
    let targets = String::from_utf8(list.stdout)?;
    ensure!(!targets.trim().is_empty(), "no fuzz targets");
    let built = Command::new("cargo").args(["fuzz", "build"]).env("RUSTC_BOOTSTRAP", "1").status()?;
    ensure!(built.success(), "the fuzz targets cannot be built");
    seed()?;
    for target in targets.lines().filter(|target| only.is_none() || *target == "sessions") {
        println!("fuzzing {target} for {seconds} s");
        let mut fuzzer = Command::new("cargo");
        if let Some(service) = only {
            fuzzer.env("HALDANE_FUZZ_ONLY", service);
        }
        let status = fuzzer
            .args(["fuzz", "run", target, "--"])
            .arg(format!("-max_total_time={seconds}"))
            .args(["-max_len=8192", "-rss_limit_mb=1024", "-timeout=10"])
            .env("RUSTC_BOOTSTRAP", "1")
            .status()?;
        ensure!(
            status.success(),
            "{target}: a finding; its input is in fuzz/artifacts. Mend it, and keep the input in fuzz/findings/{target}"
        );
    }
    Ok(())
}

/// Gives the fuzzer something to begin with.
fn seed() -> Result<()> {
    let corpus = |target: &str| {
        let folder = Path::new("fuzz/corpus").join(target);
        fs::create_dir_all(&folder).map(|()| folder)
    };
    let sessions = corpus("sessions")?;
    for (pick, entry) in ALL.iter().enumerate() {
        let talks = Path::new("crates/services/src").join(entry.name).join("talks");
        for file in fs::read_dir(talks).into_iter().flatten() {
            let path = file?.path();
            let text = fs::read_to_string(&path)?;
            let said = text.lines().filter_map(|line| line.strip_prefix("C: ")).flat_map(unescape);
            // Which service, and how it is cut: see `sessions` in fuzz/src/lib.rs.
            let input: Vec<u8> = [u8::try_from(pick)?, 15].into_iter().chain(said).collect();
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            fs::write(sessions.join(format!("{}-{name}", entry.name)), input)?;
        }
    }
    sensors(&corpus("sensors")?)?;
    let config = corpus("config")?;
    for sample in ["src/config/default.toml", "src/config/opencanary.conf", "tests/opencanary-full.conf"] {
        let path = Path::new("crates/haldane").join(sample);
        let name = path.file_name().unwrap_or_default();
        fs::copy(&path, config.join(name)).with_context(|| path.display().to_string())?;
    }
    fs::write(corpus("proxy")?.join("text"), "PROXY TCP4 192.0.2.7 192.0.2.1 4711 22\r\n")?;
    let binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xc0\x00\x02\x01\x12\x67\x00\x16";
    fs::write(corpus("proxy")?.join("binary"), binary)?;
    ntlm(&corpus("ntlm")?)?;
    smb(&corpus("smb")?)?;
    // What a client says first, with nothing in it.
    let hello = b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03";
    let hello: Vec<u8> = hello.iter().copied().chain([7; 32]).chain(*b"\0\0\x02\x13\x01\x01\0\0\0").collect();
    fs::write(corpus("tls_hello")?.join("smallest"), hello)?;
    Ok(())
}

/// Logins with and without SPNEGO: each token behind its length.
fn ntlm(folder: &Path) -> Result<()> {
    let first =
        b"NTLMSSP\0\x01\0\0\0\x37\x82\x08\xe2\0\0\0\0\x28\0\0\0\0\0\0\0\x28\0\0\0\x0a\0\x61\x4a\0\0\0\x0f";
    let last = b"NTLMSSP\0\x03\0\0\0\0\0\0\0\x40\0\0\0\0\0\0\0\x40\0\0\0\0\0\0\0\x40\0\0\0\x02\0\x02\0\x40\0\0\0\0\0\0\0\
                 \x40\0\0\0\0\0\0\0\x40\0\0\0\x01\x82\x08\xe2e\0";
    let spnego = b"\x60\x1c\x06\x06\x2b\x06\x01\x05\x05\x02\xa0\x12\x30\x10\xa0\x0e\x30\x0c\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x02\x02\x0a";
    let ticket = b"\x6e\x1e\x30\x1c\xa3\x1a\x61\x18\x30\x16\xa1\x03\x1b\x01R\xa2\x0f\x30\x0d\xa0\x03\x02\x01\x02\xa1\x06\x30\x04\x1b\x02hi";
    let said =
        [("raw", vec![&first[..], last]), ("spnego", vec![spnego, first, last]), ("ticket", vec![ticket])];
    for (name, tokens) in said {
        let mut input = Vec::new();
        for token in tokens {
            input.extend_from_slice(&u16::try_from(token.len())?.to_be_bytes());
            input.extend_from_slice(token);
        }
        fs::write(folder.join(name), input)?;
    }
    Ok(())
}

/// Calls over each pipe, with a text among their arguments, and paths; see `smb` in fuzz/src/lib.rs.
fn smb(folder: &Path) -> Result<()> {
    let text = b"\x01\0\0\0\x03\0\0\0\0\0\0\0\x03\0\0\0\\\0\\\0\0\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0";
    for pipe in 0..7 {
        let mut input = vec![pipe];
        for call in [0, 1, 4, 6, 15, 21, 26, 31, 44, 45, 64, 65, 76, 89] {
            input.push(call);
            input.push(u8::try_from(text.len())?);
            input.extend_from_slice(text);
        }
        fs::write(folder.join(format!("calls-{pipe}")), input)?;
    }
    for (name, path) in
        [("file", "IT\\Passwords.kdbx"), ("stream", "Readme.txt::$DATA"), ("up", "..\\..\\etc\\passwd")]
    {
        fs::write(folder.join(name), path)?;
    }
    Ok(())
}

/// What sensors are fed: which of them, how, and the bytes; see `sensors` in fuzz/src/lib.rs.
fn sensors(folder: &Path) -> Result<()> {
    let audit =
        b"smbd_audit[7]: u|192.0.2.7|192.0.2.1|m|docs|FILES01|SMB3_11|Vista|t|CORP|openat|ok|r|/srv/x";
    let login =
        b"  Auth: [SMB2,(null)] user [CORP]\\[eve] at [t] with [NTLMv2] status [NT_STATUS_NO_SUCH_USER] \
                  workstation [KALI] remote host [ipv4:192.0.2.7:4711] mapped to [CORP]\\[eve]. local host \
                  [ipv4:192.0.2.1:445]";
    // The rest of a header, and a record for the name of the question.
    let answer = b"\x80\0\0\x01\0\x01\0\0\0\0\xc0\x0c\0\x01\0\x01\0\0\0\x1e\0\x04\xc0\0\x02\x42";
    let firewall =
        b"kernel: [1.2] canaryfw: IN=eth0 OUT= MAC=02 SRC=192.0.2.7 DST=192.0.2.1 LEN=60 DF PROTO=TCP SPT=1 \
                     DPT=2 SYN URGP=0";
    // A SYN over IPv4, and one over IPv6 behind options of a hop and a fragment's header.
    let syn = b"\x12\x34\0\x50\0\0\0\0\0\0\0\0\x50\x02\x04\0\0\0\0\0";
    let v4 = b"\x45\0\0\x28\0\x01\x40\0\x40\x06\0\0\xc0\0\x02\x42\xc0\0\x02\x01";
    let v6 =
        b"\x60\0\0\0\0\x24\0\x40\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x42\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x01";
    let extensions = b"\x2c\0\x01\x04\0\0\0\0\x06\0\0\x01\0\0\0\x07";
    let packets = [[&v4[..], syn].concat(), [&v6[..], extensions, syn].concat()];
    for (pick, _) in ALL.iter().filter(|entry| entry.watching.is_some()).enumerate() {
        for (name, bytes) in [
            ("audit", &audit[..]),
            ("login", login),
            ("answer", answer),
            ("firewall", firewall),
            ("v4", &packets[0]),
            ("v6", &packets[1]),
        ] {
            let input: Vec<u8> = [u8::try_from(pick)?, 0].into_iter().chain(bytes.iter().copied()).collect();
            fs::write(folder.join(format!("{pick}-{name}")), input)?;
        }
    }
    Ok(())
}
