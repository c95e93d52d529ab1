//! Secrets at rest: sealed with the installation's key, which is not in the database.

use std::fmt;

use assay_core::id::ConnectionId;
use hmac::{Hmac, Mac};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::{Digest, Sha256};

/// The installation's key. Whoever loses it must enter the secrets of all connections again.
#[derive(Clone)]
pub struct SealingKey([u8; 32]);

/// What was sealed cannot be opened: another key, or changed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed secrets cannot be opened (hint: the key is not the one that they were sealed with)")]
pub struct CannotOpen;

impl SealingKey {
    /// Out of random bytes that the operator keeps.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Seals a secret for one place: it opens nowhere else. `nonce` must be drawn by chance for every call.
    ///
    /// # Errors
    /// Never for secrets below 256 GiB.
    pub fn seal(&self, place: &str, secret: &[u8], nonce: [u8; NONCE_LEN]) -> Result<Vec<u8>, CannotOpen> {
        let mut sealed = secret.to_vec();
        let tag = self
            .cipher()?
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place.as_bytes()),
                &mut sealed,
            )
            .map_err(|_| CannotOpen)?;
        Ok([nonce.as_slice(), &sealed, tag.as_ref()].concat())
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// When it was sealed with another key, for another place, or was changed.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, CannotOpen> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(CannotOpen)?;
        let mut rest = rest.to_vec();
        let secret = self
            .cipher()?
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(place.as_bytes()),
                &mut rest,
            )
            .map_err(|_| CannotOpen)?;
        Ok(secret.to_vec())
    }

    /// A mark that only this installation can make, 16 hexadecimal digits.
    pub(crate) fn mark(&self, text: &str) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.derived("mark")) else {
            return String::new();
        };
        mac.update(text.as_bytes());
        let bytes = mac.finalize().into_bytes();
        bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// What stands for a forge's repository whose candidate was erased: it is recognised by whoever names it, and tells its name
    /// to nobody who has only the database.
    pub(crate) fn tombstone(&self, connection: &ConnectionId, repository: &str) -> String {
        format!("erased:{}", self.mark(&format!("{connection}\n{repository}")))
    }

    fn cipher(&self) -> Result<LessSafeKey, CannotOpen> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &self.derived("seal")).map_err(|_| CannotOpen)?;
        Ok(LessSafeKey::new(key))
    }

    /// One key for each use. The key is uniformly random, so a hash is enough of a derivation.
    fn derived(&self, usage: &str) -> [u8; 32] {
        Sha256::new()
            .chain_update(self.0)
            .chain_update(usage.as_bytes())
            .finalize()
            .into()
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_opens_it_and_only_in_its_place() {
        let key = SealingKey::new([7; 32]);
        let sealed = key.seal("connection-a", b"secret", [1; NONCE_LEN]).unwrap();
        assert!(!sealed.windows(6).any(|bytes| bytes == b"secret"));
        assert_eq!(key.open("connection-a", &sealed).unwrap(), b"secret");
        assert_eq!(key.open("connection-b", &sealed), Err(CannotOpen));
        assert_eq!(
            SealingKey::new([8; 32]).open("connection-a", &sealed),
            Err(CannotOpen)
        );
        for i in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[i] ^= 1;
            assert_eq!(key.open("connection-a", &changed), Err(CannotOpen), "byte {i}");
        }
        assert_eq!(key.open("connection-a", b""), Err(CannotOpen));
        assert_eq!(format!("{key:?}"), "SealingKey(…)");
    }
}
