//! Versions of packages, ordered as their registry orders them.

use std::str::FromStr;

/// Longest version that is read, in bytes.
const MOST_BYTES: usize = 256;

/// A registry with rules of its own for names and versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ecosystem {
    /// npm: Semantic Versioning 2.
    Npm,
    /// The Python Package Index: PEP 440.
    PyPi,
}

impl Ecosystem {
    /// The ecosystem of this name in OSV records.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "npm" => Some(Self::Npm),
            "PyPI" => Some(Self::PyPi),
            _ => None,
        }
    }

    /// The one spelling of a package's name.
    pub fn package(self, name: &str) -> String {
        match self {
            Self::Npm => name.to_owned(),
            // PEP 503: case does not count, and any run of these three is the same.
            Self::PyPi => name
                .split(['-', '_', '.'])
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join("-")
                .to_ascii_lowercase(),
        }
    }

    /// Reads a version; none when it is not one in this ecosystem.
    pub fn version(self, text: &str) -> Option<Version> {
        let text = text.trim();
        if text.len() > MOST_BYTES {
            return None;
        }
        match self {
            Self::Npm => {
                let mut version = semver::Version::parse(text.trim_start_matches(['v', '='])).ok()?;
                // What was built of it does not tell versions apart.
                version.build = semver::BuildMetadata::EMPTY;
                Some(Version::Npm(version))
            }
            Self::PyPi => pep440_rs::Version::from_str(text).ok().map(Version::PyPi),
        }
    }
}

/// A version, comparable with others of its ecosystem.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// Of npm.
    Npm(semver::Version),
    /// Of the Python Package Index.
    PyPi(pep440_rs::Version),
}
