//! Transactions (MS-CIFS, sections 2.2.4.33, 2.2.4.46 and 2.2.4.62): requests that may be larger than a packet, in the three
//! commands that there are of them, and their answers.

use haldane_core::{Halt, Input};

use super::{
    super::bytes::{Put, size16, size32},
    command,
    packet::{Block, Header},
    reply::Reply,
};

/// Most bytes of parameters, and of data, that one has. More than the protocol's 64 kB in two of the commands, because
/// attacks begin with more.
const MOST: usize = 0x2_0000;
/// Most that wait for their rest at a time.
const WAITING: usize = 8;
/// Most bytes that are kept of them all.
const HELD: usize = 0x4_0000;

/// A request, or as much of it as has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Transaction {
    /// One of the three.
    pub(crate) command: u8,
    /// What is asked for: the function of an NT transaction, or the first word of the setup.
    pub(crate) function: Option<u16>,
    /// The words that belong to the function, with it where it is one of them.
    pub(crate) setup: Vec<u8>,
    /// Whom it is for, in UTF-8: `\PIPE\`.
    pub(crate) name: Vec<u8>,
    pub(crate) timeout: u32,
    /// Most bytes of the answer.
    pub(crate) max_parameters: usize,
    pub(crate) max_data: usize,
    pub(crate) parameters: Vec<u8>,
    pub(crate) data: Vec<u8>,
    /// Bytes that are to come in all.
    pub(crate) total_parameters: usize,
    pub(crate) total_data: usize,
    /// Bytes that have come.
    came: (usize, usize),
    /// Whose it is: tree, process, user and number.
    owner: Owner,
}

type Owner = (u16, u32, u16, u16);

/// A piece of parameters or data: how much, where it lies in the packet, and where it belongs.
type Piece = (usize, usize, usize);

impl Transaction {
    /// Reads the beginning of one.
    pub(crate) fn read(block: &Block<'_>) -> Result<Self, Halt> {
        let mut words = block.words();
        let mut new = Self { command: block.command, owner: owner(block.header()), ..Self::default() };
        let (parameters, data): (Piece, Piece);
        if block.command == command::NT_TRANSACT {
            words.take(3)?;
            (new.total_parameters, new.total_data) = (long(&mut words)?, long(&mut words)?);
            (new.max_parameters, new.max_data) = (long(&mut words)?, long(&mut words)?);
            parameters = (long(&mut words)?, long(&mut words)?, 0);
            data = (long(&mut words)?, long(&mut words)?, 0);
            let count = words.u8()?;
            new.function = Some(words.u16_le()?);
            new.setup = words.take(usize::from(count).saturating_mul(2))?.to_vec();
        } else {
            (new.total_parameters, new.total_data) = (short(&mut words)?, short(&mut words)?);
            (new.max_parameters, new.max_data) = (short(&mut words)?, short(&mut words)?);
            words.take(4)?;
            new.timeout = words.u32_le()?;
            words.take(2)?;
            parameters = (short(&mut words)?, short(&mut words)?, 0);
            data = (short(&mut words)?, short(&mut words)?, 0);
            let count = words.u8()?;
            words.take(1)?;
            // Some clients count a word too many.
            let most = usize::from(count).saturating_mul(2).min(words.rest().len());
            new.setup = words.take(most)?.to_vec();
            new.function = new.setup.first_chunk().map(|word| u16::from_le_bytes(*word));
            new.name = block.texts().text();
        }
        if new.total_parameters > MOST || new.total_data > MOST {
            return Err(Halt::Malformed("transaction too large"));
        }
        new.add(block, parameters, data)?;
        Ok(new)
    }

    /// Puts pieces in their places.
    fn add(&mut self, block: &Block<'_>, parameters: Piece, data: Piece) -> Result<(), Halt> {
        put(&mut self.parameters, self.total_parameters, block, parameters)?;
        put(&mut self.data, self.total_data, block, data)?;
        self.came.0 = self.came.0.saturating_add(parameters.0);
        self.came.1 = self.came.1.saturating_add(data.0);
        Ok(())
    }

