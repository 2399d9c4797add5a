//! What several protocols share and none owns.

pub mod ntlm;
pub mod text;
