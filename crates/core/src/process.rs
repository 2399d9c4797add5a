//! What the store asks about each event before it keeps it, and what it keeps on behalf of whoever answers: the
//! pipeline, as seen by the store.

use std::{net::IpAddr, time::SystemTime};

use crate::{Event, Peer, Severity, Sighting};

/// Completes events, draws conclusions from them, and remembers some of that across restarts. One thread calls, and
/// no call may wait. All but [`Self::take`] may be left out.
pub trait Process: Send {
    /// Completes one event. What follows from it is added to `news`: it is stored right behind the event, in the same
    /// transaction.
    fn take(&mut self, event: &mut Event, news: &mut Vec<News>);

    /// The credentials of an event that was taken before are a honey-credential, as was found only now.
    fn confirmed(&mut self, event: &Event, news: &mut Vec<News>) {
        let _ = (event, news);
    }

    /// When to call [`Self::tick`] if nothing happens before.
    fn due(&self) -> Option<SystemTime> {
        None
    }

    /// What is due by now.
    fn tick(&mut self, now: SystemTime, news: &mut Vec<News>) {
        let _ = (now, news);
    }

    /// What is to be kept of the conclusions and has changed: asked at the end of each transaction, and written with
    /// it. Need not be everything that has changed, so that a busy incident is not written with each of its events;
    /// what is missing is told again after a crash, see [`Self::again`].
    fn unsaved(&mut self, now: SystemTime) -> Unsaved {
        let _ = now;
        Unsaved::default()
    }

    /// At the start: a [`Saved::state`] that was open.
    fn restore(&mut self, state: &[u8]) {
        let _ = state;
    }

    /// At the start, after [`Self::restore`]: an event that was taken before, and that a saved state does not contain.
    fn again(&mut self, event: &Event) {
        let _ = event;
    }
}

impl<F: FnMut(&mut Event) + Send> Process for F {
    fn take(&mut self, event: &mut Event, _: &mut Vec<News>) {
        self(event);
    }
}

/// What follows from events, not yet stamped.
#[derive(Debug, Clone, PartialEq)]
pub struct News {
    /// What.
    pub seen: Sighting,
    /// Whom it is about.
    pub peer: Option<Peer>,
    /// Which incident.
    pub incident: u64,
    /// When it became known.
    pub at: SystemTime,
}

/// See [`Process::unsaved`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unsaved {
    /// What has changed.
    pub incidents: Vec<Saved>,
    /// Whether that is all that had changed: nothing up to now need be told again.
    pub complete: bool,
}

/// An incident as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// Its number.
    pub number: u64,
    /// Whose it is; none if there are many.
    pub source: Option<IpAddr>,
    /// Its first event.
    pub first: SystemTime,
    /// Its last event.
    pub last: SystemTime,
    /// That of its most severe event.
    pub severity: Severity,
    /// Whether it goes on.
    pub open: bool,
    /// Everything, in a form that [`Process::restore`] takes. Empty: nobody was told of it, so forget it.
    pub state: Vec<u8>,
}
