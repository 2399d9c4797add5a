//! What several protocols share and none owns.

pub mod ber;
pub mod directives;
pub mod ntlm;
pub mod ntlm_key;
pub mod spnego;
pub mod text;
pub mod vnc;
