//! See [`haldane_fuzz::smb`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| haldane_fuzz::smb(bytes));
