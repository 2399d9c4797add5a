//! What a client says in the same segment as the end of its TLS handshake is not lost.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may panic, and spawns its own tasks"
)]

use std::{
    io::{self, Read, Write},
    time::Duration,
};

use haldane_core::Limits;
use haldane_net::Conn;
use haldane_tls::{Acceptor, Identity, Names};
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

/// The client's side of the line, which a test empties and fills.
#[derive(Default, Debug)]
struct Line {
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.incoming.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = Read::read(&mut self.incoming.as_slice(), buffer)?;
        self.incoming.drain(..count);
        Ok(count)
    }
}

impl Write for Line {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.outgoing.extend_from_slice(buffer);
        Ok(buffer.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_follows_the_handshake_in_one_segment_reaches_the_session() {
    let (mut client, server) = duplex(64 * 1024);
    let names = Names { common: "files01".into() };
    let acceptor = Acceptor::new(&Identity::self_signed(&names, Duration::ZERO).unwrap()).unwrap();
    let decoy = tokio::spawn(async move {
        let mut conn = Conn::new(server, Limits::DEFAULT);
        let mut inbox = Vec::new();
        conn.start_tls(&acceptor, &[], &mut inbox).await.unwrap();
        inbox
    });

    let mut connector = SslConnector::builder(SslMethod::tls_client()).unwrap();
    connector.set_verify(SslVerifyMode::NONE);
    let mut stream = connector.build().connect("files01", Line::default());
    let mut stream = loop {
        match stream {
            Ok(stream) => break stream,
            Err(openssl::ssl::HandshakeError::WouldBlock(mut half)) => {
                client.write_all(&std::mem::take(&mut half.get_mut().outgoing)).await.unwrap();
                let mut buffer = [0; 16 * 1024];
                let count = client.read(&mut buffer).await.unwrap();
                half.get_mut().incoming.extend_from_slice(buffer.get(..count).unwrap());
                stream = half.handshake();
            }
            Err(error) => panic!("{error}"),
        }
    };
    stream.write_all(b"login").unwrap();
    client.write_all(&stream.get_mut().outgoing).await.unwrap();
    assert_eq!(decoy.await.unwrap(), b"login");
}
