//! What the server says to a login: tokens of a tabular result (MS-TDS, section 2.2.7).

use super::login::Login;

/// ERROR.
const ERROR: u8 = 0xaa;
/// DONE.
const DONE: u8 = 0xfd;
/// SSPI.
const SSPI: u8 = 0xed;
/// Status of DONE: an error occurred.
const FAILED: u16 = 2;
/// Of an error that the user can correct.
const CLASS: u8 = 14;
/// The most characters of a login's name that stand in an error.
const LONGEST_NAME: usize = 128;

/// Login failed for user (error 18456).
pub fn failed(user: &[u8], server: &str, login: &Login) -> Vec<u8> {
    let user: String = String::from_utf8_lossy(user).chars().take(LONGEST_NAME).collect();
    error(18456, &format!("Login failed for user '{user}'."), server, login)
}

/// An error of that number, and the end. What it hides in its state goes to the server's own log: clients are
/// always told 1.
pub fn error(number: u32, text: &str, server: &str, login: &Login) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(number.to_le_bytes());
    body.extend([1, CLASS]);
    let (text_bytes, characters) = written(text, login);
    body.extend(u16::try_from(characters).unwrap_or_default().to_le_bytes());
    body.extend(text_bytes);
    let (name, characters) = written(server, login);
    body.push(u8::try_from(characters).unwrap_or_default());
    body.extend(name);
    // No procedure; line 1.
    body.push(0);
    match login.is_long() {
        true => body.extend(1_u32.to_le_bytes()),
        false => body.extend(1_u16.to_le_bytes()),
    }
    let mut tokens = vec![ERROR];
    tokens.extend(u16::try_from(body.len()).unwrap_or_default().to_le_bytes());
    tokens.extend(body);
    tokens.push(DONE);
    tokens.extend(FAILED.to_le_bytes());
    tokens.extend([0; 2]);
    tokens.extend(if login.is_long() { &[0; 8][..] } else { &[0; 4] });
    tokens
}

/// The next token for the client's SSPI.
pub fn sspi(token: &[u8]) -> Vec<u8> {
    let mut tokens = vec![SSPI];
    tokens.extend(u16::try_from(token.len()).unwrap_or_default().to_le_bytes());
    tokens.extend_from_slice(token);
    tokens
}

/// The text as that client reads it, and its length in its characters.
fn written(text: &str, login: &Login) -> (Vec<u8>, usize) {
    if login.is_old() {
        return (text.as_bytes().to_vec(), text.len());
    }
    let units: Vec<u16> = text.encode_utf16().collect();
    (units.iter().flat_map(|unit| unit.to_le_bytes()).collect(), units.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_as_wide_as_its_client_expects() {
        let of = |tds| failed(b"sa", "FILES01", &Login { tds, ..Login::default() });
        let (new, middle, old) = (of(0x7400_0004), of(0x7100_0001), of(0x0402_0000));
        assert_eq!(&new[..9], [ERROR, 0x52, 0, 0x18, 0x48, 0, 0, 1, 14]);
        assert_eq!(&new[new.len() - 18..], [0, 1, 0, 0, 0, DONE, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(&middle[middle.len() - 12..], [0, 1, 0, DONE, 2, 0, 0, 0, 0, 0, 0, 0]);
        assert!(old.windows(27).any(|part| part == b"Login failed for user 'sa'."));
        assert_eq!(old.len(), middle.len() - 27 - 7);
    }
}
