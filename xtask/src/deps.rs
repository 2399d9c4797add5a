//! Dependencies are the proof of invariants: who must not do I/O has no runtime in its tree; sinks know no
//! services, services no sockets.

use std::{collections::BTreeMap, process::Command};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// What each crate may depend on, of ours.
const OURS: &[(&str, &[&str])] = &[
    ("haldane-core", &[]),
    ("haldane-wire", &["haldane-core"]),
    ("haldane-tls", &["haldane-core", "haldane-wire"]),
    ("haldane-services", &["haldane-core", "haldane-wire", "haldane-tls"]),
    ("haldane-net", &["haldane-core", "haldane-tls"]),
    ("haldane-pipeline", &["haldane-core", "haldane-wire"]),
    ("haldane-store", &["haldane-core"]),
    ("haldane-sinks", &["haldane-core"]),
];

/// Crates that must not appear, however deep, in the tree of what is pure.
const RUNTIMES: &[&str] = &["tokio", "mio", "socket2", "async-std"];
const PURE: &[&str] =
    &["haldane-core", "haldane-wire", "haldane-services", "haldane-pipeline", "haldane-tls"];

/// Checks them.
pub fn run() -> Result<()> {
    let output = Command::new("cargo").args(["metadata", "--format-version=1", "--locked"]).output()?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let mut wrong = Vec::new();
    let direct = direct(&metadata);
    for (name, allowed) in OURS {
        let found = direct.get(*name).with_context(|| format!("no crate {name}"))?;
        let ours = found.iter().filter(|dependency| dependency.starts_with("haldane-"));
        wrong.extend(
            ours.filter(|dep| !allowed.contains(&dep.as_str())).map(|dep| format!("{name} -> {dep}")),
        );
    }
    for name in PURE {
        let tree =
            Command::new("cargo").args(["tree", "-p", name, "-e", "normal", "--prefix", "none"]).output()?;
        let tree = String::from_utf8(tree.stdout)?;
        let crates = tree.lines().filter_map(|line| line.split_whitespace().next());
        wrong.extend(
            crates.filter(|found| RUNTIMES.contains(found)).map(|found| format!("{name} ->> {found}")),
        );
    }
    ensure!(wrong.is_empty(), "dependencies that must not be:\n  {}", wrong.join("\n  "));
    println!("dependencies point the right way");
    Ok(())
}

/// Normal dependencies of each member of the workspace, by name.
fn direct(metadata: &Value) -> BTreeMap<String, Vec<String>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let of = |package: &Value| {
        let normal =
            list(&package["dependencies"]).into_iter().filter(|dependency| dependency["kind"].is_null());
        normal.map(|dependency| text(dependency.get("name").unwrap_or(&Value::Null))).collect()
    };
    list(&metadata["packages"]).iter().map(|package| (text(&package["name"]), of(package))).collect()
}
