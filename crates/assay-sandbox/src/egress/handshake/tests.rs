//! Real handshakes, record by record.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion,
};

use super::{Handshake, Observer};

/// A certificate authority, and `registry.test` that it vouches for. Made for this test; they open nothing.
const CA: &[u8] = include_bytes!("testdata/ca.pem");
const CERTIFICATE: &[u8] = include_bytes!("testdata/registry.pem");
const KEY: &[u8] = include_bytes!("testdata/registry.key");

fn config<T>(
    version: &'static SupportedProtocolVersion,
    make: impl FnOnce(Arc<rustls::crypto::CryptoProvider>, &[&'static SupportedProtocolVersion]) -> T,
) -> T {
    make(Arc::new(rustls::crypto::ring::default_provider()), &[version])
}

fn client(version: &'static SupportedProtocolVersion, trusts: bool) -> ClientConnection {
    let mut roots = RootCertStore::empty();
    if trusts {
        roots.add(CertificateDer::from_pem_slice(CA).unwrap()).unwrap();
    }
    let config = config(version, |provider, versions| {
        let builder = ClientConfig::builder_with_provider(provider);
        builder
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    });
    ClientConnection::new(Arc::new(config), ServerName::try_from("registry.test").unwrap()).unwrap()
}

fn server(version: &'static SupportedProtocolVersion) -> ServerConnection {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let config = config(version, |provider, versions| {
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth();
        builder.with_single_cert(vec![certificate], key).unwrap()
    });
    ServerConnection::new(Arc::new(config)).unwrap()
}

/// Lets both talk until neither has anything to say, in pieces of `piece` bytes.
fn talk(mut client: ClientConnection, mut server: ServerConnection, piece: usize) -> Handshake {
    let mut observer = Observer::default();
    let mut state = Handshake::None;
    client
        .writer()
        .write_all(b"GET /simple/ HTTP/1.1\r\n\r\n")
        .unwrap();
    loop {
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        while client.wants_write() {
            client.write_tls(&mut asked).unwrap();
        }
        asked
            .chunks(piece)
            .for_each(|piece| state = observer.client_said(piece));
        deliver(&asked, |bytes| server.read_tls(bytes));
        // Who refuses, says so in what it writes next.
        server.process_new_packets().map(drop).ok();
        while server.wants_write() {
            server.write_tls(&mut answered).unwrap();
        }
        answered
            .chunks(piece)
            .for_each(|piece| state = observer.server_said(piece));
        deliver(&answered, |bytes| client.read_tls(bytes));
        client.process_new_packets().map(drop).ok();
        if asked.is_empty() && answered.is_empty() {
            return state;
        }
    }
}

fn deliver(mut bytes: &[u8], mut read: impl FnMut(&mut dyn Read) -> std::io::Result<usize>) {
    while !bytes.is_empty() && read(&mut bytes).is_ok_and(|n| n > 0) {}
}

#[test]
fn it_is_told_whether_the_client_trusted_the_server() {
    for version in [&TLS12, &TLS13] {
        for piece in [1, 7, 16 << 10] {
            assert_eq!(
                talk(client(version, true), server(version), piece),
                Handshake::Completed,
                "{version:?}"
            );
            assert_eq!(
                talk(client(version, false), server(version), piece),
                Handshake::Abandoned,
                "{version:?}"
            );
        }
    }
}

#[test]
fn a_server_that_refuses_is_told_apart() {
    assert_eq!(
        talk(client(&TLS13, true), server(&TLS12), 100),
        Handshake::Refused
    );
}

/// Headers with the first byte of what follows them.
const CLIENT_HELLO: &[u8] = &[22, 3, 1, 0, 2, 1, 0];
const SERVER_HELLO: &[u8] = &[22, 3, 3, 0, 2, 2, 0];

#[test]
fn only_a_client_that_goes_on_has_accepted() {
    let cases: [(&[&[u8]], Handshake); 6] = [
        (&[], Handshake::None),
        (
            &[b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 400 Bad\r\n\r\n"],
            Handshake::None,
        ),
        (&[CLIENT_HELLO], Handshake::Unanswered),
        (&[CLIENT_HELLO, b"HTTP/1.1 503 Busy\r\n\r\n"], Handshake::Refused),
        // Asked for another hello, it has accepted nothing yet.
        (&[CLIENT_HELLO, SERVER_HELLO, CLIENT_HELLO], Handshake::Abandoned),
        // An alert, in the clear and encrypted.
        (
            &[
                CLIENT_HELLO,
                SERVER_HELLO,
                &[21, 3, 3, 0, 2, 2, 48, 23, 3, 3, 0, 19, 0],
            ],
            Handshake::Abandoned,
        ),
    ];
    for (said, state) in cases {
        let mut observer = Observer::default();
        let mut seen = Handshake::None;
        for (i, bytes) in said.iter().enumerate() {
            seen = if i % 2 == 0 {
                observer.client_said(bytes)
            } else {
                observer.server_said(bytes)
            };
        }
        assert_eq!(seen, state, "{said:?}");
    }
}
