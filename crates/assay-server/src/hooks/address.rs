//! Which addresses of forges may be called.
//!
//! A forge's address is entered by an administrator and never comes from a payload. It is checked when the connection is
//! made, and every name is looked up and checked again at each call of the API, so a name that moves to a private address
//! later is refused too. Redirects are not followed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The address of a forge cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// Not an address.
    #[error("`{0}` is no address (hint: https://git.example.org)")]
    NotAnAddress(String),
    /// Another scheme.
    #[error("the address must begin with https:// (hint: http:// only for a forge in your own network)")]
    Scheme,
    /// More than a server and a path.
    #[error("the address must not hold a user, a password, a query or a fragment")]
    TooMuch,
    /// The host is in a private network.
    #[error("the host is in a private network (hint: allow private addresses for this connection)")]
    Private,
}

/// Checks a forge's address and gives it without a slash at its end.
///
/// # Errors
/// When it is no https address, or names a host in a private network; both may be allowed by `allow_private`.
pub fn check(text: &str, allow_private: bool) -> Result<String, BadAddress> {
    let url = Url::parse(text.trim()).map_err(|_| BadAddress::NotAnAddress(text.to_owned()))?;
    match url.scheme() {
        "https" => (),
        "http" if allow_private => (),
        _ => return Err(BadAddress::Scheme),
    }
    if !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err(BadAddress::TooMuch);
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let private = match host.parse::<IpAddr>() {
        Ok(ip) => !is_public(ip),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    };
    if private && !allow_private {
        return Err(BadAddress::Private);
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Whether an address is reachable from everywhere, and so cannot be a host of ours that trusts its neighbours.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || a == 0
        || a >= 224
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b)))
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    if let Some(v4) = ip.to_ipv4_mapped() {
        return is_public_v4(v4);
    }
    match ip.segments() {
        // NAT64 and 6to4 lead to the IPv4 address that they hold.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            is_public_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
        }
        // Of the rest only 2000::/3 is given out, and documentation is not.
        [0x2001, 0x0db8, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// Looks names up and leaves out what is private.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(BadAddress::Private.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_to_public_hosts() {
        use BadAddress::{NotAnAddress, Private, Scheme, TooMuch};
        for (text, expected) in [
            ("https://git.example.org/", Ok("https://git.example.org")),
            ("https://git.example.org/sub/", Ok("https://git.example.org/sub")),
            ("http://git.example.org", Err(Scheme)),
            ("file:///etc/passwd", Err(Scheme)),
            ("ssh://git@example.org/x", Err(Scheme)),
            ("git.example.org", Err(NotAnAddress("git.example.org".into()))),
            ("https://user:pass@example.org", Err(TooMuch)),
            ("https://example.org/?a=b", Err(TooMuch)),
            ("https://127.0.0.1", Err(Private)),
            ("https://0x7f.1", Err(Private)),
            ("https://2130706433", Err(Private)),
            ("https://169.254.169.254/latest", Err(Private)),
            ("https://10.0.0.1", Err(Private)),
            ("https://100.64.0.1", Err(Private)),
            ("https://[::1]", Err(Private)),
            ("https://[::ffff:10.0.0.1]", Err(Private)),
            ("https://[64:ff9b::7f00:1]", Err(Private)),
            ("https://[fd00::1]", Err(Private)),
            ("https://localhost:8443", Err(Private)),
            ("https://8.8.8.8", Ok("https://8.8.8.8")),
            ("https://[2606:4700::1]", Ok("https://[2606:4700::1]")),
        ] {
            assert_eq!(check(text, false).as_deref(), expected.as_deref(), "{text}");
        }
        assert_eq!(
            check("http://127.0.0.1:3000/", true).as_deref(),
            Ok("http://127.0.0.1:3000")
        );
        assert_eq!(check("file:///x", true), Err(Scheme));
    }
}
