//! Where a repository comes from.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::display;

/// Longest address, in bytes.
const MAX_ADDRESS: usize = 2048;

/// Where a repository comes from: a directory of this machine, or an address of an allowed kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A directory that is a repository, bare or with a working tree. Only what is committed is read.
    Local(PathBuf),
    /// An `https`, `http` or `ssh` address without credentials in it.
    Remote(RemoteUrl),
}

/// A checked address: an allowed scheme, a host that cannot pass for an option, no credentials, no query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteUrl {
    url: String,
    protocol: &'static str,
}

/// Why a text is not a [`Source`]. Nothing of the address is repeated: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSource {
    /// Nothing was given.
    #[error("the address of the repository is empty")]
    Empty,
    /// Longer than any real address.
    #[error("the address of the repository is longer than {MAX_ADDRESS} bytes")]
    TooLong,
    /// A space, a control character, or something else that has no place in an address.
    #[error("the address of the repository has characters that do not belong there")]
    OddCharacters,
    /// `git://`, `ext::`, `ftp://` and the like.
    #[error("only https, http, ssh and file addresses and local directories can be fetched")]
    Scheme,
    /// A user or password in an http(s) address, or a password in an ssh address.
    #[error("the address of the repository holds credentials; leave them out")]
    Credentials,
    /// A `?query` or `#fragment`.
    #[error("the address of the repository has a query or a fragment; leave it out")]
    Query,
    /// No host, or one that starts with a dash.
    #[error("the address of the repository has no usable host name")]
    Host,
    /// A `file` address that is not `file:///absolute/path`.
    #[error("a file address looks like file:///absolute/path")]
    FileUrl,
}

impl FromStr for Source {
    type Err = BadSource;

    /// Reads `https://host/path`, `http://…`, `ssh://[user@]host/path`, `user@host:path`, `file:///path` or a path.
    fn from_str(text: &str) -> Result<Self, BadSource> {
        if text.is_empty() {
            return Err(BadSource::Empty);
        }
        if text.len() > MAX_ADDRESS {
            return Err(BadSource::TooLong);
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return match scheme.to_ascii_lowercase().as_str() {
                "https" => web("https", rest),
                "http" => web("http", rest),
                "ssh" => ssh(rest),
                "file" => file(rest),
                _ => Err(BadSource::Scheme),
            };
        }
        let before_slash = text.split('/').next().unwrap_or_default();
        match before_slash.split_once(':') {
            // `ext::sh -c …`: a transport helper.
            Some((_, rest)) if rest.starts_with(':') => Err(BadSource::Scheme),
            Some((host, _)) => {
                let path = &text[host.len() + 1..];
                user_and_host(host)?;
                check_path(path)?;
                Ok(Self::Remote(RemoteUrl {
                    url: text.to_owned(),
                    protocol: "ssh",
                }))
            }
            None if text.contains('\0') => Err(BadSource::OddCharacters),
            None => Ok(Self::Local(PathBuf::from(text))),
        }
    }
}

impl From<&Path> for Source {
    fn from(path: &Path) -> Self {
        Self::Local(path.to_owned())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = match self {
            Self::Local(path) => path.as_os_str().as_encoded_bytes(),
            Self::Remote(remote) => remote.url.as_bytes(),
        };
        f.write_str(&display::one_line(bytes, 300))
    }
}

impl RemoteUrl {
    /// The address, as `git` takes it.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Git's name of its protocol, for the allow-list.
    pub(crate) fn protocol(&self) -> &'static str {
        self.protocol
    }
}

fn web(protocol: &'static str, rest: &str) -> Result<Source, BadSource> {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.contains('@') {
        return Err(BadSource::Credentials);
    }
    check_host(authority)?;
    check_path(path)?;
    Ok(Source::Remote(RemoteUrl {
        url: format!("{protocol}://{authority}/{path}"),
        protocol,
    }))
}

fn ssh(rest: &str) -> Result<Source, BadSource> {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    user_and_host(authority)?;
    check_path(path)?;
    Ok(Source::Remote(RemoteUrl {
        url: format!("ssh://{authority}/{path}"),
        protocol: "ssh",
    }))
}

