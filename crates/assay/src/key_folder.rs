//! The folder of the keys that results are signed with: `signing.pem` signs, and each `….pub.pem` is the public half of one
//! that signs or signed.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use assay_core::attestation::PublicKey as _;
use assay_store::signing::{Keys, PublicKey, SigningKey};

use crate::data_folder::write_secret;

const SIGNING: &str = "signing.pem";
const PUBLIC: &str = ".pub.pem";

/// A folder of keys. It need not be there yet.
#[derive(Debug, Clone)]
pub(crate) struct KeyFolder(PathBuf);

impl KeyFolder {
    /// This one.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// That of whoever runs the program: below `XDG_DATA_HOME`, else below `.local/share` at home. None: there is no home.
    pub(crate) fn of_user() -> Option<Self> {
        let folder = |name: &str| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let data = folder("XDG_DATA_HOME").or_else(|| Some(folder("HOME")?.join(".local/share")))?;
        Some(Self(data.join("assay/keys")))
    }

    /// The keys. None: no key was made yet.
    pub(crate) fn read(&self) -> anyhow::Result<Option<Keys>> {
        let path = self.0.join(SIGNING);
        if !path.exists() {
            return Ok(None);
        }
        Ok(Some(Keys::new(signing_key(&path)?, self.public()?)))
    }

    /// The keys, after one was made where there was none.
    pub(crate) fn read_or_make(&self) -> anyhow::Result<Keys> {
        match self.read()? {
            Some(keys) => Ok(keys),
            None => self.renew(),
        }
    }

    /// Makes a new key, which signs from now on. What the one before signed can still be verified; it cannot sign any more.
    pub(crate) fn renew(&self) -> anyhow::Result<Keys> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)
            .with_context(|| format!("the folder {} cannot be made", self.0.display()))?;
        let pem = SigningKey::new_pem(&rand::random());
        let key = SigningKey::of_pem(&pem)?;
        // The public half first: what was signed can then always be verified.
        let public = self.0.join(format!("{}{PUBLIC}", key.public().id()));
        write_secret(&public, &key.public().to_pem())?;
        write_secret(&self.0.join(SIGNING), &pem)?;
        Ok(Keys::new(key, self.public()?))
    }

    /// All public keys in the folder.
    fn public(&self) -> anyhow::Result<Vec<PublicKey>> {
        let entries =
            std::fs::read_dir(&self.0).with_context(|| format!("{} cannot be read", self.0.display()))?;
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.to_str().is_some_and(|path| path.ends_with(PUBLIC)) {
                paths.push(path);
            }
        }
        paths.sort();
        let mut keys = Vec::new();
        for path in paths {
            keys.extend(public_keys(&path)?);
        }
        Ok(keys)
    }
}

/// The private key in a file.
pub(crate) fn signing_key(path: &Path) -> anyhow::Result<SigningKey> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the key {} cannot be read", path.display()))?;
    SigningKey::of_pem(&text).with_context(|| format!("{} holds no key", path.display()))
}

/// The public keys in a file.
pub(crate) fn public_keys(path: &Path) -> anyhow::Result<Vec<PublicKey>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the key {} cannot be read", path.display()))?;
    PublicKey::all_of_pem(&text).with_context(|| format!("{} holds no key", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_an_old_one_stays_known() {
        let dir = tempfile::tempdir().unwrap();
        let folder = KeyFolder::new(dir.path().join("a/keys"));
        assert!(folder.read().unwrap().is_none());
        let first = folder.read_or_make().unwrap();
        let again = folder.read_or_make().unwrap();
        assert_eq!(again.known, first.known);
        let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(folder.0.clone()), mode(folder.0.join(SIGNING))),
            (0o700, 0o600)
        );
        let second = folder.renew().unwrap();
        assert_eq!(
            second.known,
            [second.signing.public().clone(), first.signing.public().clone()]
        );
        assert_eq!(folder.read().unwrap().unwrap().known, second.known);
        std::fs::write(folder.0.join(SIGNING), "nonsense").unwrap();
        let error = format!("{:#}", folder.read().unwrap_err());
        assert!(error.contains("holds no key"), "{error}");
    }
}
