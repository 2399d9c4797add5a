//! One task for each sink, one cursor for each sink: a dead sink delays nobody but itself.

use std::sync::Arc;

use haldane_core::Journal;

use crate::{Sink, delivery::Delivery, sink::Signals};

/// Delivers from the sink's cursor on until stopped.
pub async fn run<S: Sink>(_sink: S, _delivery: Delivery, _journal: Arc<dyn Journal>, _signals: Signals) {}
