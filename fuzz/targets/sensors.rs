//! See [`haldane_fuzz::sensors`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| haldane_fuzz::sensors(bytes));
