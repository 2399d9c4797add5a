//! What each release of OpenSSH offers and says, by the version in its banner. The fingerprint of a server
//! (HASSH) is these lists, so they must be those of the release that the banner claims.
//!
//! Sources: `myproposal.h` and the release notes of each release. A table is read from the top: the first row
//! that is not newer than the release counts.

/// A release, as its banner tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Release {
    number: (u16, u16),
    /// Debian's and Ubuntu's updates without a new number.
    strict: bool,
    renamed: bool,
}

/// A list by the first release that has it.
type Table = [((u16, u16), &'static str)];

#[rustfmt::skip]
const KEX: &Table = &[
    ((10, 0), "mlkem768x25519-sha256,sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,curve25519-sha256,\
        curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521"),
    ((9, 9), "sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,mlkem768x25519-sha256,curve25519-sha256,\
        curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,\
        diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,\
        diffie-hellman-group14-sha256"),
    ((9, 0), "sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,\
        ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,\
        diffie-hellman-group18-sha512,diffie-hellman-group14-sha256"),
    ((8, 9), "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,\
        ecdh-sha2-nistp521,sntrup761x25519-sha512@openssh.com,diffie-hellman-group-exchange-sha256,\
        diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,diffie-hellman-group14-sha256"),
    ((8, 2), "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,\
        ecdh-sha2-nistp521,diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,\
        diffie-hellman-group18-sha512,diffie-hellman-group14-sha256"),
    ((7, 4), "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,\
        ecdh-sha2-nistp521,diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,\
        diffie-hellman-group18-sha512,diffie-hellman-group14-sha256,diffie-hellman-group14-sha1"),
    ((7, 3), "curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,\
        diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,\
        diffie-hellman-group14-sha256,diffie-hellman-group14-sha1"),
    ((6, 7), "curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,\
        diffie-hellman-group-exchange-sha256,diffie-hellman-group14-sha1"),
    ((6, 5), "curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,\
        diffie-hellman-group-exchange-sha256,diffie-hellman-group-exchange-sha1,diffie-hellman-group14-sha1,\
        diffie-hellman-group1-sha1"),
    ((5, 7), "ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group-exchange-sha256,\
        diffie-hellman-group-exchange-sha1,diffie-hellman-group14-sha1,diffie-hellman-group1-sha1"),
    ((4, 4), "diffie-hellman-group-exchange-sha256,diffie-hellman-group-exchange-sha1,diffie-hellman-group14-sha1,\
        diffie-hellman-group1-sha1"),
    ((0, 0), "diffie-hellman-group-exchange-sha1,diffie-hellman-group14-sha1,diffie-hellman-group1-sha1"),
];

#[rustfmt::skip]
const CIPHERS: &Table = &[
    ((10, 0), "chacha20-poly1305@openssh.com,aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes128-ctr,aes192-ctr,\
        aes256-ctr"),
    ((6, 9), "chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com,\
        aes256-gcm@openssh.com"),
    ((6, 7), "aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com,\
        chacha20-poly1305@openssh.com"),
    ((6, 5), "aes128-ctr,aes192-ctr,aes256-ctr,arcfour256,arcfour128,aes128-gcm@openssh.com,aes256-gcm@openssh.com,\
        chacha20-poly1305@openssh.com,aes128-cbc,3des-cbc,blowfish-cbc,cast128-cbc,aes192-cbc,aes256-cbc,arcfour,\
        rijndael-cbc@lysator.liu.se"),
    ((6, 2), "aes128-ctr,aes192-ctr,aes256-ctr,arcfour256,arcfour128,aes128-gcm@openssh.com,aes256-gcm@openssh.com,\
        aes128-cbc,3des-cbc,blowfish-cbc,cast128-cbc,aes192-cbc,aes256-cbc,arcfour,rijndael-cbc@lysator.liu.se"),
    ((5, 2), "aes128-ctr,aes192-ctr,aes256-ctr,arcfour256,arcfour128,aes128-cbc,3des-cbc,blowfish-cbc,cast128-cbc,\
        aes192-cbc,aes256-cbc,arcfour,rijndael-cbc@lysator.liu.se"),
    ((0, 0), "aes128-cbc,3des-cbc,blowfish-cbc,cast128-cbc,arcfour128,arcfour256,arcfour,aes192-cbc,aes256-cbc,\
        rijndael-cbc@lysator.liu.se,aes128-ctr,aes192-ctr,aes256-ctr"),
];

#[rustfmt::skip]
const MACS: &Table = &[
    ((6, 7), "umac-64-etm@openssh.com,umac-128-etm@openssh.com,hmac-sha2-256-etm@openssh.com,\
        hmac-sha2-512-etm@openssh.com,hmac-sha1-etm@openssh.com,umac-64@openssh.com,umac-128@openssh.com,\
        hmac-sha2-256,hmac-sha2-512,hmac-sha1"),
    ((6, 2), "hmac-md5-etm@openssh.com,hmac-sha1-etm@openssh.com,umac-64-etm@openssh.com,umac-128-etm@openssh.com,\
        hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-ripemd160-etm@openssh.com,\
        hmac-sha1-96-etm@openssh.com,hmac-md5-96-etm@openssh.com,hmac-md5,hmac-sha1,umac-64@openssh.com,\
        umac-128@openssh.com,hmac-sha2-256,hmac-sha2-512,hmac-ripemd160,hmac-ripemd160@openssh.com,hmac-sha1-96,\
        hmac-md5-96"),
    ((6, 1), "hmac-md5,hmac-sha1,umac-64@openssh.com,hmac-sha2-256,hmac-sha2-512,hmac-ripemd160,\
        hmac-ripemd160@openssh.com,hmac-sha1-96,hmac-md5-96"),
    ((5, 9), "hmac-md5,hmac-sha1,umac-64@openssh.com,hmac-sha2-256,hmac-sha2-256-96,hmac-sha2-512,hmac-sha2-512-96,\
        hmac-ripemd160,hmac-ripemd160@openssh.com,hmac-sha1-96,hmac-md5-96"),
    ((4, 7), "hmac-md5,hmac-sha1,umac-64@openssh.com,hmac-ripemd160,hmac-ripemd160@openssh.com,hmac-sha1-96,\
        hmac-md5-96"),
    ((0, 0), "hmac-md5,hmac-sha1,hmac-ripemd160,hmac-ripemd160@openssh.com,hmac-sha1-96,hmac-md5-96"),
];

/// Names under which an RSA host key signs.
const RSA: &Table = &[
    ((8, 8), "rsa-sha2-512,rsa-sha2-256"),
    ((7, 8), "rsa-sha2-512,rsa-sha2-256,ssh-rsa"),
    ((7, 2), "ssh-rsa,rsa-sha2-512,rsa-sha2-256"),
    ((0, 0), "ssh-rsa"),
];

/// `server-sig-algs` (RFC 8308, section 3.1); empty before there was one.
#[rustfmt::skip]
const SIGNATURES: &Table = &[
    ((9, 6), "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,sk-ssh-ed25519@openssh.com,\
        sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256"),
    ((9, 2), "ssh-ed25519,sk-ssh-ed25519@openssh.com,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,\
        sk-ecdsa-sha2-nistp256@openssh.com,webauthn-sk-ecdsa-sha2-nistp256@openssh.com,ssh-dss,ssh-rsa,rsa-sha2-256,\
        rsa-sha2-512"),
    ((8, 4), "ssh-ed25519,sk-ssh-ed25519@openssh.com,ssh-rsa,rsa-sha2-256,rsa-sha2-512,ssh-dss,ecdsa-sha2-nistp256,\
        ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,sk-ecdsa-sha2-nistp256@openssh.com,\
        webauthn-sk-ecdsa-sha2-nistp256@openssh.com"),
    ((8, 2), "ssh-ed25519,sk-ssh-ed25519@openssh.com,ssh-rsa,rsa-sha2-256,rsa-sha2-512,ssh-dss,ecdsa-sha2-nistp256,\
        ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,sk-ecdsa-sha2-nistp256@openssh.com"),
    ((7, 5), "ssh-ed25519,ssh-rsa,rsa-sha2-256,rsa-sha2-512,ssh-dss,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,\
        ecdsa-sha2-nistp521"),
    ((7, 2), "rsa-sha2-256,rsa-sha2-512"),
    ((0, 0), ""),
];

impl Release {
    /// Of a server that does not say that it is OpenSSH.
    const NEWEST: Self = Self { number: (10, 0), strict: true, renamed: true };

    /// The release that a banner such as `SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10` claims.
    pub(super) fn claimed(banner: &str) -> Self {
        let Some(number) = number(banner) else { return Self::NEWEST };
        let update = |before: &str| {
            let after = banner.split_once(before).map(|(_, after)| after);
            let digits =
                after.map(|after| after.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
            digits.and_then(|digits| digits.parse::<u32>().ok()).unwrap_or_default()
        };
        // CVE-2023-48795, by the first update that has the answer to it.
        let backported = update("_9.2p1 Debian-2+deb12u") >= 2
            || update("_8.4p1 Debian-5+deb11u") >= 3
            || update("_7.9p1 Debian-10+deb10u") >= 4
            || update("_8.9p1 Ubuntu-3ubuntu0.") >= 6
            || update("_8.2p1 Ubuntu-4ubuntu0.") >= 11;
        Self {
            number,
            strict: number >= (9, 6) || backported,
            // The name that RFC 9941 gave it, in the stable updates of autumn 2025.
            renamed: update("_9.2p1 Debian-2+deb12u") >= 7,
        }
    }

    /// Whether it is that release or a later one.
    pub(super) fn since(&self, major: u16, minor: u16) -> bool {
        self.number >= (major, minor)
    }

    fn row(&self, table: &Table) -> &'static str {
        table.iter().find(|(first, _)| *first <= self.number).map_or("", |(_, list)| list)
    }

    /// Key exchange methods, with the pseudo-methods that announce extensions.
    pub(super) fn kex(&self) -> String {
        let mut list = self.row(KEX).to_owned();
        if self.renamed && !self.since(9, 9) {
            list.insert_str(0, "sntrup761x25519-sha512,");
        }
        if self.since(9, 6) {
            list.push_str(",ext-info-s");
        }
        if self.strict {
            list.push(',');
            list.push_str(STRICT_SERVER);
        }
        list
    }

    /// Ciphers, either way.
    pub(super) fn ciphers(&self) -> &'static str {
        self.row(CIPHERS)
    }

    /// Message authentication, either way.
    pub(super) fn macs(&self) -> &'static str {
        self.row(MACS)
    }

    /// Compression, either way: what is not `none` begins after a login, so never.
    pub(super) fn compression(&self) -> &'static str {
        "none,zlib@openssh.com"
    }

    /// Names under which an RSA host key signs.
    pub(super) fn rsa(&self) -> &'static str {
        self.row(RSA)
    }

    /// How long `ssh-keygen` makes RSA keys.
    pub(super) fn rsa_bits(&self) -> u32 {
        if self.since(8, 0) { 3072 } else { 2048 }
    }

    /// What EXT_INFO holds: names and values. Empty if there is none.
    pub(super) fn extensions(&self) -> Vec<(&'static str, &'static str)> {
        let mut extensions = Vec::new();
        if self.since(7, 2) {
            extensions.push(("server-sig-algs", self.signatures()));
        }
        if self.since(8, 9) {
            extensions.push(("publickey-hostbound@openssh.com", "0"));
        }
        if self.since(9, 5) {
            extensions.push(("ping@openssh.com", "0"));
        }
        extensions
    }

    /// Algorithms of users' keys.
    pub(super) fn signatures(&self) -> &'static str {
        self.row(SIGNATURES)
    }
}

