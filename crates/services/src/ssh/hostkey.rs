//! Host keys: made once, kept, and signed with (RFC 4253 section 6.6, RFC 5656, RFC 8332, RFC 8709).

use std::path::Path;

use haldane_core::Keep;
use openssl::{
    dsa::{Dsa, DsaSig},
    ec::{EcGroup, EcKey, PointConversionForm},
    ecdsa::EcdsaSig,
    error::ErrorStack,
    hash::{MessageDigest, hash},
    md::Md,
    nid::Nid,
    pkey::{Id, PKey, Private},
    pkey_ctx::{NonceType, PkeyCtx},
    rsa::Rsa,
    sign::Signer,
};

use super::{release::Release, wire::Put};

/// A key with what we say about it.
#[derive(Debug)]
pub(super) struct HostKey {
    sort: Sort,
    key: PKey<Private>,
    /// The public key as the protocol writes it.
    pub(super) public: Vec<u8>,
    /// Names under which it signs.
    names: &'static str,
}

/// The sorts of keys, in the order in which Debian lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Rsa,
    Dsa,
    Ecdsa,
    Ed25519,
}

impl Sort {
    const ALL: [Self; 4] = [Self::Rsa, Self::Dsa, Self::Ecdsa, Self::Ed25519];

    fn file(self) -> &'static str {
        match self {
            Self::Rsa => "ssh_host_rsa_key",
            Self::Dsa => "ssh_host_dsa_key",
            Self::Ecdsa => "ssh_host_ecdsa_key",
            Self::Ed25519 => "ssh_host_ed25519_key",
        }
    }

    fn is_made_by(self, release: &Release) -> bool {
        match self {
            Self::Rsa => true,
            Self::Dsa => !release.since(7, 0),
            Self::Ecdsa => release.since(5, 7),
            Self::Ed25519 => release.since(6, 5),
        }
    }

    fn names(self, release: &Release) -> &'static str {
        match self {
            Self::Rsa => release.rsa(),
            Self::Dsa => "ssh-dss",
            Self::Ecdsa => "ecdsa-sha2-nistp256",
            Self::Ed25519 => "ssh-ed25519",
        }
    }

    fn id(self) -> Id {
        match self {
            Self::Rsa => Id::RSA,
            Self::Dsa => Id::DSA,
            Self::Ecdsa => Id::EC,
            Self::Ed25519 => Id::ED25519,
        }
    }

    fn make(self, release: &Release) -> Result<PKey<Private>, ErrorStack> {
        match self {
            Self::Rsa => PKey::from_rsa(Rsa::generate(release.rsa_bits())?),
            Self::Dsa => PKey::from_dsa(Dsa::generate(1024)?),
            Self::Ecdsa => {
                PKey::from_ec_key(EcKey::generate(EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?.as_ref())?)
            }
            Self::Ed25519 => PKey::generate_ed25519(),
        }
    }
}

/// The keys that a server of that release has, made now if they were not kept.
///
/// A folder that OpenCanary has used holds `id_rsa`: that key is taken over, so that those who know the decoy by
/// its key still do.
///
/// # Errors
/// In words for the operator.
pub(super) fn host_keys(
    keep: &dyn Keep,
    folder: Option<&Path>,
    release: &Release,
) -> Result<Vec<HostKey>, String> {
    let wanted = Sort::ALL.into_iter().filter(|sort| sort.is_made_by(release));
    wanted
        .map(|sort| {
            let inherited = || folder.filter(|_| sort == Sort::Rsa).and_then(inherited);
            let mut make = || {
                let key = inherited().map_or_else(|| sort.make(release), Ok);
                key.and_then(|key| key.private_key_to_pem_pkcs8()).map_err(|error| error.to_string())
            };
            let pem = keep.keep(folder, sort.file(), &mut make)?;
            let key =
                PKey::private_key_from_pem_passphrase(&pem, b"").ok().filter(|key| key.id() == sort.id());
            let key = key.ok_or_else(|| {
                let file = sort.file();
                format!("{file}: not such a key in PEM; ssh-keygen -p -m PKCS8 -f {file} makes it one")
            })?;
            HostKey::new(sort, key, sort.names(release)).map_err(|error| format!("{}: {error}", sort.file()))
        })
        .collect()
}

