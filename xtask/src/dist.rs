//! What is handed out: both programs, each one file that needs no library of the machine, and the systemd unit.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds it into `target/dist`.
pub fn run() -> Result<()> {
    let arguments = ["build", "--release", "--locked", "--package", "haldane", "--target", TARGET];
    println!("$ RUSTFLAGS=\"-C target-feature=+crt-static\" cargo {}", arguments.join(" "));
    let status = Command::new("cargo")
        .args(arguments)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .status()
        .context("cargo")?;
    ensure!(status.success(), "failed: cargo build");
    let folder = Path::new("target/dist");
    fs::create_dir_all(folder)?;
    for program in ["haldane", "opencanaryd"] {
        let built = Path::new("target").join(TARGET).join("release").join(program);
        let content = fs::read(&built).with_context(|| built.display().to_string())?;
        ensure!(!wants_interpreter(&content)?, "{} is not static", built.display());
        fs::copy(&built, folder.join(program))?;
    }
    fs::copy("contrib/haldane.service", folder.join("haldane.service"))?;
    println!("target/dist: haldane, opencanaryd, haldane.service");
    Ok(())
}

/// Whether a 64-bit little-endian ELF file has a program header of type `PT_INTERP` (elf(5)): the loader then finds
/// its libraries.
fn wants_interpreter(elf: &[u8]) -> Result<bool> {
    let number = |at: usize, length: usize| -> Result<usize> {
        let bytes = elf.get(at..at + length).context("not a whole ELF file")?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    };
    ensure!(elf.starts_with(b"\x7fELF\x02\x01"), "not an ELF file of this machine");
    // e_phoff, e_phentsize, e_phnum; p_type is the first member of each header.
    let (headers, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    const PT_INTERP: usize = 3;
    for header in 0..count {
        if number(headers + header * size, 4)? == PT_INTERP {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_needs_libraries_is_told_from_others() {
        let shell = fs::read("/bin/sh").unwrap();
        assert!(wants_interpreter(&shell).unwrap());
        assert!(wants_interpreter(b"#!/bin/sh").is_err());
        let mut none = shell;
        none[56..58].fill(0);
        assert!(!wants_interpreter(&none).unwrap());
    }
}
