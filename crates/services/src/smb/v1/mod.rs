//! SMB 1 (MS-CIFS, MS-SMB).

use haldane_core::{Cx, Flow};

use super::{server::Server, session::Next};

/// One connection of SMB 1.
#[derive(Debug, Default)]
pub struct Dialogue {}

impl Dialogue {
    /// Takes a message, with its head.
    pub fn take(&mut self, message: &[u8], server: &Server, cx: &mut Cx<'_>) -> Next {
        let _ = (message, server, cx);
        Next::Go(Flow::Close)
    }

    /// The connection ends.
    pub fn end(&mut self, server: &Server, cx: &mut Cx<'_>) {
        let _ = (server, cx);
    }
}
