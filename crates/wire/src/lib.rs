//! What several protocols share and none owns.

pub mod text;
pub mod vnc;
