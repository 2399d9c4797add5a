//! How the binaries are linked.

fn main() {
    // A megabyte of relative relocations becomes a few kilobytes: less to read at start, less to keep in memory.
    // A linker that does not know the option says so and goes on.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
