//! The way to a receiver over HTTP, told step by step: which addresses its name has, that there is a connection, and
//! what TLS was agreed on. TLS is that of [`crate::trust`] rather than the HTTP client's own, so that there is one.

use std::{
    fmt,
    io::{Read, Write},
    sync::Arc,
};

use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};
use ureq::{
    Error,
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::{
            Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
            TransportAdapter,
        },
    },
};

use crate::step;

/// Finds addresses as usual, and tells them.
#[derive(Debug, Default)]
pub(super) struct Told(DefaultResolver);

impl Resolver for Told {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let found = self.0.resolve(uri, config, timeout)?;
        step::resolved(bare(uri), &found);
        Ok(found)
    }
}

/// Tells that there is a connection.
#[derive(Debug)]
pub(super) struct Connected;

impl<In: Transport> Connector<In> for Connected {
    type Out = In;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<In>, Error> {
        if chained.is_some() {
            let host = details.uri.host().unwrap_or_default();
            let port = details.uri.port_u16().unwrap_or(if details.needs_tls() { 443 } else { 80 });
            match details.config.proxy() {
                Some(proxy) => {
                    let (by, at) = (proxy.host(), proxy.port());
                    step::step(format_args!("connected to {host}:{port} through the proxy {by}:{at}"));
                }
                None => step::step(format_args!("connected to {host}:{port} (TCP)")),
            }
        }
        Ok(chained)
    }
}

/// Makes connections for https secure.
pub(super) struct Secure {
    /// How.
    pub(super) tls: Arc<ClientConfig>,
    /// Whether the receiver's certificate is looked at.
    pub(super) verifies: bool,
}

impl fmt::Debug for Secure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secure").field("verifies", &self.verifies).finish_non_exhaustive()
    }
}

impl<In: Transport> Connector<In> for Secure {
    type Out = Either<In, Secured>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let Some(transport) = chained else { return Ok(None) };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let name = ServerName::try_from(bare(details.uri).to_owned());
        let name = name.map_err(|_| Error::Tls("the host is no name that a certificate can hold"))?;
        let mut connection = ClientConnection::new(Arc::clone(&self.tls), name)?;
        let boxed: Box<dyn Transport> = Box::new(transport);
        let mut adapter = TransportAdapter::new(boxed, Arc::clone(&details.current_time));
        adapter.set_timeout(details.timeout);
        connection.complete_io(&mut adapter)?;
        step::encrypted(connection.protocol_version(), self.verifies);
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(Either::B(Secured { buffers, stream: StreamOwned::new(connection, adapter) })))
    }
}

/// A connection over TLS.
pub(super) struct Secured {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secured").finish_non_exhaustive()
    }
}

impl Transport for Secured {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.get_mut().set_timeout(timeout);
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        Ok(self.stream.write_all(output)?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.get_mut().set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

/// The host without the brackets of IPv6.
fn bare(uri: &Uri) -> &str {
    let host = uri.host().unwrap_or_default();
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}