/// The pseudo-methods of the strict key exchange (PROTOCOL of OpenSSH, section 1.10).
pub(super) const STRICT_SERVER: &str = "kex-strict-s-v00@openssh.com";
pub(super) const STRICT_CLIENT: &[u8] = b"kex-strict-c-v00@openssh.com";

/// `OpenSSH_9.2p1`, `OpenSSH_for_Windows_8.1`: major and minor.
fn number(banner: &str) -> Option<(u16, u16)> {
    let (_, after) = banner.split_once("OpenSSH_")?;
    let version = after.strip_prefix("for_Windows_").unwrap_or(after);
    let (major, rest) = version.split_once('.')?;
    let minor = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::ssh::{cipher, kex, mac};

    #[test]
    fn a_banner_names_its_release() {
        assert_eq!(number("SSH-2.0-OpenSSH_5.1p1 Debian-4"), Some((5, 1)));
        assert_eq!(number("SSH-2.0-OpenSSH_for_Windows_8.1"), Some((8, 1)));
        assert_eq!(number("SSH-2.0-OpenSSH_10.0p2 Debian-7"), Some((10, 0)));
        assert_eq!(Release::claimed("SSH-2.0-dropbear_2022.83"), Release::NEWEST);
        assert!(!Release::claimed("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u1").strict);
        assert!(Release::claimed("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10").strict);
    }

    #[test]
    fn lists_follow_the_release() {
        let kex = |banner: &str| Release::claimed(banner).kex();
        assert!(kex("SSH-2.0-OpenSSH_5.1p1 Debian-4").starts_with("diffie-hellman-group-exchange-sha256,"));
        assert!(kex("SSH-2.0-OpenSSH_8.4p1 Debian-5+deb11u1").ends_with(",diffie-hellman-group14-sha256"));
        assert!(
            kex("SSH-2.0-OpenSSH_9.6p1 Ubuntu-3ubuntu13")
                .ends_with(",ext-info-s,kex-strict-s-v00@openssh.com")
        );
        assert!(kex("SSH-2.0-OpenSSH_9.2p1 Debian-2").starts_with("sntrup761x25519-sha512@openssh.com,"));
        assert_eq!(Release::claimed("SSH-2.0-OpenSSH_7.4").rsa(), "ssh-rsa,rsa-sha2-512,rsa-sha2-256");
    }

    #[test]
    fn every_algorithm_of_every_release_can_be_spoken() {
        let all =
            |table: &Table| -> Vec<&str> { table.iter().flat_map(|(_, list)| list.split(',')).collect() };
        for name in all(KEX) {
            assert!(kex::method(name).is_some(), "{name}");
        }
        for name in all(CIPHERS) {
            assert!(cipher::algorithm(name).is_some(), "{name}");
        }
        for name in all(MACS) {
            assert!(mac::algorithm(name).is_some(), "{name}");
        }
    }
}
