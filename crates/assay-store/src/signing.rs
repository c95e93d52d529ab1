//! The installation's keys (Ed25519): one signs, all that ever did verify. Written as PEM: PKCS #8, and `SubjectPublicKeyInfo`.

use std::fmt;
use std::sync::Arc;

use assay_core::attestation::{PublicKey as Verifies, Signer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use sha2::{Digest, Sha256};

use crate::rows::hex;

/// What stands before the 32 bytes of a private key in its PKCS #8 form.
const PRIVATE_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// What stands before the 32 bytes of a public key.
const PUBLIC_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

const PRIVATE: &str = "PRIVATE KEY";
const PUBLIC: &str = "PUBLIC KEY";

/// This is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "it is no Ed25519 {0} in PEM (hint: `openssl genpkey -algorithm ed25519` makes one, `openssl pkey -pubout` its public half)"
)]
pub struct NoKey(&'static str);

/// A public key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    id: String,
    bytes: [u8; 32],
}

impl PublicKey {
    fn new(bytes: [u8; 32]) -> Self {
        let id = hex(&Sha256::new()
            .chain_update(PUBLIC_PREFIX)
            .chain_update(bytes)
            .finalize());
        Self { id, bytes }
    }

    /// All public keys in a text.
    ///
    /// # Errors
    ///
    /// When there is none, or something else.
    pub fn all_of_pem(text: &str) -> Result<Vec<Self>, NoKey> {
        let keys: Option<Vec<Self>> = blocks(text, PUBLIC)
            .map(|der| Some(Self::new(der?.strip_prefix(&PUBLIC_PREFIX)?.try_into().ok()?)))
            .collect();
        keys.filter(|keys| !keys.is_empty()).ok_or(NoKey("public key"))
    }

    /// As PEM.
    pub fn to_pem(&self) -> String {
        pem(PUBLIC, &[PUBLIC_PREFIX.as_slice(), &self.bytes].concat())
    }
}

impl Verifies for PublicKey {
    /// SHA-256 of the key's DER form, in hexadecimal.
    fn id(&self) -> &str {
        &self.id
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.bytes)
            .verify(message, signature)
            .is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id)
    }
}

/// A key that signs. Cheap to clone.
#[derive(Clone)]
pub struct SigningKey {
    pair: Arc<Ed25519KeyPair>,
    public: PublicKey,
}

impl SigningKey {
    /// The PEM of a new key, out of 32 bytes drawn by chance.
    pub fn new_pem(seed: &[u8; 32]) -> String {
        pem(PRIVATE, &[PRIVATE_PREFIX.as_slice(), seed].concat())
    }

    /// The key in a text.
    ///
    /// # Errors
    ///
    /// When there is none, or more than one, or something else.
    pub fn of_pem(text: &str) -> Result<Self, NoKey> {
        let none = NoKey("private key");
        let mut found = blocks(text, PRIVATE);
        let (Some(Some(der)), None) = (found.next(), found.next()) else {
            return Err(none);
        };
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(|_| none)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| none)?;
        Ok(Self {
            pair: Arc::new(pair),
            public: PublicKey::new(public),
        })
    }

    /// Its public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }
}

impl Signer for SigningKey {
    fn id(&self) -> &str {
        &self.public.id
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public.id)
    }
}

/// The key that signs now, and all that may verify: that one first, then those that signed before.
#[derive(Debug, Clone)]
pub struct Keys {
    /// The one that signs.
    pub signing: SigningKey,
    /// All that verify.
    pub known: Vec<PublicKey>,
}

impl Keys {
    /// Puts them together; `former` may name the present one, too.
    pub fn new(signing: SigningKey, former: impl IntoIterator<Item = PublicKey>) -> Self {
        let mut known = vec![signing.public().clone()];
        for key in former {
            if !known.contains(&key) {
                known.push(key);
            }
        }
        Self { signing, known }
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    // Keys are so short that they fit in a line.
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        STANDARD.encode(der)
    )
}

/// The blocks of a PEM file with this label. None: one cannot be read.
fn blocks<'a>(text: &'a str, label: &str) -> impl Iterator<Item = Option<Vec<u8>>> + 'a {
    let (begin, end) = (
        format!("-----BEGIN {label}-----"),
        format!("-----END {label}-----"),
    );
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&begin)?;
        let Some((body, after)) = after.split_once(&end) else {
            rest = "";
            return Some(None);
        };
        rest = after;
        let body: String = body.split_ascii_whitespace().collect();
        Some(STANDARD.decode(body).ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_as_other_tools_have_them() {
        // Of RFC 8032, 7.1, test 1.
        let seed = [
            0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
            0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
        ];
        let private = SigningKey::new_pem(&seed);
        let key = SigningKey::of_pem(&private).unwrap();
        insta::assert_snapshot!(hex(&key.public().bytes), @"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        insta::assert_snapshot!(&hex(&key.sign(b""))[..32], @"e5564300c360ac729086e2cc806e828a");
        insta::assert_snapshot!(key.public().to_pem(), @"
        -----BEGIN PUBLIC KEY-----
        MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
        -----END PUBLIC KEY-----
        ");
        assert!(key.public().verifies(b"", &key.sign(b"")));
        assert!(!key.public().verifies(b"x", &key.sign(b"")));

        let other = SigningKey::of_pem(&SigningKey::new_pem(&[7; 32])).unwrap();
        let both = other.public().to_pem() + &key.public().to_pem();
        let read = PublicKey::all_of_pem(&both).unwrap();
        assert_eq!(read, [other.public().clone(), key.public().clone()]);
        let keys = Keys::new(key.clone(), read);
        assert_eq!(keys.known, [key.public().clone(), other.public().clone()]);

        for bad in ["", "x", "-----BEGIN PRIVATE KEY-----\nAAAA", &both] {
            assert_eq!(SigningKey::of_pem(bad).unwrap_err(), NoKey("private key"));
        }
        for bad in [
            "",
            &private,
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        ] {
            assert!(PublicKey::all_of_pem(bad).is_err());
        }
        let shown = format!("{keys:?}");
        assert!(!shown.contains(&STANDARD.encode(seed)[..8]), "{shown}");
    }
}
