use super::*;

const A: &str = "1111111111111111111111111111111111111111";

fn shown(forge: ForgeKind, event: &str, body: &str) -> String {
    match read(forge, event, body.as_bytes()) {
        Ok(Hook::Submissions(submissions)) => submissions
            .iter()
            .map(|s| {
                let request = s
                    .request
                    .map(|n| format!(" !{n} at {}", s.told))
                    .unwrap_or_default();
                let commit = match &s.commit {
                    CommitName::Whole(commit) => commit.get(..8).unwrap_or_default().to_owned(),
                    CommitName::Short(short) => format!("{short}…"),
                };
                format!(
                    "{} {} {commit} {:?}{request}",
                    s.repository, s.reference, s.pushed
                )
            })
            .collect::<Vec<_>>()
            .join("; "),
        Ok(Hook::Ping) => "ping".into(),
        Ok(Hook::Ignored(why)) => format!("ignored: {why}"),
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn published_examples_are_read() {
    use ForgeKind::{GitHub, GitLab};
    let cases = [
        (GitHub, "push", include_str!("testdata/github_push.json")),
        (GitHub, "push", include_str!("testdata/github_tag.json")),
        (GitHub, "push", include_str!("testdata/github_tag_deleted.json")),
        (
            GitHub,
            "pull_request",
            include_str!("testdata/github_opened.json"),
        ),
        (
            GitHub,
            "pull_request",
            include_str!("testdata/github_synchronize.json"),
        ),
        (GitLab, "Push Hook", include_str!("testdata/gitlab_push.json")),
        (
            GitLab,
            "Tag Push Hook",
            include_str!("testdata/gitlab_tag_push.json"),
        ),
        (
            GitLab,
            "Merge Request Hook",
            include_str!("testdata/gitlab_merge_request.json"),
        ),
    ];
    let lines: Vec<String> = cases
        .map(|(forge, event, body)| shown(forge, event, body))
        .to_vec();
    insta::assert_snapshot!(lines.join("\n"), @r"
    Codertocat/Hello-World refs/heads/master 6113728f Branch
    Codertocat/Hello-World refs/tags/simple-tag 6113728f Tag
    ignored: a branch or tag was deleted
    Codertocat/Hello-World refs/heads/changes ec26c3e5 Branch !2 at Codertocat/Hello-World
    Codertocat/Hello-World refs/heads/changes ec26c3e5 Branch !2 at Codertocat/Hello-World
    mike/diaspora refs/heads/master da156088 Branch
    jsmith/example refs/tags/v1.0.0 82b3d5ae Tag
    awesome_space/awesome_project refs/heads/ms-viewport da156088 Branch !1 at gitlabhq/gitlab-test
    ");
}

/// Minimal payloads of the fields that the forges document.
#[test]
fn documented_fields_are_read() {
    use ForgeKind::{Bitbucket, BitbucketServer, GitHub, GitLab, Gitea};
    let zero = "0".repeat(40);
    let repository = r#""repository":{"full_name":"acme/task","default_branch":"trunk"}"#;
    let cloud = r#""repository":{"full_name":"acme/task"}"#;
    let server = r#"{"slug":"task","project":{"key":"ACME"}}"#;
    let pull = |action: &str, head: &str| {
        format!(
            r#"{{"action":"{action}","number":7,"pull_request":{{"head":{{"ref":"x","sha":"{A}","repo":{head}}}}},{repository}}}"#
        )
    };
    let merge = |attributes: &str| {
        format!(
            r#"{{"project":{{"path_with_namespace":"a/b/c"}},"object_attributes":{{"iid":3,"source_branch":"x","last_commit":{{"id":"{A}"}},"source":{{"path_with_namespace":"z/b"}},{attributes}}}}}"#
        )
    };
    let cases = [
        (GitHub, "ping", "{}".to_owned()),
        (
            Gitea,
            "push",
            format!(r#"{{"ref":"refs/heads/trunk","after":"{A}",{repository}}}"#),
        ),
        (
            Gitea,
            "push",
            format!(r#"{{"ref":"refs/heads/main","after":"{A}",{repository}}}"#),
        ),
        (
            Gitea,
            "push",
            format!(r#"{{"ref":"refs/heads/trunk","after":"{zero}",{repository}}}"#),
        ),
        (
            Gitea,
            "pull_request",
            pull("synchronized", r#"{"full_name":"fork/task"}"#),
        ),
        (GitHub, "pull_request", pull("synchronize", "null")),
        (GitHub, "pull_request", pull("labeled", "null")),
        (GitHub, "issues", "{}".to_owned()),
        (
            GitLab,
            "Merge Request Hook",
            merge(r#""action":"update","oldrev":"x""#),
        ),
        (GitLab, "Merge Request Hook", merge(r#""action":"update""#)),
        (GitLab, "Merge Request Hook", merge(r#""action":"merge""#)),
        (
            Bitbucket,
            "repo:push",
            format!(
                r#"{{"push":{{"changes":[{{"new":null}},{{"new":{{"type":"branch","name":"main","target":{{"hash":"{A}"}}}}}},{{"new":{{"type":"tag","name":"v1","target":{{"hash":"{A}"}}}}}}]}},{cloud}}}"#
            ),
        ),
        (
            Bitbucket,
            "pullrequest:created",
            format!(
                r#"{{"pullrequest":{{"id":9,"source":{{"branch":{{"name":"x"}},"commit":{{"hash":"111111111111"}},"repository":{{"full_name":"acme/task"}}}}}},{cloud}}}"#
            ),
        ),
        (BitbucketServer, "diagnostics:ping", r#"{"test":true}"#.to_owned()),
        (
            BitbucketServer,
            "repo:refs_changed",
            format!(
                r#"{{"repository":{server},"changes":[{{"ref":{{"id":"refs/heads/master"}},"toHash":"{A}","type":"UPDATE"}}]}}"#
            ),
        ),
        (
            BitbucketServer,
            "pr:opened",
            format!(
                r#"{{"pullRequest":{{"id":4,"fromRef":{{"id":"refs/heads/x","latestCommit":"{A}","repository":{server}}},"toRef":{{"repository":{server}}}}}}}"#
            ),
        ),
    ];
    let lines: Vec<String> = cases
        .map(|(forge, event, body)| shown(forge, event, &body))
        .to_vec();
    insta::assert_snapshot!(lines.join("\n"), @r"
    ping
    acme/task refs/heads/trunk 11111111 Branch
    ignored: only the default branch is checked; other branches by a pull or merge request
    ignored: a branch or tag was deleted
    fork/task refs/heads/x 11111111 Branch !7 at acme/task
    ignored: the request's source repository is gone
    ignored: the request has no new commit
    ignored: events of this kind ask for nothing
    z/b refs/heads/x 11111111 Branch !3 at a/b/c
    ignored: the request has no new commit
    ignored: the request has no new commit
    acme/task refs/heads/main 11111111 Branch; acme/task refs/tags/v1 11111111 Tag
    acme/task refs/heads/x 111111111111… Branch !9 at acme/task
    ping
    ACME/task refs/heads/master 11111111 Branch
    ACME/task refs/heads/x 11111111 Branch !4 at ACME/task
    ");
}

#[test]
fn what_could_leave_its_address_is_refused() {
    let push = |repository: &str, reference: &str, after: &str| {
        let body = format!(
            r#"{{"ref":"{reference}","after":"{after}","repository":{{"full_name":"{repository}","clone_url":"file:///etc"}}}}"#
        );
        shown(ForgeKind::GitHub, "push", &body)
    };
    let cases = [
        push("../../etc", "refs/heads/main", A),
        push("acme/task?x=", "refs/heads/main", A),
        push("acme/task", "refs/heads/main", "--upload-pack=x"),
        push("acme/task", "refs/tags/--upload-pack=x", A),
        push("acme/task", "refs/pull/1/head", A),
        shown(ForgeKind::GitHub, "push", "payload=%7B%7D"),
        shown(ForgeKind::GitHub, "push", &"[".repeat(100_000)),
        shown(ForgeKind::GitHub, "push", r#"{"ref":7}"#),
    ];
    insta::assert_snapshot!(cases.join("\n"), @r"
    error: the payload holds no usable repository
    error: the payload holds no usable repository
    error: the payload holds no usable commit
    error: the payload holds no usable reference
    error: the payload holds no usable reference
    error: the payload cannot be read: expected value at line 1 column 1 (hint: set the webhook's content type to application/json)
    error: the payload cannot be read: invalid type: sequence, expected a string at line 1 column 1 (hint: set the webhook's content type to application/json)
    error: the payload cannot be read: invalid type: integer `7`, expected a string at line 1 column 8 (hint: set the webhook's content type to application/json)
    ");
}

proptest::proptest! {
    #[test]
    fn no_payload_panics(
        forge in 0_usize..5,
        event in "push|pull_request|Push Hook|Merge Request Hook|repo:push|pullrequest:created|repo:refs_changed|pr:opened",
        body in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
    ) {
        drop(read(ForgeKind::ALL[forge], &event, &body));
    }

    /// A real payload that is cut or has a byte changed anywhere: read or refused, and what is read is plain.
    #[test]
    fn no_damaged_payload_panics(at in 0_usize..7_000, byte in proptest::num::u8::ANY, cut in proptest::bool::ANY) {
        let mut body = include_bytes!("testdata/github_push.json").to_vec();
        if cut { body.truncate(at) } else { body[at] = byte }
        if let Ok(Hook::Submissions(submissions)) = read(ForgeKind::GitHub, "push", &body) {
            for submission in submissions {
                proptest::prop_assert!(is_full_name(&submission.repository) && is_reference(&submission.reference));
            }
        }
    }
}
