//! Counts who is being served: in all, for each service, for each source of it.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use haldane_core::Limits;

/// Connections served by the whole process. Its bound follows from the descriptors that the process may open.
#[derive(Debug)]
pub struct Total {
    served: AtomicUsize,
    most: usize,
}

impl Total {
    /// At most that many at once.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { served: AtomicUsize::new(0), most })
    }

    /// How many are being served.
    pub fn served(&self) -> usize {
        self.served.load(Ordering::Relaxed)
    }
}

/// Connections served by one service.
#[derive(Debug)]
pub struct Admission {
    total: Arc<Total>,
    here: Mutex<Here>,
}

#[derive(Debug, Default)]
struct Here {
    served: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// The right to be served. Returned on drop, whoever drops it.
#[derive(Debug)]
pub struct Permit {
    from: Arc<Admission>,
    source: IpAddr,
}

impl Admission {
    /// Nobody is served yet.
    pub fn new(total: Arc<Total>) -> Arc<Self> {
        Arc::new(Self { total, here: Mutex::default() })
    }

    /// Admits a source, or says which limit is in the way.
    ///
    /// # Errors
    /// The name of the limit.
    pub fn admit(self: &Arc<Self>, source: IpAddr, limits: &Limits) -> Result<Permit, &'static str> {
        let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        if here.served >= limits.connections {
            return Err("connections");
        }
        if here.by_source.get(&source).copied().unwrap_or_default() >= limits.per_peer {
            return Err("per_peer");
        }
        if self.total.served.fetch_add(1, Ordering::Relaxed) >= self.total.most {
            self.total.served.fetch_sub(1, Ordering::Relaxed);
            return Err("total");
        }
        here.served = here.served.saturating_add(1);
        let mine = here.by_source.entry(source).or_default();
        *mine = mine.saturating_add(1);
        Ok(Permit { from: Arc::clone(self), source })
    }

    /// How many are being served.
    pub fn served(&self) -> usize {
        self.here.lock().unwrap_or_else(PoisonError::into_inner).served
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut here = self.from.here.lock().unwrap_or_else(PoisonError::into_inner);
        here.served = here.served.saturating_sub(1);
        if let Some(mine) = here.by_source.get_mut(&self.source) {
            *mine = mine.saturating_sub(1);
            if *mine == 0 {
                here.by_source.remove(&self.source);
            }
        }
        self.from.total.served.fetch_sub(1, Ordering::Relaxed);
    }
}
