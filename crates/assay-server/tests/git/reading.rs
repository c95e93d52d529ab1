//! Clone and fetch.

use assay_store::model::TokenKind;

use crate::server::{Server, TOKEN, With, now_ms};

#[tokio::test(flavor = "multi_thread")]
async fn cloned_in_every_version_of_the_protocol_whole_and_shallow() {
    let server = Server::start(With::default()).await;
    for version in ["0", "1", "2"] {
        let (setting, folder) = (format!("protocol.version={version}"), format!("v{version}"));
        server
            .ok(".", &["-c", &setting, "clone", "-q", &server.url(), &folder])
            .await;
        let files = server.ok(&folder, &["ls-files", "--stage"]).await;
        let files: Vec<&str> = files
            .lines()
            .map(|line| line.split(' ').next().unwrap())
            .collect();
        assert_eq!(files, ["100644", "100755", "100644"]);
    }
    let log = server.ok("v2", &["log", "--format=%an <%ae> %at %s %D"]).await;
    assert_eq!(
        log.trim(),
        "Assay <assay@localhost> 1790000000 begin HEAD -> main, origin/main, origin/HEAD"
    );

    for i in 0..6 {
        server.commit("v2", "f", format!("{i}")).await;
    }
    server.push("v2", &["push", "-q"]).await;
    server.ok("v0", &["-c", "protocol.version=0", "pull", "-q"]).await;
    let n = |text: String| text.trim().parse::<u32>().unwrap();
    assert_eq!(n(server.ok("v0", &["rev-list", "--count", "HEAD"]).await), 7);
    server
        .ok(".", &["clone", "-q", "--depth", "2", &server.url(), "shallow"])
        .await;
    assert_eq!(n(server.ok("shallow", &["rev-list", "--count", "HEAD"]).await), 2);
    server.ok("shallow", &["fetch", "-q", "--deepen", "3"]).await;
    assert_eq!(n(server.ok("shallow", &["rev-list", "--count", "HEAD"]).await), 5);
    server.commit("shallow", "g", "from a shallow clone").await;
    server.push("shallow", &["push", "-q"]).await;
    // What we keep for ourselves is not shown, and cannot be had by name.
    let shown = server.ok("v2", &["ls-remote", "-q"]).await;
    assert!(!shown.contains("refs/assay"), "{shown}");
    server
        .fails("v2", &["fetch", "-q", "origin", "refs/assay/push/1"])
        .await;
    server.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_with_a_packed_request() {
    let server = Server::start(With::default()).await;
    server.clone_into("a").await;
    server.clone_into("b").await;
    // Many commits that the server does not have: git packs what it says beyond a kilobyte.
    for i in 0..80 {
        server
            .ok("a", &["commit", "-q", "--allow-empty", "-m", &i.to_string()])
            .await;
    }
    server.commit("b", "f", "new").await;
    server.push("b", &["push", "-q"]).await;
    let mut fetch = server.git("a", &["-c", "protocol.version=0", "fetch"]);
    let output = fetch.env("GIT_CURL_VERBOSE", "1").output().await.unwrap();
    let said = crate::server::shown(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.to_lowercase().contains("content-encoding: gzip"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_right_token_opens_it() {
    let server = Server::start(With::default()).await;
    let clone = |secret: &str| {
        let url = server.url_with(secret);
        let server = &server;
        async move { server.fails(".", &["clone", "-q", &url, "x"]).await }
    };
    let said = clone("wrong").await;
    assert!(
        said.contains("remote: This token is wrong or was revoked"),
        "{said}"
    );
    server.invite("bob", "bobs-secret", With::default()).await;
    let said = clone("bobs-secret").await;
    assert!(
        said.contains("This token opens no repository of this name"),
        "{said}"
    );
    let revoked = server
        .app
        .store()
        .revoke_tokens_of(TokenKind::Git, "alice", now_ms());
    assert_eq!(revoked.await.unwrap(), 1);
    let said = clone(TOKEN).await;
    assert!(
        said.contains("remote: This token is wrong or was revoked"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_of_git() {
    let server = Server::start(With::default()).await;
    let client = reqwest_client();
    let get = reqwest::Method::GET;
    let post = reqwest::Method::POST;
    for (method, path, token, expected) in [
        (&get, "alice.git/info/refs?service=git-upload-pack", "", 401),
        (&get, "alice.git/info/refs?service=git-upload-pack", TOKEN, 200),
        (&get, "alice.git/info/refs", TOKEN, 403),
        (&get, "alice.git/info/refs?service=git-upload-archive", TOKEN, 403),
        (&get, "alice.git/info/refs?service=../../x", TOKEN, 403),
        (&get, "alice/info/refs?service=git-upload-pack", TOKEN, 404),
        (&get, "bob.git/info/refs?service=git-upload-pack", TOKEN, 404),
        (
            &get,
            "..%2f..%2falice.git/info/refs?service=git-upload-pack",
            TOKEN,
            404,
        ),
        (
            &get,
            "%2e%2e/alice.git/info/refs?service=git-upload-pack",
            TOKEN,
            404,
        ),
        (&get, "alice.git%00/info/refs?service=git-upload-pack", TOKEN, 404),
        (&get, "alice.git/HEAD", TOKEN, 404),
        (&get, "alice.git/objects/info/packs", TOKEN, 404),
        (&get, "alice.git/git-upload-pack", TOKEN, 405),
        (&post, "alice.git/git-upload-pack", TOKEN, 415),
        (&post, "alice.git/git-receive-pack", TOKEN, 415),
    ] {
        let url = format!("{}/git/{path}", server.address);
        let mut request = client.request(method.clone(), url);
        if !token.is_empty() {
            request = request.basic_auth("x", Some(token));
        }
        let response = request
            .header("git-protocol", "x".repeat(2000))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status().as_u16(), expected, "{method} {path}");
        assert_eq!(
            response.headers().contains_key("www-authenticate"),
            expected == 401
        );
    }
    server.is_clean().await;
}

pub(crate) fn reqwest_client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}