fn file(rest: &str) -> Result<Source, BadSource> {
    if !rest.starts_with('/') || rest.contains(['?', '#']) {
        return Err(BadSource::FileUrl);
    }
    let path = percent_decoded(rest).ok_or(BadSource::FileUrl)?;
    Ok(Source::Local(PathBuf::from(path)))
}

fn user_and_host(authority: &str) -> Result<(), BadSource> {
    let Some((user, host)) = authority.rsplit_once('@') else {
        return check_host(authority);
    };
    if user.contains(':') {
        return Err(BadSource::Credentials);
    }
    let odd = |c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c));
    if user.is_empty() || user.starts_with('-') || user.contains(odd) {
        return Err(BadSource::OddCharacters);
    }
    check_host(host)
}

fn check_host(host: &str) -> Result<(), BadSource> {
    let odd = |c: char| !(c.is_ascii_alphanumeric() || "-._:[]".contains(c));
    if host.is_empty() || host.starts_with(['-', ':']) || host.contains(odd) {
        return Err(BadSource::Host);
    }
    Ok(())
}

fn check_path(path: &str) -> Result<(), BadSource> {
    if path.contains(['?', '#']) {
        return Err(BadSource::Query);
    }
    if path.chars().any(|c| c.is_whitespace() || display::is_unsafe(c)) {
        return Err(BadSource::OddCharacters);
    }
    Ok(())
}

/// The path with `%20` and the like decoded, or nothing where that is not a path.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits)
            .ok()
            .filter(|digits| digits.chars().all(|c| c.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok().filter(|path| !path.contains('\0'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_that_can_be_fetched() {
        for (text, shown) in [
            ("https://github.com/a/b", "https://github.com/a/b"),
            ("HTTPS://github.com/a/b.git", "https://github.com/a/b.git"),
            ("http://127.0.0.1:8080/x", "http://127.0.0.1:8080/x"),
            ("http://[::1]:8080/x", "http://[::1]:8080/x"),
            ("ssh://git@host:2222/a/b.git", "ssh://git@host:2222/a/b.git"),
            ("git@github.com:a/b.git", "git@github.com:a/b.git"),
            ("file:///srv/my%20repo", "/srv/my repo"),
            ("../there", "../there"),
            ("/srv/a:b", "/srv/a:b"),
            (".", "."),
            ("-x", "-x"),
        ] {
            assert_eq!(
                text.parse::<Source>().map(|source| source.to_string()),
                Ok(shown.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn addresses_that_cannot() {
        let long = format!("https://host/{}", "a".repeat(3000));
        for (text, expected) in [
            ("", BadSource::Empty),
            (long.as_str(), BadSource::TooLong),
            ("git://host/x", BadSource::Scheme),
            ("ftp://host/x", BadSource::Scheme),
            ("ext::sh -c touch% /tmp/x", BadSource::Scheme),
            ("https://token@host/x", BadSource::Credentials),
            ("https://user:secret@host/x", BadSource::Credentials),
            ("ssh://user:secret@host/x", BadSource::Credentials),
            ("https://host/x?private_token=1", BadSource::Query),
            ("https://host/x#y", BadSource::Query),
            ("https:///x", BadSource::Host),
            ("ssh://-oProxyCommand=x/y", BadSource::Host),
            ("-oProxyCommand=x:y", BadSource::Host),
            ("ssh://-o@host/y", BadSource::OddCharacters),
            ("https://host/a b", BadSource::OddCharacters),
            ("https://host/a\nb", BadSource::OddCharacters),
            ("file://host/x", BadSource::FileUrl),
            ("file:///a%0", BadSource::FileUrl),
            ("file:///a%+1", BadSource::FileUrl),
            ("file:///a%00", BadSource::FileUrl),
        ] {
            assert_eq!(text.parse::<Source>(), Err(expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_address_never_holds_a_password_or_an_option(text in r"(https|ssh|ext|file)?(::|://)?[-a-z@:/%?. ]{0,30}") {
            if let Ok(Source::Remote(remote)) = text.parse() {
                let host = remote.as_str().split_once("://").map_or(remote.as_str(), |(_, rest)| rest);
                prop_assert!(!host.starts_with('-'));
                prop_assert!(!(remote.protocol() != "ssh" && host.split('/').next().unwrap_or_default().contains('@')));
            }
        }
    }
}
