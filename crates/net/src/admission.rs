//! Counts who is being served: in all and for each source, by one service and by the whole process.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use haldane_core::Limits;

/// Room for connections. That of the whole process follows from the descriptors that it may open.
#[derive(Debug)]
pub struct Room(Mutex<Taken>);

#[derive(Debug)]
struct Taken {
    served: usize,
    by_source: HashMap<IpAddr, usize>,
    most: usize,
    per_source: usize,
}

/// Which bound is in the way.
enum Full {
    Altogether,
    ForSource,
}

impl Room {
    /// For so many connections in all, and so many of each source.
    pub fn new(most: usize, per_source: usize) -> Self {
        Self(Mutex::new(Taken { served: 0, by_source: HashMap::new(), most, per_source }))
    }

    /// Changes the bounds. Whoever is being served stays.
    pub fn resize(&self, most: usize, per_source: usize) {
        let mut taken = self.taken();
        (taken.most, taken.per_source) = (most, per_source);
    }

    /// How many are being served.
    pub fn served(&self) -> usize {
        self.taken().served
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, source: Option<IpAddr>) -> Result<(), Full> {
        let mut taken = self.taken();
        if taken.served >= taken.most {
            return Err(Full::Altogether);
        }
        if let Some(source) = source {
            taken.count(source)?;
        }
        taken.served = taken.served.saturating_add(1);
        Ok(())
    }

    fn leave(&self, source: Option<IpAddr>) {
        let mut taken = self.taken();
        taken.served = taken.served.saturating_sub(1);
        if let Some(source) = source {
            taken.discount(source);
        }
    }
}

impl Taken {
    fn count(&mut self, source: IpAddr) -> Result<(), Full> {
        let so_far = self.by_source.get(&source).copied().unwrap_or_default();
        if so_far >= self.per_source {
            return Err(Full::ForSource);
        }
        self.by_source.insert(source, so_far.saturating_add(1));
        Ok(())
    }

    fn discount(&mut self, source: IpAddr) {
        if let Some(count) = self.by_source.get_mut(&source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_source.remove(&source);
            }
        }
    }
}

/// Who is served by one service.
#[derive(Debug)]
pub struct Admission {
    here: Room,
    process: Arc<Room>,
}

/// The right to be served. Returned on drop, whoever drops it.
#[derive(Debug)]
pub struct Permit {
    from: Arc<Admission>,
    source: Option<IpAddr>,
}

impl Admission {
    /// Nobody is served yet.
    pub fn new(process: Arc<Room>, limits: &Limits) -> Arc<Self> {
        Arc::new(Self { here: Room::new(limits.connections, limits.per_peer), process })
    }

    /// Admits a source, or somebody who has yet to be named ([`Permit::name`]).
    ///
    /// # Errors
    /// The name of the limit that is in the way.
    pub fn admit(self: &Arc<Self>, source: Option<IpAddr>) -> Result<Permit, &'static str> {
        self.here.enter(source).map_err(here)?;
        if let Err(full) = self.process.enter(source) {
            self.here.leave(source);
            return Err(process(full));
        }
        Ok(Permit { from: Arc::clone(self), source })
    }
}

impl Permit {
    /// Names the source of somebody who was admitted without.
    ///
    /// # Errors
    /// As [`Admission::admit`].
    pub fn name(&mut self, source: IpAddr) -> Result<(), &'static str> {
        if self.source.is_some() {
            return Ok(());
        }
        self.from.here.taken().count(source).map_err(here)?;
        if let Err(full) = self.from.process.taken().count(source) {
            self.from.here.taken().discount(source);
            return Err(process(full));
        }
        self.source = Some(source);
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.from.here.leave(self.source);
        self.from.process.leave(self.source);
    }
}

fn here(full: Full) -> &'static str {
    match full {
        Full::Altogether => "connections",
        Full::ForSource => "per_peer",
    }
}

fn process(full: Full) -> &'static str {
    match full {
        Full::Altogether => "total",
        Full::ForSource => "per_source",
    }
}
