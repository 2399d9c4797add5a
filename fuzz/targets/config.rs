//! See [`haldane_fuzz::config`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| haldane_fuzz::config(bytes));