    /// Whether nothing is missing.
    pub(crate) fn whole(&self) -> bool {
        self.came.0 >= self.total_parameters && self.came.1 >= self.total_data
    }

    fn held(&self) -> usize {
        self.parameters.len().saturating_add(self.data.len())
    }
}

fn owner(header: &Header) -> Owner {
    (header.tid, header.process(), header.uid, header.mid)
}

fn short(words: &mut Input<'_>) -> Result<usize, Halt> {
    words.u16_le().map(usize::from)
}

fn long(words: &mut Input<'_>) -> Result<usize, Halt> {
    words.u32_le().map(|number| usize::try_from(number).unwrap_or(usize::MAX))
}

/// What lies at `offset` in the packet goes to its place in the whole, which may not be outside of it.
fn put(whole: &mut Vec<u8>, total: usize, block: &Block<'_>, piece: Piece) -> Result<(), Halt> {
    let (length, offset, place) = piece;
    if length == 0 {
        return Ok(());
    }
    let bytes = block.part(offset, length).ok_or(Halt::Malformed("transaction points outside its packet"))?;
    let end = place.checked_add(length).filter(|end| *end <= total);
    let end = end.ok_or(Halt::Malformed("transaction larger than it said"))?;
    if whole.len() < end {
        whole.resize(end, 0);
    }
    if let Some(target) = whole.get_mut(place..end) {
        target.copy_from_slice(bytes);
    }
    Ok(())
}

/// Those that wait for their rest.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Vec<Transaction>);

/// What came of a packet of a transaction's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is whole.
    Whole(Transaction),
    /// Its rest is to come; the client is told so after the first packet.
    More,
    /// The packet belongs to none, or the command is that of another. The second is how attacks confuse
    /// servers: it comes with the transaction.
    Stray(Option<Transaction>),
    /// There are too many.
    Full,
}

impl Waiting {
    /// A first packet was read.
    pub(crate) fn begin(&mut self, new: Transaction) -> Step {
        if new.whole() {
            return Step::Whole(new);
        }
        let held = self.0.iter().map(Transaction::held).fold(0_usize, usize::saturating_add);
        if self.0.len() >= WAITING || held >= HELD {
            return Step::Full;
        }
        self.0.retain(|old| old.owner != new.owner);
        self.0.push(new);
        Step::More
    }

    /// A later packet came.
    pub(crate) fn go_on(&mut self, block: &Block<'_>) -> Result<Step, Halt> {
        let mut words = block.words();
        let large = block.command == command::NT_TRANSACT_SECONDARY;
        if large {
            words.take(3)?;
        }
        let next = if large { long } else { short };
        // The totals may only become smaller.
        let (total_parameters, total_data) = (next(&mut words)?, next(&mut words)?);
        let mut piece = || Ok((next(&mut words)?, next(&mut words)?, next(&mut words)?));
        let (parameters, data) = (piece()?, piece()?);
        let owner = owner(block.header());
        let Some(at) = self.0.iter().position(|waiting| waiting.owner == owner) else {
            return Ok(Step::Stray(None));
        };
        let mut waiting = self.0.swap_remove(at);
        // Each secondary command has the number behind that of its first.
        if waiting.command.checked_add(1) != Some(block.command) {
            return Ok(Step::Stray(Some(waiting)));
        }
        waiting.total_parameters = waiting.total_parameters.min(total_parameters);
        waiting.total_data = waiting.total_data.min(total_data);
        waiting.add(block, parameters, data)?;
        if waiting.whole() {
            return Ok(Step::Whole(waiting));
        }
        let held = self.0.iter().map(Transaction::held).fold(waiting.held(), usize::saturating_add);
        if held >= HELD {
            return Ok(Step::Full);
        }
        self.0.push(waiting);
        Ok(Step::More)
    }

