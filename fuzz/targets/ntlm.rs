//! See [`haldane_fuzz::ntlm`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| haldane_fuzz::ntlm(bytes));
