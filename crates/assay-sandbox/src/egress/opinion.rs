//! A second opinion on a host that a pod had trouble with: this process asks it for a TLS handshake of its own. A client in the
//! pod can break off a handshake for any reason, also in order to look like a victim.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{PORT, SETUP, reach};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(15);

/// Whether a host can be reached, and shows a certificate that containers trust: one of a well-known authority, or of
/// `extra_ca` (PEM).
pub async fn is_well(host: &str, extra_ca: Option<&[u8]>) -> bool {
    let allow = BTreeSet::from([host.to_owned()]);
    let reached = tokio::time::timeout(SETUP, reach(&allow, false, host, PORT)).await;
    match reached {
        Ok(Ok(stream)) => shakes_hands(stream, host, roots(extra_ca)).await,
        Ok(Err(_)) | Err(_) => false,
    }
}

fn roots(extra_ca: Option<&[u8]>) -> RootCertStore {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.into(),
    };
    let extra = extra_ca.into_iter().flat_map(CertificateDer::pem_slice_iter);
    roots.add_parsable_certificates(extra.flatten());
    roots
}

async fn shakes_hands(stream: TcpStream, host: &str, roots: RootCertStore) -> bool {
    let Ok(name) = ServerName::try_from(host.to_owned()) else {
        return false;
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let Ok(config) = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()
    else {
        return false;
    };
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let shaken = tokio::time::timeout(HANDSHAKE, connector.connect(name, stream)).await;
    matches!(shaken, Ok(Ok(_)))
}

#[cfg(test)]
mod tests {
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    const CA: &[u8] = include_bytes!("handshake/testdata/ca.pem");
    const CERTIFICATE: &[u8] = include_bytes!("handshake/testdata/registry.pem");
    const KEY: &[u8] = include_bytes!("handshake/testdata/registry.key");

    #[tokio::test]
    async fn a_host_is_well_when_what_it_shows_is_trusted() {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()],
                PrivateKeyDer::from_pem_slice(KEY).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        for (host, extra_ca, expected) in [
            ("registry.test", Some(CA), true),
            ("registry.test", None, false),
            ("other.test", Some(CA), false),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (accepted, _) = listener.accept().await.unwrap();
            let (shaken, _) = tokio::join!(
                shakes_hands(stream, host, roots(extra_ca)),
                acceptor.accept(accepted)
            );
            assert_eq!(shaken, expected, "{host}");
        }
        assert!(
            !is_well("localhost", None).await,
            "a private address is not asked"
        );
    }
}
