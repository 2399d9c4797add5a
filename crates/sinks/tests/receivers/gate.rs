//! A door before a receiver, in which a test lets happen what happens to receivers.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::Duration,
};

use super::free_port;

/// What becomes of who comes to the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Nothing listens.
    Closed,
    /// Connections are taken, and nothing is read or said.
    Hangs,
    /// Connections are taken and closed.
    Cuts,
    /// The receiver is behind it.
    Open,
}

struct Inside {
    door: Door,
    behind: u16,
    /// Connections that are open, to be reset when the door changes.
    open: Vec<TcpStream>,
    /// What came through to the receiver.
    came: Vec<u8>,
}

/// The door and the port that it is at, always the same.
#[derive(Clone)]
pub struct Gate {
    pub port: u16,
    inside: Arc<Mutex<Inside>>,
}

impl Gate {
    /// An open door.
    pub fn before(behind: u16) -> Self {
        let inside = Inside { door: Door::Closed, behind, open: Vec::new(), came: Vec::new() };
        let gate = Self { port: free_port(), inside: Arc::new(Mutex::new(inside)) };
        gate.set(Door::Open);
        gate
    }

    fn look(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap()
    }

    /// Ends every connection and goes on so.
    pub fn set(&self, door: Door) {
        let before = {
            let mut inside = self.look();
            inside.open.drain(..).for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
            std::mem::replace(&mut inside.door, door)
        };
        match (before, door) {
            (Door::Closed, Door::Closed) => {}
            (Door::Closed, _) => self.listen(),
            // The thread that listens sees it and ends; until then the port is not free.
            (_, Door::Closed) => while TcpStream::connect(("127.0.0.1", self.port)).is_ok() {},
            _ => {}
        }
    }

    fn listen(&self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let gate = self.clone();
        thread::spawn(move || {
            while gate.look().door != Door::Closed {
                match listener.accept() {
                    Ok((stream, _)) => gate.take(stream),
                    Err(_) => thread::sleep(Duration::from_millis(5)),
                }
            }
        });
    }

    fn take(&self, near: TcpStream) {
        near.set_nonblocking(false).unwrap();
        let mut inside = self.look();
        match inside.door {
            Door::Closed | Door::Cuts => {}
            Door::Hangs => inside.open.push(near),
            Door::Open => {
                let Ok(far) = TcpStream::connect(("127.0.0.1", inside.behind)) else { return };
                inside.open.extend([near.try_clone().unwrap(), far.try_clone().unwrap()]);
                let (from, to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                let gate = self.clone();
                thread::spawn(move || pass(from, to, |bytes| gate.look().came.extend_from_slice(bytes)));
                thread::spawn(move || pass(far, near, |_| ()));
            }
        }
    }

    /// What came through so far; it is forgotten with that.
    pub fn came(&self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.look().came)).into_owned()
    }

    /// Whether that is in what came through.
    pub fn has(&self, part: &str) -> bool {
        self.look().came.windows(part.len()).any(|window| window == part.as_bytes())
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, see: impl Fn(&[u8])) {
    let mut bytes = vec![0; 65_536];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        see(&bytes[..count]);
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
