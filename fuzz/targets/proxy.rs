//! See [`haldane_fuzz::proxy`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| haldane_fuzz::proxy(bytes));
