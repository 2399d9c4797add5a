//! SMB 2.0.2 to 3.1.1 (MS-SMB2).

use haldane_core::{Cx, Flow};

use super::server::Server;

/// One connection of SMB 2.
#[derive(Debug, Default)]
pub struct Dialogue {}

impl Dialogue {
    /// After SMB 1's negotiation: answers it (section 3.3.5.3).
    pub fn upgrade(&mut self, any: bool, server: &Server, cx: &mut Cx<'_>) {
        let _ = (any, server, cx);
    }

    /// Takes a packet's content.
    pub fn take(&mut self, message: &[u8], server: &Server, cx: &mut Cx<'_>) -> Flow {
        let _ = (message, server, cx);
        Flow::Close
    }

    /// The connection ends.
    pub fn end(&mut self, server: &Server, cx: &mut Cx<'_>) {
        let _ = (server, cx);
    }
}
