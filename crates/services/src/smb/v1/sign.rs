//! Signatures of messages (MS-CIFS, section 3.1.4.1; MS-SMB, section 3.2.4.1): an MD5 over key and message, in which a
//! number stands that only counts up.

use md5::{Digest, Md5};

use super::{Call, Dialogue, flags2};

/// Where the second flags and the signature are in a header, and the signature's length.
const FLAGS: usize = 10;
const AT: usize = 14;
const LENGTH: usize = 8;

/// What a session's messages are signed with.
#[derive(Debug)]
pub(super) struct Signing {
    key: Vec<u8>,
    /// The number of the next answer. A request and its answer have one each.
    next: u32,
}

impl Dialogue {
    /// From the answer to this login on, everything is signed, if that is required. A key is not changed: the
    /// connection has the first one.
    pub(super) fn begin_to_sign(&mut self, key: &[u8], call: &Call<'_, '_>) {
        if call.server.signs && self.signing.is_none() {
            self.signing = Some(Signing { key: key.to_vec(), next: 1 });
        }
    }
}

impl Signing {
    /// Signs an answer.
    pub(super) fn sign(&mut self, packet: &mut [u8]) {
        if let Some(flags) = packet.get_mut(FLAGS) {
            *flags |= flags2::SIGNATURE.to_le_bytes()[0];
        }
        let number = [self.next.to_le_bytes(), [0; 4]].concat();
        self.next = self.next.wrapping_add(2);
        put(packet, &number);
        let sum = Md5::new().chain_update(&self.key).chain_update(&*packet).finalize();
        put(packet, &sum);
    }

    /// A request has no answer, so the next has one number less between.
    pub(super) fn unanswered(&mut self) {
        self.next = self.next.wrapping_add(1);
    }
}

fn put(packet: &mut [u8], bytes: &[u8]) {
    let place = packet.get_mut(AT..).into_iter().flatten().take(LENGTH);
    place.zip(bytes).for_each(|(to, from)| *to = *from);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_is_signed_with_a_number_of_its_own() {
        let mut signing = Signing { key: vec![7; 16], next: 1 };
        let (mut one, mut two) = ([0; 35], [0; 35]);
        signing.sign(&mut one);
        signing.sign(&mut two);
        assert_eq!((one[FLAGS], signing.next), (4, 5));
        assert_ne!(one, two);
        let signature: [u8; 8] = two[AT..AT + LENGTH].try_into().unwrap();
        two[AT..AT + LENGTH].copy_from_slice(&[3, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Md5::digest([&[7; 16][..], &two].concat())[..8], signature);
    }
}
