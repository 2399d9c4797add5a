//! See [`haldane_fuzz::encoders`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| haldane_fuzz::encoders(bytes));
