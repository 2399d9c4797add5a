//! Every kind of event that this program can report, from the registries and from its parts.

use std::sync::Arc;

use haldane_core::{Kind, Kinds};

/// All of them. `https` shares those of `http`; each is there once.
pub fn all() -> impl Iterator<Item = &'static Kind> {
    let services = haldane_services::ALL.iter().flat_map(|entry| entry.kinds.iter());
    let parts = [
        haldane_net::KINDS,
        haldane_store::KINDS,
        haldane_pipeline::KINDS,
        haldane_sinks::KINDS,
        crate::daemon::kinds::KINDS,
        crate::daemon::actions::kinds::KINDS,
    ];
    services.chain(parts.into_iter().flatten()).copied()
}

/// The same, to be found by number.
pub fn table() -> Arc<Kinds> {
    Arc::new(Kinds::new(all()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn no_number_and_no_name_is_used_twice_in_the_whole_program() {
        let (mut numbers, mut names) = (HashMap::new(), HashMap::new());
        for kind in all().chain([&haldane_core::kind::UNKNOWN]) {
            let address = std::ptr::from_ref(kind);
            assert_eq!(*numbers.entry(kind.number).or_insert(address), address, "{}", kind.name);
            assert_eq!(*names.entry(kind.name).or_insert(address), address, "{}", kind.name);
        }
    }
}
