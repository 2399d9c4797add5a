//! A connection that cannot be misused: every clock and every quota is inside it, and so is TLS.

use std::{future::poll_fn, io, mem::MaybeUninit, pin::Pin, sync::Arc, task::ready, time::Duration};

use haldane_core::{Limits, Timeout, TlsFacts};
use haldane_tls::{Acceptor, Engine};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::{Instant, timeout, timeout_at},
};

/// Anything that carries bytes both ways.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {
    /// Makes the next close a reset (RST) where the transport can.
    fn reset_on_close(&self) {}
}

impl Io for tokio::net::TcpStream {
    fn reset_on_close(&self) {
        self.set_zero_linger().ok();
    }
}
impl Io for tokio::io::DuplexStream {}

/// Why no more bytes can be had, or sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Halted {
    /// The peer closed its side.
    Finished,
    /// The connection broke.
    Broken,
    /// A clock ran out.
    Expired(Timeout),
    /// A quota is used up; its name in [`Limits`].
    Spent(&'static str),
    /// TLS came to nothing, for that reason.
    Tls(String),
}

/// A limited, timed, counted connection to one peer.
#[derive(Debug)]
pub struct Conn<T> {
    io: T,
    limits: Limits,
    started: Instant,
    touched: Instant,
    bytes_in: u64,
    bytes_out: u64,
    engine: Option<Box<Engine>>,
    patience: Option<Duration>,
}

/// What becomes of the bytes that came: into the inbox, or into the TLS engine.
type Take<'t> = dyn FnMut(&mut Option<Box<Engine>>, &[u8]) + Send + 't;

