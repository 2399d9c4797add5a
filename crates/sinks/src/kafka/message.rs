//! Requests and responses of the Kafka protocol (<https://kafka.apache.org/protocol>) that a producer needs, in the
//! oldest versions that brokers of this day take: all since 0.11 speak them.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::link::{Host, Line, bytes, foreign};

/// A request: its key and version.
#[derive(Debug, Clone, Copy)]
pub(super) struct Api(i16, i16);

pub(super) const PRODUCE: Api = Api(0, 3);
pub(super) const METADATA: Api = Api(3, 4);
pub(super) const SASL_HANDSHAKE: Api = Api(17, 1);
pub(super) const SASL_AUTHENTICATE: Api = Api(36, 0);

/// Sends a request and reads its response.
pub(super) async fn ask(line: &mut Line, api: Api, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut request = Writer::default();
    request.i16(api.0).i16(api.1).i32(CORRELATION).text("haldane");
    request.0.extend_from_slice(body);
    let length = i32::try_from(request.0.len()).unwrap_or(i32::MAX);
    line.write_all(&[&length.to_be_bytes()[..], &request.0].concat()).await?;
    line.flush().await?;
    let length = usize::try_from(line.read_i32().await?).map_err(|_| foreign("Kafka"))?;
    let response = bytes(line, length, LONGEST_RESPONSE).await;
    // HTTP, taken for a length, is a very long one.
    let response =
        response.map_err(|error| if length > LONGEST_RESPONSE { foreign("Kafka") } else { error })?;
    match response.split_first_chunk() {
        Some((correlation, rest)) if i32::from_be_bytes(*correlation) == CORRELATION => Ok(rest.to_vec()),
        _ => Err(foreign("Kafka")),
    }
}

/// Builds a request.
#[derive(Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn i16(&mut self, value: i16) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn i32(&mut self, value: i32) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.i16(i16::try_from(text.len()).unwrap_or(i16::MAX));
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
        self.0.extend_from_slice(bytes);
        self
    }
}

/// Takes a response apart; `None` beyond its end.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn i16(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    pub(super) fn i32(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    /// A text, empty if it is null.
    pub(super) fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.i16()?).unwrap_or_default();
        Some(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.i32()?).unwrap_or_default();
        self.take(length)
    }

    /// As many as it says there are, each read by that.
    fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = usize::try_from(self.i32()?).unwrap_or_default();
        // Each takes some bytes: a lie ends soon.
        (0..count).map(|_| one(self)).collect()
    }
}

/// What a cluster says of one topic.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) brokers: Vec<(i32, Host)>,
    /// 0 if the topic is there.
    pub(super) error: i16,
    /// Partitions and the brokers that lead them, by the partitions' number; -1 without leader.
    pub(super) leaders: Vec<(i32, i32)>,
}

impl Metadata {
    /// The question. A broker makes the topic if it is set up to do so.
    pub(super) fn request(topic: &str) -> Vec<u8> {
        let mut request = Writer::default();
        request.i32(1).text(topic).0.push(1);
        request.0
    }

    pub(super) fn parse(response: &[u8]) -> Option<Self> {
        let mut response = Reader(response);
        response.i32()?; // throttled for
        let brokers = response.list(|broker| {
            let (id, name, port) = (broker.i32()?, broker.text()?, broker.i32()?);
            broker.text()?; // rack
            Some((id, Host { name, port: u16::try_from(port).ok()? }))
        })?;
        response.text()?; // the cluster's name
        response.i32()?; // its controller
        let mut topics = response.list(|topic| {
            let error = topic.i16()?;
            topic.text()?;
            topic.take(1)?; // internal
            let mut leaders = topic.list(|partition| {
                partition.i16()?;
                let leads = (partition.i32()?, partition.i32()?);
                partition.list(Self::number)?; // replicas
                partition.list(Self::number)?; // those in sync
                Some(leads)
            })?;
            leaders.sort_unstable();
            Some((error, leaders))
        })?;
        let (error, leaders) = topics.pop()?;
        Some(Self { brokers, error, leaders })
    }

    fn number(reader: &mut Reader<'_>) -> Option<i32> {
        reader.i32()
    }
}

/// Records for partitions of one topic, to be acknowledged by all replicas that are in sync.
pub(super) fn produce(topic: &str, batches: &[(i32, Vec<u8>)]) -> Vec<u8> {
    let mut request = Writer::default();
    request.i16(-1).i16(-1).i32(PATIENCE).i32(1).text(topic);
    request.i32(i32::try_from(batches.len()).unwrap_or(i32::MAX));
    for (partition, batch) in batches {
        request.i32(*partition).bytes(batch);
    }
    request.0
}

/// Partitions and what came of it: 0 if all is well.
pub(super) fn produced(response: &[u8]) -> Option<Vec<(i32, i16)>> {
    let topics = Reader(response).list(|topic| {
        topic.text()?;
        topic.list(|partition| {
            let outcome = (partition.i32()?, partition.i16()?);
            partition.take(16)?; // offset and time
            Some(outcome)
        })
    })?;
    Some(topics.into_iter().flatten().collect())
}

/// What an error means (<https://kafka.apache.org/protocol#protocol_error_codes>), and what the operator can do.
pub(super) fn meaning(error: i16) -> String {
    let meaning = match error {
        3 => "there is no such topic: make it, or correct `topic`",
        5 | 6 => "the partition has no leader now",
        7 | 20 => "the replicas took too long",
        10 | 18 => "the event is longer than the topic takes",
        17 => "it does not accept the topic's name",
        19 => "too few replicas are in sync",
        29 | 31 => "not authorised: allow this user to write to the topic",
        33 => "it does not offer this mechanism: choose another for `sasl`",
        34 => "it wants no login here: set `sasl = \"none\"`, or use the port that wants one",
        35 => "it is a version of Kafka that this does not speak",
        58 => "authentication refused: check `username` and `password`",
        87 => "it does not accept the event",
        _ => "its log may say more",
    };
    format!("{meaning} (error {error})")
}

/// One request at a time needs no numbers to tell responses apart.
const CORRELATION: i32 = 0x4861_6c64;
/// Milliseconds that replicas may take.
const PATIENCE: i32 = 10_000;
/// Bytes: the metadata of a cluster with a thousand brokers.
const LONGEST_RESPONSE: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn no_response_breaks_us(response in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = (Metadata::parse(&response), produced(&response));
        }
    }

    #[test]
    fn a_response_that_lies_about_its_length_is_none() {
        for response in [&b""[..], b"\0\0\0\0\x7f\xff\xff\xff", b"\0\0\0\0\0\0\0\x01\0\0\0\x01\0\xff"] {
            assert_eq!(Metadata::parse(response), None);
            assert_eq!(produced(b"\x7f\xff\xff\xff"), None);
        }
    }
}
