//! Lines of JSON over TCP, as OpenCanary's SocketJSONHandler sends them, with TLS if wanted: for Logstash, Vector,
//! Fluent Bit, netcat and whatever else takes lines.
//!
//! There are no acknowledgements; what may be lost with a connection is sent again on the next.

use haldane_core::{Notify, Record, Section, Severity, Wants};

use crate::{
    Failure, Sender, Sink,
    encode::Layout,
    link::{Answers, Courier, Far, REFUSAL},
};

/// A receiver of lines.
#[derive(Debug)]
pub struct Tcp {
    far: Far,
    layout: Layout,
    courier: Courier,
}

impl Sink for Tcp {
    const NAME: &'static str = "tcp";
    const BATCH: usize = 100;
    const WANTS: Wants = Wants { severity: Severity::Low, operational: true, notify: Notify::Event };

    fn configure(section: &mut Section<'_>, sender: &Sender) -> Self {
        let far = Far::configure(section, PORTS);
        let layout = Layout::configure(section, "native", &sender.node);
        Self { far, layout, courier: Courier::new(Answers::Ignored, REFUSAL) }
    }

    async fn deliver(&mut self, batch: &[Record]) -> Result<(), Failure> {
        let mut lines = Vec::new();
        for record in batch {
            // A pattern may hold a line feed, but a receiver takes each for the end of an event.
            let line = self.layout.line(&record.event).replace(['\r', '\n'], " ");
            lines.extend_from_slice(line.as_bytes());
            lines.push(b'\n');
        }
        self.courier.deliver(&self.far, lines).await.map_err(|error| Failure::later(self.far.why(&error)))
    }

    fn reopen(&mut self) {
        self.far.renew();
        self.courier.close();
    }
}

/// There is no usual port; these are Logstash's.
const PORTS: (u16, u16) = (5000, 5000);
