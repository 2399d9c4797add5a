//! x
use haldane_core::{Problem, Table};
/// x
pub fn translate(_table: &Table, _remarks: &mut Vec<Problem>) -> Table {
    Table::default()
}
