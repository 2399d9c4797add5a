//! One request and what follows it, on a port of its own.

use std::{sync::Arc, time::Duration};

use haldane_core::{Cx, Exchange, Flow, Halt, Input, Severity, Sighting, Value};

use super::{
    EXCERPT, REQUEST, Server,
    download::{self, Download},
    options::{self, Agreed},
    request::{Opcode, Refusal, Request},
    upload::Upload,
};

/// How often something is sent that is not answered; the wait doubles each time.
const SENT: u32 = 6;
/// The same, while nothing shows that the address is not forged.
const SENT_UNPROVED: u32 = 3;
/// Datagrams that a transfer looks at that it does not expect.
const ODD: u32 = 1000;

/// A request, then a transfer if it comes to one.
pub(super) struct Transfer {
    server: Arc<Server>,
    stage: Stage,
    /// The first wait.
    wait: Duration,
    /// How often the same was sent.
    sent: u32,
    proved: bool,
    odd: u32,
    /// Bytes of the first reply, if that is bait.
    first_reply: usize,
}

enum Stage {
    Asked(Vec<u8>),
    Download(Download),
    Upload(Box<Upload>),
    Refused,
}

impl Transfer {
    pub(super) fn new(server: Arc<Server>, datagram: &[u8]) -> Self {
        let stage = Stage::Asked(datagram.to_vec());
        let wait = Duration::from_secs(1);
        Self { server, stage, wait, sent: 1, proved: false, odd: 0, first_reply: 0 }
    }

    /// What the request leads to.
    fn decide(&self, request: &Request<'_>) -> Result<(Stage, Duration), Refusal> {
        let mode = request.mode.ok_or(Refusal::NO_MODE)?.to_ascii_lowercase();
        let text = match mode.as_slice() {
            b"octet" => false,
            b"netascii" => true,
            _ => return Err(Refusal::BAD_MODE),
        };
        let wait = |agreed: &Agreed| agreed.wait;
        match request.opcode {
            Opcode::Read => {
                let content = self.server.bait.find(request.name)?;
                let agreed = options::agree(request, text, content.len())?;
                let content = if text { download::netascii(&content) } else { content };
                let wait = wait(&agreed);
                Ok((Stage::Download(Download::new(request.name, content, agreed)), wait))
            }
            Opcode::Write if self.server.uploads => {
                self.server.bait.takes(request.name)?;
                let agreed = options::agree(request, text, 0)?;
                let wait = wait(&agreed);
                let upload = Upload::new(Arc::clone(&self.server), request.name, text, agreed);
                Ok((Stage::Upload(Box::new(upload)), wait))
            }
            // Without permission to make files, only those that exist are written.
            Opcode::Write => match self.server.bait.find(request.name) {
                Ok(_) => Err(Refusal(0, "Permission denied")),
                Err(refusal) => Err(refusal),
            },
        }
    }
}

impl Exchange for Transfer {
    fn begin(&mut self, cx: &mut Cx<'_>) -> Result<Flow, Halt> {
        let Stage::Asked(datagram) = std::mem::replace(&mut self.stage, Stage::Refused) else {
            return Ok(Flow::Close);
        };
        let request = Request::read(&datagram);
        let decided = self.decide(&request);
        let mut seen = described(&request, &datagram);
        let (reply, flow) = match decided {
            Ok((stage, wait)) => {
                (self.stage, self.wait) = (stage, wait);
                let reply = match &self.stage {
                    Stage::Download(download) => {
                        seen = seen.severity(Severity::Critical).with("bait", true);
                        let reply = download.current();
                        self.first_reply = reply.len();
                        reply
                    }
                    Stage::Upload(upload) => upload.current(),
                    Stage::Asked(_) | Stage::Refused => Vec::new(),
                };
                (reply, Flow::Continue)
            }
            Err(refusal) => {
                let reply = refusal.datagram();
                seen = seen.with("answer", refusal.1);
                // Nobody is sent much more than he sent, whoever he is.
                let fits = reply.len() <= datagram.len().saturating_mul(2);
                (if fits { reply } else { Vec::new() }, Flow::Close)
            }
        };
        cx.report(seen);
        cx.reply(reply);
        Ok(flow)
    }

    fn take(&mut self, datagram: &mut Input<'_>, cx: &mut Cx<'_>) -> Result<Flow, Halt> {
        self.proved = true;
        let datagram = datagram.take_rest();
        let acted = match &mut self.stage {
            Stage::Download(download) => download.take(datagram),
            Stage::Upload(upload) => upload.take(datagram, cx),
            Stage::Asked(_) | Stage::Refused => Some((Vec::new(), Flow::Close)),
        };
        let Some((reply, flow)) = acted else {
            self.odd = self.odd.saturating_add(1);
            return Ok(if self.odd > ODD { Flow::Close } else { Flow::Continue });
        };
        self.sent = 1;
        cx.reply(reply);
        Ok(flow)
    }

    fn silence(&mut self, cx: &mut Cx<'_>) -> Flow {
        let most = if self.proved { SENT } else { SENT_UNPROVED };
        if self.sent >= most {
            return Flow::Close;
        }
        self.sent = self.sent.saturating_add(1);
        match &self.stage {
            Stage::Download(download) => cx.reply(download.current()),
            Stage::Upload(upload) if !upload.is_complete() => cx.reply(upload.current()),
            // What came last is acknowledged; only a lost acknowledgement is still of interest.
            Stage::Upload(_) | Stage::Asked(_) | Stage::Refused => return Flow::Close,
        }
        Flow::Continue
    }

    fn end(&mut self, cx: &mut Cx<'_>) {
        match std::mem::replace(&mut self.stage, Stage::Refused) {
            Stage::Download(download) => cx.report(download.sighting()),
            Stage::Upload(mut upload) => upload.tell(cx),
            Stage::Asked(_) | Stage::Refused => {}
        }
    }

    fn patience(&self) -> Duration {
        let doublings = 1_u32.checked_shl(self.sent.saturating_sub(1)).unwrap_or(u32::MAX);
        self.wait.saturating_mul(doublings)
    }

    fn largest(&self) -> usize {
        match &self.stage {
            Stage::Upload(upload) => upload.largest(),
            // An ACK, or an error with its text.
            _ => 516,
        }
    }

    fn first_reply(&self) -> usize {
        self.first_reply
    }
}

fn described(request: &Request<'_>, datagram: &[u8]) -> Sighting {
    let mut seen =
        Sighting::of(&REQUEST).with("filename", request.name).with("opcode", request.opcode.name());
    if let Some(mode) = request.mode {
        seen = seen.with("mode", mode);
    } else {
        seen = seen.with("excerpt", datagram.get(..EXCERPT).unwrap_or(datagram));
    }
    if !request.options.is_empty() {
        let pairs = request.options.iter().map(|(name, value)| [*name, b"=", *value].concat());
        seen = seen.with("options", pairs.map(Value::from).collect::<Vec<_>>());
    }
    if request.opcode == Opcode::Write { seen.severity(Severity::Medium) } else { seen }
}
