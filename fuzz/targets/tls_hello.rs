//! See [`haldane_fuzz::tls_hello`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| haldane_fuzz::tls_hello(bytes));