/// The RSA key that OpenCanary has left there, if it is long enough for today's clients.
fn inherited(folder: &Path) -> Option<PKey<Private>> {
    let pem = std::fs::read(folder.join("id_rsa")).ok()?;
    PKey::private_key_from_pem_passphrase(&pem, b"")
        .ok()
        .filter(|key| key.id() == Id::RSA && key.bits() >= 1024)
}

impl HostKey {
    fn new(sort: Sort, key: PKey<Private>, names: &'static str) -> Result<Self, ErrorStack> {
        let mut public = Vec::new();
        match sort {
            Sort::Rsa => {
                let rsa = key.rsa()?;
                public.put_string("ssh-rsa");
                public.put_mpint(&rsa.e().to_vec());
                public.put_mpint(&rsa.n().to_vec());
            }
            Sort::Dsa => {
                let dsa = key.dsa()?;
                public.put_string("ssh-dss");
                for number in [dsa.p(), dsa.q(), dsa.g(), dsa.pub_key()] {
                    public.put_mpint(&number.to_vec());
                }
            }
            Sort::Ecdsa => {
                let ec = key.ec_key()?;
                let mut scratch = openssl::bn::BigNumContext::new()?;
                let form = PointConversionForm::UNCOMPRESSED;
                public.put_string("ecdsa-sha2-nistp256");
                public.put_string("nistp256");
                public.put_string(ec.public_key().to_bytes(ec.group(), form, &mut scratch)?);
            }
            Sort::Ed25519 => {
                public.put_string("ssh-ed25519");
                public.put_string(key.raw_public_key()?);
            }
        }
        Ok(Self { sort, key, public, names })
    }

    /// Names under which it signs, as a list.
    pub(super) fn names(&self) -> &'static str {
        self.names
    }

    /// Signs under one of its names.
    pub(super) fn sign(&self, name: &str, data: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        let signature = match self.sort {
            Sort::Rsa => {
                let digest = match name {
                    "rsa-sha2-512" => MessageDigest::sha512(),
                    "rsa-sha2-256" => MessageDigest::sha256(),
                    _ => MessageDigest::sha1(),
                };
                let mut signer = Signer::new(digest, &self.key)?;
                signer.update(data)?;
                signer.sign_to_vec()?
            }
            Sort::Dsa => {
                let signature = self.signed(Md::sha1(), &hash(MessageDigest::sha1(), data)?)?;
                let signature = DsaSig::from_der(&signature)?;
                [signature.r().to_vec_padded(20)?, signature.s().to_vec_padded(20)?].concat()
            }
            Sort::Ecdsa => {
                let signature = self.signed(Md::sha256(), &hash(MessageDigest::sha256(), data)?)?;
                let signature = EcdsaSig::from_der(&signature)?;
                let mut pair = Vec::new();
                pair.put_mpint(&signature.r().to_vec());
                pair.put_mpint(&signature.s().to_vec());
                pair
            }
            Sort::Ed25519 => Signer::new_without_digest(&self.key)?.sign_oneshot_to_vec(data)?,
        };
        let mut blob = Vec::new();
        blob.put_string(name);
        blob.put_string(signature);
        Ok(blob)
    }

    /// With a nonce that follows from key and data (RFC 6979): a conversation can be replayed.
    fn signed(&self, digest: &openssl::md::MdRef, hashed: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        let mut context = PkeyCtx::new(&self.key)?;
        context.sign_init()?;
        context.set_signature_md(digest)?;
        context.set_nonce_type(NonceType::DETERMINISTIC_K)?;
        let mut signature = Vec::new();
        context.sign_to_vec(hashed, &mut signature)?;
        Ok(signature)
    }
}
