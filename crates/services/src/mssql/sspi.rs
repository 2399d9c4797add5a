//! What is peculiar to Windows authentication within TDS. All else is [`haldane_wire::spnego`].

use std::borrow::Cow;

use haldane_wire::ntlm::SIGNATURE;

/// Bytes of NTProofStr (MS-NLMP, section 2.2.2.8).
const PROOF: usize = 16;
/// Where an answer keeps length, room and offset of NtChallengeResponse (section 2.2.1.3).
const LENGTH: usize = 20;

/// A token that says of itself what is in it.
///
/// tedious, the driver for Node.js, gives the length of its proof alone, although all that the proof was computed from
/// (section 2.2.2.7) stands behind it up to the message's end. Without that nothing can be cracked.
pub fn mended(token: &[u8]) -> Cow<'_, [u8]> {
    understated(token).map_or(Cow::Borrowed(token), Cow::Owned)
}

fn understated(token: &[u8]) -> Option<Vec<u8>> {
    if !token.strip_prefix(SIGNATURE)?.starts_with(&[3, 0, 0, 0]) {
        return None;
    }
    let field = token.get(LENGTH..)?.first_chunk::<8>()?;
    let [low, high, _, _, at @ ..] = *field;
    let answer = token.get(usize::try_from(u32::from_le_bytes(at)).ok()?..)?;
    if usize::from(u16::from_le_bytes([low, high])) != PROOF
        || !answer.get(PROOF..)?.starts_with(&[1, 1, 0, 0])
    {
        return None;
    }
    let length = u16::try_from(answer.len()).ok()?.to_le_bytes();
    let mut whole = token.to_vec();
    whole.get_mut(LENGTH..)?.get_mut(..2)?.copy_from_slice(&length);
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_it_is_a_token_stays_one() {
        let mut token = [&SIGNATURE[..], &[3, 0, 0, 0], &[0; 52]].concat();
        token[20..28].copy_from_slice(&[16, 0, 16, 0, 64, 0, 0, 0]);
        token.extend([7; 16]);
        assert_eq!(mended(&token), token.as_slice(), "nothing stands behind the proof");
        token.extend([1, 1, 0, 0, 9, 9]);
        assert_eq!(mended(&token)[20..22], [22, 0]);
        for length in 0..token.len() {
            assert_eq!(mended(&token[..length]).len(), length);
        }
        token[24..28].fill(0xff);
        assert_eq!(mended(&token), token.as_slice());
    }
}