    /// Whether the last packet of one with that number is still to come.
    pub(crate) fn has(&self, mid: u16) -> bool {
        self.0.iter().any(|waiting| waiting.owner.3 == mid)
    }

    /// Those that never became whole.
    pub(crate) fn left(&mut self) -> Vec<Transaction> {
        std::mem::take(&mut self.0)
    }
}

/// The answer to a transaction.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) setup: Vec<u8>,
    pub(crate) parameters: Vec<u8>,
    pub(crate) data: Vec<u8>,
}

impl Answer {
    /// Only parameters and data.
    pub(crate) fn of(parameters: Vec<u8>, data: Vec<u8>) -> Self {
        Self { setup: Vec::new(), parameters, data }
    }

    /// Writes it into that reply and as many behind it as it takes, none larger than the client wishes.
    pub(crate) fn send(
        &self,
        command: u8,
        mut first: Reply,
        header: &Header,
        largest: usize,
    ) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        let (status, tid, uid) = (first.status, first.tid, first.uid);
        let (mut parameters, mut data) = (0, 0);
        loop {
            let took = self.piece(command, &mut first, (parameters, data), largest);
            packets.push(first.finish(header));
            parameters = took.0;
            data = took.1;
            if parameters >= self.parameters.len() && data >= self.data.len() {
                return packets;
            }
            first = Reply::to(header);
            (first.status, first.tid, first.uid) = (status, tid, uid);
        }
    }

    /// Writes what fits, from those places on. Returns how far it came.
    fn piece(&self, command: u8, reply: &mut Reply, from: (usize, usize), largest: usize) -> (usize, usize) {
        let nt = command == command::NT_TRANSACT;
        let size = if nt { 36_usize } else { 20 }.saturating_add(self.setup.len());
        let start = reply.bytes_at(false, size);
        let at = start.next_multiple_of(4);
        let room = largest.saturating_sub(at).max(64);
        let parameters = rest(&self.parameters, from.0, room);
        let data_at = at.saturating_add(parameters.len()).next_multiple_of(4);
        let data = rest(&self.data, from.1, room.saturating_sub(parameters.len().next_multiple_of(4)));
        let numbers = [
            self.parameters.len(),
            self.data.len(),
            parameters.len(),
            at,
            from.0,
            data.len(),
            data_at,
            from.1,
        ];
        let mut words = Vec::new();
        if nt {
            words.zeros(3);
            for number in numbers {
                words.u32(size32(number));
            }
            words.u8(size8(self.setup.len() / 2));
        } else {
            for (place, number) in numbers.into_iter().enumerate() {
                if place == 2 {
                    words.u16(0);
                }
                words.u16(size16(number));
            }
            words.u8(size8(self.setup.len() / 2)).u8(0);
        }
        words.raw(&self.setup);
        reply.block(command, false, &words);
        let mut bytes = Vec::new();
        bytes.zeros(at.saturating_sub(start)).raw(parameters);
        bytes.zeros(data_at.saturating_sub(at).saturating_sub(parameters.len())).raw(data);
        reply.raw(&bytes);
        (from.0.saturating_add(parameters.len()), from.1.saturating_add(data.len()))
    }
}

fn rest(bytes: &[u8], from: usize, room: usize) -> &[u8] {
    let rest = bytes.get(from..).unwrap_or_default();
    rest.get(..room).unwrap_or(rest)
}

