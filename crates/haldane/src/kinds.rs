//! Every kind of event that this program can report, from the registries and from its parts.

use std::sync::Arc;

use haldane_core::{Kind, Kinds};

/// All of them. `https` shares those of `http`; each is there once.
pub fn all() -> impl Iterator<Item = &'static Kind> {
    let services = haldane_services::ALL.iter().flat_map(|entry| entry.kinds.iter());
    let parts =
        [haldane_net::KINDS, haldane_store::KINDS, haldane_pipeline::KINDS, crate::daemon::kinds::KINDS];
    services.chain(parts.into_iter().flatten()).copied().chain([&crate::cli::alert::TEST])
}

/// The same, to be found by number.
pub fn table() -> Arc<Kinds> {
    Arc::new(Kinds::new(all()))
}