/// Bytes read at once. On the stack, and only while a read is under way: idle connections hold no buffer.
const READ: usize = 8 * 1024;
/// How long a peer may take to hear last words.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl<T: Io> Conn<T> {
    /// Takes charge of a connection.
    pub fn new(io: T, limits: Limits) -> Self {
        let now = Instant::now();
        Self {
            io,
            limits,
            started: now,
            touched: now,
            bytes_in: 0,
            bytes_out: 0,
            engine: None,
            patience: None,
        }
    }

    /// The bounds in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Bytes received and sent so far, as they were on the wire.
    pub fn totals(&self) -> (u64, u64) {
        (self.bytes_in, self.bytes_out)
    }

    /// Since when it has been open.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Speaks TLS from here on. `early`: what was received after the request for it. Returns what the client
    /// revealed, once the handshake is done; what it has already said inside TLS is appended to `inbox`.
    ///
    /// # Errors
    /// With what the client revealed, if it got so far as to send its first message.
    pub async fn start_tls(
        &mut self,
        acceptor: &Acceptor,
        early: &[u8],
        inbox: &mut Vec<u8>,
    ) -> Result<Arc<TlsFacts>, (Halted, Option<Arc<TlsFacts>>)> {
        let engine = acceptor.begin().map_err(|error| (Halted::Tls(error.to_string()), None))?;
        let engine = self.engine.insert(Box::new(engine));
        engine.receive(early);
        loop {
            let step = self.decrypt(inbox).await;
            let Some(engine) = &self.engine else { return Err((Halted::Broken, None)) };
            let facts = engine.facts().cloned();
            match step {
                Err(halted) => return Err((halted, facts)),
                Ok(_) if engine.established() => return Ok(facts.unwrap_or_default()),
                Ok(_) => {}
            }
            if let Err(halted) = self
                .receive_raw(&mut |engine, bytes| {
                    if let Some(engine) = engine {
                        engine.receive(bytes);
                    }
                })
                .await
            {
                return Err((halted, facts));
            }
        }
    }

    /// Appends what comes next to `inbox`.
    ///
    /// # Errors
    /// Nothing more will come.
    pub async fn receive(&mut self, inbox: &mut Vec<u8>) -> Result<(), Halted> {
        if self.engine.is_none() {
            return self.receive_raw(&mut |_, bytes| inbox.extend_from_slice(bytes)).await;
        }
        loop {
            let before = inbox.len();
            let closed = self.decrypt(inbox).await?;
            if inbox.len() > before {
                return Ok(());
            }
            if closed {
                return Err(Halted::Finished);
            }
            self.receive_raw(&mut |engine, bytes| {
                if let Some(engine) = engine {
                    engine.receive(bytes);
                }
            })
            .await?;
        }
    }

    /// The same, with less patience than [`Limits::idle`] for once.
    ///
    /// # Errors
    /// Nothing more will come.
    pub async fn receive_within(
        &mut self,
        inbox: &mut Vec<u8>,
        patience: Option<Duration>,
    ) -> Result<(), Halted> {
        self.patience = patience;
        self.receive(inbox).await
    }

    /// Sends.
    ///
    /// # Errors
    /// It cannot be sent whole.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), Halted> {
        self.patience = None;
        match &mut self.engine {
            None => self.send_raw(bytes).await,
            Some(engine) => {
                engine.write(bytes).map_err(|failure| Halted::Tls(failure.0))?;
                let sealed = engine.outgoing();
                self.send_raw(&sealed).await
            }
        }
    }

    /// Sends a few last words after a clock ran out; a peer that does not take them within a second has none.
    pub async fn send_last(&mut self, bytes: &[u8]) {
        self.touched = Instant::now();
        self.limits.idle = LAST_WORDS;
        self.limits.lifetime = self.age().saturating_add(LAST_WORDS);
        self.send(bytes).await.ok();
    }

    /// Hangs up: says goodbye in TLS, closes our side, and for [`Limits::linger`] drops what still comes, so that
    /// our last words are not lost to a reset. May be cut short.
    pub async fn close(&mut self) {
        if let Some(engine) = &mut self.engine {
            engine.close();
            let goodbye = engine.outgoing();
            timeout(LAST_WORDS, self.send_raw(&goodbye)).await.ok();
        }
        self.io.shutdown().await.ok();
        let linger = self.limits.linger;
        if !linger.is_zero() {
            let until = after(Instant::now(), linger);
            while let Ok(Ok(())) = timeout_at(until, self.receive_raw(&mut |_, _| {})).await {}
        }
    }

    /// Makes dropping it tear the connection down (RST).
    pub fn reset(&self) {
        self.io.reset_on_close();
    }

    /// What a TLS handshake that is not finished has revealed so far.
    pub fn revealed(&self) -> Option<Arc<TlsFacts>> {
        self.engine.as_ref().filter(|engine| !engine.established())?.facts().cloned()
    }

    async fn decrypt(&mut self, plain: &mut Vec<u8>) -> Result<bool, Halted> {
        let Some(engine) = &mut self.engine else { return Ok(false) };
        let read = engine.read(plain);
        let outgoing = engine.outgoing();
        if !outgoing.is_empty() {
            self.send_raw(&outgoing).await?;
        }
        read.map_err(|failure| Halted::Tls(failure.0))
    }

    async fn receive_raw(&mut self, take: &mut Take<'_>) -> Result<(), Halted> {
        let left = self.limits.bytes_in.saturating_sub(self.bytes_in);
        if left == 0 {
            return Err(Halted::Spent("bytes_in"));
        }
        let (deadline, which) = self.deadline();
        let (io, engine) = (&mut self.io, &mut self.engine);
        let read = poll_fn(|cx| {
            let mut buffer = [const { MaybeUninit::uninit() }; READ];
            let mut buffer = ReadBuf::uninit(&mut buffer);
            ready!(Pin::new(&mut *io).poll_read(cx, &mut buffer))?;
            take(engine, buffer.filled());
            io::Result::Ok(buffer.filled().len()).into()
        });
        let count = match timeout_at(deadline, read).await {
            Err(_) => return Err(Halted::Expired(which)),
            Ok(Err(_)) => return Err(Halted::Broken),
            Ok(Ok(0)) => return Err(Halted::Finished),
            Ok(Ok(count)) => count,
        };
        self.bytes_in = self.bytes_in.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        self.touched = Instant::now();
        Ok(())
    }

    async fn send_raw(&mut self, bytes: &[u8]) -> Result<(), Halted> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let sent = self.bytes_out.saturating_add(length);
        if sent > self.limits.bytes_out {
            return Err(Halted::Spent("bytes_out"));
        }
        let (deadline, which) = self.deadline();
        match timeout_at(deadline, self.io.write_all(bytes)).await {
            Err(_) => return Err(Halted::Expired(which)),
            Ok(Err(_)) => return Err(Halted::Broken),
            Ok(Ok(())) => {}
        }
        self.bytes_out = sent;
        self.touched = Instant::now();
        Ok(())
    }

    fn deadline(&self) -> (Instant, Timeout) {
        let idle = self.patience.map_or(self.limits.idle, |patience| patience.min(self.limits.idle));
        let (idle, lifetime) = (after(self.touched, idle), after(self.started, self.limits.lifetime));
        if idle < lifetime { (idle, Timeout::Idle) } else { (lifetime, Timeout::Lifetime) }
    }
}

fn after(now: Instant, delay: Duration) -> Instant {
    now.checked_add(delay).unwrap_or(now)
}
