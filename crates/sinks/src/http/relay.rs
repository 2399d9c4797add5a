//! Plain HTTP through an HTTP proxy: the request goes to the proxy and names the whole address (RFC 9112,
//! section 3.2.2). The HTTP client itself would ask the proxy for a tunnel, which proxies commonly refuse for
//! other ports than that of https.

use ureq::{
    Agent, Error, Proxy,
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::{Buffers, ConnectionDetails, Connector, NextTimeout, TcpConnector, Transport},
    },
};

/// A client whose every request goes to that proxy. Connections are not kept.
pub(super) fn client(like: &Config, proxy: &Proxy) -> Result<Agent, Error> {
    let address = format!("http://{}:{}", proxy.host(), proxy.port()).parse::<Uri>();
    let address = address.map_err(|error| Error::BadUri(error.to_string()))?;
    let connector = ().chain(TcpConnector::default()).chain(WholeAddress);
    Ok(Agent::with_parts(like.clone(), connector, ToProxy(address)))
}

/// Finds the proxy whatever it is asked for.
#[derive(Debug)]
struct ToProxy(Uri);

impl Resolver for ToProxy {
    fn resolve(&self, _: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        DefaultResolver::default().resolve(&self.0, config, timeout)
    }
}

/// Makes connections that put scheme and host before the path of the first request.
#[derive(Debug)]
struct WholeAddress;

impl<In: Transport> Connector<In> for WholeAddress {
    type Out = Relayed<In>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let scheme = details.uri.scheme_str().unwrap_or("http");
        let host = details.uri.authority().map(|host| host.as_str()).unwrap_or_default();
        Ok(chained.map(|inner| Relayed { inner, address: Some(format!("{scheme}://{host}")) }))
    }
}

#[derive(Debug)]
struct Relayed<In> {
    inner: In,
    /// Until the first bytes are sent.
    address: Option<String>,
}

impl<In: Transport> Transport for Relayed<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let Some(address) = self.address.take() else {
            return self.inner.transmit_output(amount, timeout);
        };
        let sent = self.inner.buffers().output().get(..amount).unwrap_or_default().to_vec();
        let method = sent.iter().position(|byte| *byte == b' ').map_or(0, |blank| blank.saturating_add(1));
        let (method, rest) = sent.split_at_checked(method).unwrap_or((&[], &sent));
        let whole = [method, address.as_bytes(), rest].concat();
        let room = self.inner.buffers().output().len().max(1);
        for part in whole.chunks(room) {
            if let Some(output) = self.inner.buffers().output().get_mut(..part.len()) {
                output.copy_from_slice(part);
            }
            self.inner.transmit_output(part.len(), timeout)?;
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.inner.await_input(timeout)
    }

    /// The next request would lack the address: never used again.
    fn is_open(&mut self) -> bool {
        false
    }
}
