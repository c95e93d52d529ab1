//! Relays TCP connections of the pod's loopback to a Unix socket.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::Semaphore;

/// Connections relayed at once; the next ones wait in the listen queue.
const MAX_CONNECTIONS: usize = 64;

/// How long to pause when the system refuses a connection, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Listens on `address` and relays every connection to the Unix socket `socket`, for ever.
///
/// # Errors
/// When the address cannot be listened on.
pub(crate) async fn main(address: &str, socket: &str) -> io::Result<()> {
    relay(TcpListener::bind(address).await?, Path::new(socket)).await
}

async fn relay(listener: TcpListener, socket: &Path) -> io::Result<()> {
    let socket: Arc<Path> = Arc::from(socket);
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let slot = Arc::clone(&slots)
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        let Ok((client, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let socket = Arc::clone(&socket);
        tokio::spawn(async move {
            // A broken connection is seen by the two ends; there is nothing to add here.
            drop(join(client, &socket).await);
            drop(slot);
        });
    }
}

async fn join(mut client: TcpStream, socket: &Path) -> io::Result<()> {
    let mut server = UnixStream::connect(socket).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server)
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;

    use super::*;

    #[tokio::test]
    async fn bytes_go_both_ways() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.sock");
        let server = UnixListener::bind(&path).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let relay = tokio::spawn(async move { relay(listener, &path).await });

        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"ping").await.unwrap();
        client.shutdown().await.unwrap();
        let (mut accepted, _) = server.accept().await.unwrap();
        let mut asked = Vec::new();
        accepted.read_to_end(&mut asked).await.unwrap();
        accepted.write_all(b"pong").await.unwrap();
        drop(accepted);
        let mut answered = Vec::new();
        client.read_to_end(&mut answered).await.unwrap();

        assert_eq!(
            (asked.as_slice(), answered.as_slice()),
            (&b"ping"[..], &b"pong"[..])
        );
        relay.abort();
    }
}
