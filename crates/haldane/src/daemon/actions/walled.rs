//! Who is in a set, and until when: so that it is told when the time is over, after a restart, too. It is the kernel
//! that lets them go; this only says so.

use std::{
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use haldane_net::now;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tracing::warn;

/// As many are remembered. What is more is let go without a word.
const MOST: usize = 4096;
/// A file that long is ours.
const LONGEST: u64 = 4 << 20;

/// One source in one set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walled {
    /// Who.
    pub source: IpAddr,
    /// In which set, in the words of the configuration.
    pub set: String,
    /// By which action.
    pub action: String,
    /// For which incident.
    pub incident: Option<u64>,
    /// Until when.
    pub until: SystemTime,
}

/// All of them.
#[derive(Debug, Clone)]
pub struct Yard {
    walled: Arc<Mutex<Vec<Walled>>>,
    changed: Arc<Notify>,
    file: Arc<PathBuf>,
}

impl Yard {
    /// Goes on with what that file says.
    pub fn open(file: PathBuf) -> Self {
        let text = match std::fs::metadata(&file) {
            Ok(about) if about.len() <= LONGEST => std::fs::read(&file).unwrap_or_default(),
            _ => Vec::new(),
        };
        let walled = serde_json::from_slice::<Vec<Value>>(&text).unwrap_or_default();
        let walled = walled.iter().take(MOST).filter_map(read).collect();
        Self { walled: Arc::new(Mutex::new(walled)), changed: Arc::default(), file: Arc::new(file) }
    }

    /// One more, or the same for longer.
    pub fn add(&self, new: Walled) {
        let mut walled = self.locked();
        walled.retain(|old| (old.source, &old.set) != (new.source, &new.set));
        if walled.len() < MOST {
            walled.push(new);
        }
        self.save(&walled);
        drop(walled);
        self.changed.notify_one();
    }

    /// Waits for the next whose time is over. Nothing is lost if it is not waited for to the end.
    pub async fn next(&self) -> Walled {
        loop {
            let due = self.locked().iter().map(|walled| walled.until).min();
            let now = now();
            match due {
                Some(due) if due <= now => {
                    let mut walled = self.locked();
                    if let Some(at) = walled.iter().position(|walled| walled.until == due) {
                        let over = walled.swap_remove(at);
                        self.save(&walled);
                        return over;
                    }
                }
                due => {
                    let left = due.and_then(|due| due.duration_since(now).ok());
                    let wait = left.unwrap_or(Duration::from_secs(3600));
                    tokio::time::timeout(wait, self.changed.notified()).await.ok();
                }
            }
        }
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Walled>> {
        self.walled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save(&self, walled: &[Walled]) {
        let text = Value::from(walled.iter().map(write).collect::<Vec<_>>()).to_string();
        let new = self.file.with_extension("new");
        let saved = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, self.file.as_path()));
        if let Err(error) = saved {
            warn!(%error, "cannot remember who is to be released");
        }
    }
}

fn write(walled: &Walled) -> Value {
    let until = walled.until.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    json!({
        "source": walled.source.to_string(), "set": walled.set, "action": walled.action,
        "incident": walled.incident, "until": until,
    })
}

fn read(value: &Value) -> Option<Walled> {
    let text = |key: &str| value.get(key)?.as_str().map(str::to_owned);
    Some(Walled {
        source: text("source")?.parse().ok()?,
        set: text("set")?,
        action: text("action")?,
        incident: value.get("incident").and_then(Value::as_u64),
        until: UNIX_EPOCH.checked_add(Duration::from_secs(value.get("until")?.as_u64()?))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walled(source: &str, until: u64) -> Walled {
        let until = UNIX_EPOCH.checked_add(Duration::from_secs(until)).unwrap();
        let (set, action) = ("ipset walled".to_owned(), "1".to_owned());
        Walled { source: source.parse().unwrap(), set, action, incident: Some(7), until }
    }

    #[tokio::test]
    async fn who_is_due_is_told_once_also_after_a_restart_and_whatever_the_file_holds() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("walled.json");
        let yard = Yard::open(file.clone());
        let far = 1 << 40;
        yard.add(walled("192.0.2.9", 2));
        yard.add(walled("192.0.2.7", 1));
        yard.add(walled("192.0.2.9", 3));
        yard.add(walled("192.0.2.8", far));
        let yard = Yard::open(file.clone());
        assert_eq!(yard.next().await, walled("192.0.2.7", 1));
        let yard = Yard::open(file.clone());
        assert_eq!(yard.next().await, walled("192.0.2.9", 3));
        let rest = Yard::open(file.clone());
        assert_eq!(*rest.locked(), [walled("192.0.2.8", far)]);
        for damaged in ["", "{}", "[1, {\"source\": \"x\"}]", "[[[["] {
            std::fs::write(&file, damaged).unwrap();
            assert!(Yard::open(file.clone()).locked().is_empty(), "{damaged}");
        }
    }
}
