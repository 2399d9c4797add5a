//! What a session does that it must not: panic. It ends with its conversation, and the log says so.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    task::Poll,
};

use haldane_core::{Cx, Effects, Sighting, Untrusted};
use tracing::error;
use uuid::Uuid;

use crate::{Reporter, kinds::MALFORMED, now, report::System};

/// What a panic leaves behind.
pub(crate) type Panic = Box<dyn Any + Send>;

/// Bytes that are kept of what was not understood.
pub(crate) const EXCERPT: usize = 256;

/// The first bytes, as evidence.
pub(crate) fn excerpt(bytes: &[u8]) -> Untrusted {
    Untrusted::new(bytes.get(..EXCERPT).unwrap_or(bytes))
}

/// Somebody broke the protocol, or us: `bytes` is what came.
pub(crate) fn malformed(why: &'static str, bytes: &[u8]) -> Sighting {
    Sighting::of(&MALFORMED).with("why", why).with("excerpt", excerpt(bytes))
}

/// Runs a future so that a panic in it is a value. Pinned by the caller: a task that holds it holds it once.
pub(crate) fn unwinding<R>(
    mut future: Pin<&mut impl Future<Output = R>>,
) -> impl Future<Output = Result<R, Panic>> {
    std::future::poll_fn(move |cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(result)) => Poll::Ready(Ok(result)),
        Err(panic) => Poll::Ready(Err(panic)),
    })
}

/// Calls into a service. What it had done before a panic is not lost.
pub(crate) fn call<R>(
    reporter: &Reporter,
    act: impl FnOnce(&mut Cx<'_>) -> R,
) -> (Result<R, Panic>, Effects) {
    let mut effects = Effects::default();
    let mut random = System;
    let mut cx = Cx::new(reporter.peer(), now(), reporter.tls(), &mut random, &mut effects);
    let result = catch_unwind(AssertUnwindSafe(|| act(&mut cx)));
    (result, effects)
}

/// Says it in the log: the first time and then ever more rarely, because whoever found it may do it again.
pub(crate) fn log(service: &str, session: Uuid, panic: Option<&Panic>) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed).saturating_add(1);
    if count.is_power_of_two() {
        let text = panic.map_or("a message of no bytes", |panic| text(panic.as_ref()));
        // It may quote the peer.
        let text = Untrusted::from(text);
        error!(%session, service, %text, count, "a session failed: this is a bug");
    }
}

/// What a panic says. It may quote a peer: to be printed as [`Untrusted`].
pub fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text")
}