fn size8(size: usize) -> u8 {
    u8::try_from(size).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            flags2,
            packet::{Packet, tests::packet},
        },
        *,
    };

    fn numbers(numbers: &[u16]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    /// One of TRANSACTION2 with `data` of `total` bytes.
    fn first(total: u16, data: &[u8]) -> Vec<u8> {
        let size = u16::try_from(data.len()).unwrap();
        let words = numbers(&[0, total, 10, 1000, 0, 0, 7, 0, 0, 0, 0, size, 68, 1, 3]);
        packet(command::TRANSACTION2, 0, &words, &[&[0; 3][..], data].concat())
    }

    fn later(command: u8, total: u16, data: &[u8], place: u16) -> Vec<u8> {
        let size = u16::try_from(data.len()).unwrap();
        packet(command, 0, &numbers(&[0, total, 0, 0, 0, size, 53, place, 0]), data)
    }

    fn begin(waiting: &mut Waiting, bytes: &[u8]) -> Result<Step, Halt> {
        let packet = Packet::read(bytes).unwrap();
        Transaction::read(&packet.first().unwrap()).map(|new| waiting.begin(new))
    }

    fn go_on(waiting: &mut Waiting, bytes: &[u8]) -> Result<Step, Halt> {
        waiting.go_on(&Packet::read(bytes).unwrap().first().unwrap())
    }

    #[test]
    fn a_transaction_in_pieces_becomes_whole() {
        let mut waiting = Waiting::default();
        assert_eq!(begin(&mut waiting, &first(6, b"ab")), Ok(Step::More));
        assert_eq!(go_on(&mut waiting, &later(command::TRANSACTION2_SECONDARY, 6, b"ef", 4)), Ok(Step::More));
        let Ok(Step::Whole(whole)) =
            go_on(&mut waiting, &later(command::TRANSACTION2_SECONDARY, 6, b"cd", 2))
        else {
            panic!()
        };
        assert_eq!((whole.data.as_slice(), whole.function, whole.timeout), (&b"abcdef"[..], Some(3), 7));
        assert!(waiting.left().is_empty());
    }

    #[test]
    fn pieces_outside_of_the_whole_or_of_another_command_are_found_out() {
        let mut waiting = Waiting::default();
        assert!(begin(&mut waiting, &first(1, b"ab")).is_err());
        assert_eq!(go_on(&mut waiting, &later(0x33, 6, b"ef", 4)), Ok(Step::Stray(None)));
        assert_eq!(begin(&mut waiting, &first(6, b"ab")), Ok(Step::More));
        assert!(matches!(go_on(&mut waiting, &later(0x26, 6, b"ef", 4)), Ok(Step::Stray(Some(_)))));
        assert_eq!(begin(&mut waiting, &first(6, b"ab")), Ok(Step::More));
        assert!(go_on(&mut waiting, &later(0x33, 6, b"ef", 5)).is_err());
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut waiting = Waiting::default();
        for mid in 0..WAITING {
            let mut packet = first(6, b"ab");
            packet[30] = u8::try_from(mid).unwrap();
            assert_eq!(begin(&mut waiting, &packet), Ok(Step::More));
        }
        let mut packet = first(6, b"ab");
        packet[30] = 99;
        assert_eq!(begin(&mut waiting, &packet), Ok(Step::Full));
        assert!(waiting.has(0) && !waiting.has(99));
    }

    #[test]
    fn a_large_answer_comes_in_several_packets() {
        let header = Packet::read(&first(0, b"")).unwrap().header;
        assert!(!header.has(flags2::UNICODE));
        let answer = Answer::of(vec![1; 10], (0..250).collect());
        let packets = answer.send(command::TRANSACTION2, Reply::to(&header), &header, 200);
        let mut data = Vec::new();
        for packet in &packets {
            assert!(packet.len() <= 200);
            let word = |at: usize| usize::from(u16::from_le_bytes([packet[33 + at], packet[34 + at]]));
            assert_eq!((word(0), word(2), word(16)), (10, 250, data.len()));
            assert_eq!(word(14) % 4, 0);
            data.extend_from_slice(&packet[word(14)..][..word(12)]);
        }
        assert_eq!((packets.len(), data.as_slice()), (2, answer.data.as_slice()));
    }
}
