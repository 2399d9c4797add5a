//! What several protocols share and none owns.

pub mod ber;
pub mod text;
