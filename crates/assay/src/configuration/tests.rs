use super::*;

fn shown(mistakes: &[Mistake]) -> String {
    let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(own).collect()
}

#[track_caller]
fn read(file: &str, variables: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Configuration, String> {
    Configuration::from_layers(Some(("assay.toml", file)), owned(variables), owned(flags))
        .map_err(|mistakes| shown(&mistakes))
}

#[test]
fn the_documented_file_is_the_defaults() {
    let nothing = read("", &[], &[]).unwrap();
    assert_eq!(read(DEFAULT, &[], &[]).unwrap(), nothing);
    assert_eq!(nothing.http.listen.port(), 8080);
    assert_eq!(nothing.http.public_url, None);
    assert_eq!(nothing.public_url(nothing.http.listen), "http://127.0.0.1:8080");
    assert_eq!(nothing.database().unwrap(), "sqlite:/var/lib/assay/assay.db");
}

#[test]
fn every_key_is_documented() {
    let mut documented = false;
    for line in DEFAULT.lines() {
        match line {
            line if line.starts_with('#') => documented = true,
            line if line.is_empty() || line.starts_with('[') => documented = false,
            line => {
                assert!(documented, "{line} has no comment");
                documented = false;
            }
        }
    }
}

#[test]
fn flags_override_variables_override_the_file() {
    let file = "data = \"/a\"\n[http]\nlisten = \"127.0.0.1:1\"\n[worker]\nconcurrency = 1\nlease = \"30s\"";
    let variables = [
        ("ASSAY_HTTP_LISTEN", "127.0.0.1:2"),
        ("ASSAY_WORKER_CONCURRENCY", "2"),
        ("ASSAY_WORKER_MEMORY", "2GiB"),
        ("ASSAY_TOKEN", "is not a key and not ours here"),
        ("PATH", "/bin"),
    ];
    let flags = [("worker.concurrency", "3"), ("http.behind_proxy", "true")];
    let read = read(file, &variables, &flags).unwrap();
    assert_eq!(read.data, PathBuf::from("/a"));
    assert_eq!(read.http.listen.port(), 2);
    assert!(read.http.behind_proxy);
    assert_eq!(read.worker.concurrency, 3);
    assert_eq!(read.worker.memory, Some(Bytes(2 << 30)));
    assert_eq!(read.worker.lease, Span::seconds(30));
}

#[test]
fn all_mistakes_are_told_at_once() {
    let file = "\
dta = \"/a\"
[http]
listen = 8080
public_ulr = \"x\"
drain = \"30\"
[worker]
lease = \"1s\"
max_executions = 0
[nonsense]
a = [1]
";
    let variables = [
        ("ASSAY_HTTP_LISTN", "x"),
        ("ASSAY_LOG_FORMAT", "xml"),
        ("ASSAY_LOG", "is another flag's"),
    ];
    let flags = [
        ("git.max_push", "lots"),
        ("http.public_url", "https://x/"),
        ("git.retention_days", "-1"),
    ];
    insta::assert_snapshot!(read(file, &variables, &flags).unwrap_err(), @r#"
    assay.toml:1:1: there is no key `dta`
      hint: did you mean `data`? `assay config` prints all keys
    assay.toml:3:1: `http.listen` is a string
      hint: such as "127.0.0.1:8080"
    assay.toml:4:1: there is no key `http.public_ulr`
      hint: did you mean `http.public_url`? `assay config` prints all keys
    assay.toml:5:1: `http.drain`: `30` is not a time with its unit, such as `30s` (ms, s, m, h)
    assay.toml:7:1: 1s is too short: a busy machine would lose its runs
      hint: 5s or more; the default is 60s
    assay.toml:8:1: no run could ever begin
      hint: 1 or more
    assay.toml:10:1: there is no key `nonsense.a`
      hint: `assay config` prints all keys
    the flag --set git.max_push: `git.max_push`: `lots` is not a size with its unit, such as `512MiB` (B, KiB, MiB, GiB)
    the flag --set git.retention_days: `git.retention_days`: invalid value: integer `-1`, expected u32
    the flag --set http.public_url: `https://x/` is not the address of a daemon
      hint: it begins with https:// (or http://) and ends without a slash
    the variable ASSAY_HTTP_LISTN: there is no such key
      hint: did you mean `ASSAY_HTTP_LISTEN`? `assay config` prints all keys
    the variable ASSAY_LOG_FORMAT: `log.format`: unknown variant `xml`, expected `text` or `json`
    "#);
}

#[test]
fn what_is_not_toml_has_a_place() {
    insta::assert_snapshot!(read("data = \n[http\nlisten = ", &[], &[]).unwrap_err(), @"
    assay.toml:1:8: string values must be quoted, expected literal string
    assay.toml:2:6: unclosed table, expected `]`
    ");
}

#[test]
fn a_password_does_not_stand_in_the_file() {
    let file = "[store]\ndatabase = \"postgres://assay:secret@db/assay\"";
    let refused = read(file, &[], &[]).unwrap_err();
    assert!(
        refused.starts_with("assay.toml:2:1: a password stands in the file"),
        "{refused}"
    );
    assert!(!refused.contains("secret"));
    let variables = [("ASSAY_STORE_DATABASE", "postgres://assay:secret@db/assay")];
    let accepted = read("", &variables, &[]).unwrap();
    assert!(!format!("{accepted:?}").contains("secret"));
    for (address, expected) in [
        ("postgres://assay@db/assay", false),
        ("postgres://assay@db/assay?password=x", true),
        ("sqlite:/var/lib/a:b@c", false),
    ] {
        assert_eq!(has_password(address), expected, "{address}");
    }
}

#[test]
fn a_provider_to_sign_in_at_lets_somebody_in() {
    let file = "\
[oidc]
issuer = \"http://login.example.org\"
default_role = \"boss\"
";
    insta::assert_snapshot!(read(file, &[], &[]).unwrap_err(), @"
    assay.toml:2:1: `http://login.example.org` is not the address of a provider
      hint: it begins with https://
    assay.toml:3:1: `boss` is no role
      hint: viewer, interviewer, admin or nothing
    oidc.client_id: it is missing
      hint: the provider gave it when this installation was registered there
    ");
    let flags = [
        ("oidc.issuer", "https://login.example.org"),
        ("oidc.client_id", "assay"),
    ];
    insta::assert_snapshot!(read("", &[], &flags).unwrap_err(), @"
    oidc.default_role: nobody could sign in at the provider
      hint: name a role for them, or the claim that says it in oidc.role_claim
    ");
    let flags = [
        flags[0],
        flags[1],
        ("oidc.role_claim", "groups"),
        ("oidc.admins", "root, it"),
        ("oidc.interviewers", "hiring"),
        ("oidc.allowed_domains", "example.org,"),
    ];
    let provider = read("", &[], &flags).unwrap().oidc.provider().unwrap().unwrap();
    let roles: Vec<String> = provider
        .roles
        .iter()
        .map(|(word, role)| format!("{word}: {}", role.name()))
        .collect();
    assert_eq!(roles, ["root: admin", "it: admin", "hiring: interviewer"]);
    assert_eq!(provider.allowed_domains, ["example.org"]);
    assert!(read("", &[], &[]).unwrap().oidc.provider().unwrap().is_none());
}
