//! See [`haldane_fuzz::sessions`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| haldane_fuzz::sessions(bytes));
