//! The one way out, for builds that are allowed one.

use std::collections::BTreeSet;
use std::time::Duration;

use assay_sandbox::egress::Verdict;
use assay_sandbox::{Command, Egress, EgressSpec, Pod};

use crate::with_bench;

#[tokio::test]
async fn a_build_reaches_the_proxy_and_nothing_that_is_not_on_its_list() {
    with_bench(async |bench| {
        let egress = Egress::open(EgressSpec {
            allow: BTreeSet::from(["localhost".to_owned()]),
            max_bytes: 1 << 20,
            max_connections: 4,
            max_duration: Duration::from_secs(5),
            allow_private: false,
        })
        .unwrap();
        let pod = bench.run.pod_with_egress(&egress).await.unwrap();
        assert_eq!(Pod::EGRESS_PROXY, "http://127.0.0.1:3128");
        let build = bench.container_in(&pod).await;
        let connect = |host: &str| {
            let script = format!(
                "exec 3<>/dev/tcp/127.0.0.1/3128; printf 'CONNECT {host} HTTP/1.1\\r\\n\\r\\n' >&3; head -n 1 <&3"
            );
            Command::new(["bash".to_owned(), "-c".to_owned(), script])
        };
        let denied = build.exec(connect("example.org:443")).await.unwrap();
        assert_eq!(denied.stdout.text(), "HTTP/1.1 403 Not on the list\r\n");
        let private = build.exec(connect("localhost:443")).await.unwrap();
        assert_eq!(private.stdout.text(), "HTTP/1.1 403 Private address\r\n");
        let listeners = pod.listeners(&[3128]).await.unwrap();
        assert_eq!(listeners.len(), 1);
        assert_eq!(Some(listeners[0].uid), pod.forwarder_uid());
        assert!(!build.exec(Command::shell("ls /egress")).await.unwrap().success());

        let contacts = egress.close().await;
        let verdicts: Vec<_> = contacts.iter().map(|contact| (contact.host.as_str(), contact.verdict)).collect();
        assert_eq!(verdicts, [("example.org", Verdict::Forbidden), ("localhost", Verdict::PrivateAddress)]);
    })
    .await;
}
