//! The pod's network: loopback and nothing else, and who listens on it.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use assay_sandbox::{Command, Probe, Target};

use crate::with_bench;

/// A server that answers everything with a status, in Perl.
pub(crate) fn server(port: u16, status: u16) -> Command {
    let program = format!(
        r#"use Socket; socket(S, PF_INET, SOCK_STREAM, 0); setsockopt(S, SOL_SOCKET, SO_REUSEADDR, 1);
        bind(S, sockaddr_in({port}, INADDR_LOOPBACK)) or die; listen(S, 9) or die;
        while (accept(C, S)) {{ sysread(C, $b, 999); syswrite(C, "HTTP/1.1 {status} X\r\n\r\n"); close C }}"#
    );
    Command::new(["perl".to_owned(), "-e".to_owned(), program])
}

const SOON: Duration = Duration::from_secs(10);
const OFTEN: Duration = Duration::from_millis(20);

fn health(status: u16) -> Target {
    Target::Http {
        port: 8080,
        path: "/health".to_owned(),
        status,
    }
}

#[tokio::test]
async fn nothing_outside_the_pod_can_be_reached() {
    with_bench(async |bench| {
        let container = bench.container().await;
        let look = container
            .exec(Command::shell("ls /sys/class/net; tail -n +2 /proc/net/route"))
            .await
            .unwrap();
        assert_eq!(look.stdout.text(), "lo\n");
        // An address for documentation; there is no route to it, as to any other.
        let connect = "exec 3<>/dev/tcp/192.0.2.1/443";
        let tried = container
            .exec(Command::new(["bash", "-c", connect]))
            .await
            .unwrap();
        assert!(
            tried.stderr.text().contains("Network is unreachable"),
            "{tried:?}"
        );
        assert!(
            !container
                .exec(Command::shell("getent hosts example.org"))
                .await
                .unwrap()
                .success()
        );
    })
    .await;
}

#[tokio::test]
async fn containers_of_a_pod_meet_on_loopback_and_those_of_others_do_not() {
    with_bench(async |bench| {
        let pod = bench.run.pod().await.unwrap();
        let (app, client) = (bench.container_in(&pod).await, bench.container_in(&pod).await);
        let stranger = bench.container().await;

        let waited = pod
            .wait(health(200), Duration::from_millis(100), OFTEN)
            .await
            .unwrap();
        assert_eq!(waited.last, Probe::NotListening);
        assert_eq!(pod.listeners(&[8080]).await.unwrap(), []);

        let service = app.spawn(server(8080, 503)).await.unwrap();
        assert!(
            pod.wait(Target::Tcp { port: 8080 }, SOON, OFTEN)
                .await
                .unwrap()
                .is_ready()
        );
        let waited = pod
            .wait(health(200), Duration::from_millis(200), OFTEN)
            .await
            .unwrap();
        assert_eq!(waited.last, Probe::Status(503));
        assert!(pod.wait(health(503), SOON, OFTEN).await.unwrap().is_ready());

        let listeners = pod.listeners(&[8080]).await.unwrap();
        let [listener] = listeners.as_slice() else {
            panic!("{listeners:?}")
        };
        assert_eq!(
            (listener.address, listener.port),
            (IpAddr::V4(Ipv4Addr::LOCALHOST), 8080)
        );
        assert_eq!(listener.uid, app.uid());

        let connect = Command::new(["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080"]);
        assert!(client.exec(connect.clone()).await.unwrap().success());
        assert!(!stranger.exec(connect).await.unwrap().success());

        service.stop(Duration::from_secs(1)).await.unwrap();
        assert!(app.spawn(server(8080, 200)).await.unwrap().is_running());
        assert!(
            pod.wait(health(200), SOON, OFTEN).await.unwrap().is_ready(),
            "it can start again on the same port"
        );
    })
    .await;
}

#[tokio::test]
async fn a_wait_that_nobody_waits_for_asks_no_more() {
    with_bench(async |bench| {
        let pod = bench.run.pod().await.unwrap();
        let app = bench.container_in(&pod).await;
        let long = Duration::from_secs(60);
        drop(tokio::time::timeout(Duration::from_millis(100), pod.wait(health(200), long, OFTEN)).await);
        // Were anyone still asking, this server would see it.
        let watch = r#"use Socket; socket(S, PF_INET, SOCK_STREAM, 0); bind(S, sockaddr_in(8080, INADDR_LOOPBACK));
            listen(S, 9); $SIG{ALRM} = sub { exit 0 }; alarm 1; accept(C, S); exit 1"#;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let watched = app.exec(Command::new(["perl", "-e", watch])).await.unwrap();
        assert_eq!(watched.code, Some(0));
    })
    .await;
}
