use proptest::prelude::*;

use super::*;

/// A key for tests: whoever verifies could sign as well.
struct Key(&'static str);

impl Signer for Key {
    fn id(&self) -> &str {
        self.0
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        digest(&[self.0.as_bytes(), message].concat()).into_bytes()
    }
}

impl PublicKey for Key {
    fn id(&self) -> &str {
        self.0
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.sign(message) == signature
    }
}

/// The tree of the report's commit.
const TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

const KEYS: [Key; 2] = [Key("old"), Key("new")];

fn report() -> Report {
    let sample = include_bytes!("../../../assay-report/tests/data/sample.json");
    let mut report: Report = serde_json::from_slice(sample).unwrap();
    report.submission.tree = TREE.to_owned();
    report
}

fn signed(last: Option<&Link>, key: &Key) -> (Vec<u8>, String) {
    let mut report = report();
    report.score.total -= last.map_or(0.0, |last| last.manifest.link as f64);
    let bytes = serde_json::to_vec(&report).unwrap();
    let basis = Basis {
        chain: "ada".into(),
        run: report.run.id.clone(),
        scorecard: 1,
        received_at_ms: 1,
        signed_at_ms: 2,
        scoring_digest: report.exercise.digest.clone(),
        evidence: ["sha256:a", "sha256:b"].map(str::to_owned).into(),
    };
    let manifest = Manifest::new(
        &report,
        basis,
        last.map(|last| (last.manifest.link, last.digest.clone())),
    );
    let envelope = Link::sign(&manifest, Some(&digest(&bytes)), key).unwrap();
    (bytes, envelope)
}

fn links(n: usize) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    for i in 0..n {
        let (_, envelope) = signed(links.last(), &KEYS[i % 2]);
        links.push(Link::open(envelope.as_bytes(), &KEYS).unwrap());
    }
    links
}

#[test]
fn a_manifest_says_what_a_scorecard_rests_on() {
    let (report, envelope) = signed(None, &KEYS[1]);
    let link = Link::open(envelope.as_bytes(), &KEYS).unwrap();
    link.fits(&report).unwrap();
    assert_eq!(link.report, Some(digest(&report)));
    insta::assert_json_snapshot!(link.manifest, @r#"
    {
      "chain": "ada",
      "link": 1,
      "previous": null,
      "run": "04d913f13d52",
      "scorecard": 1,
      "received_at_ms": 1,
      "signed_at_ms": 2,
      "program": "",
      "exercise": "task-sync",
      "exercise_digest": "sha256:c78855018e0db6e95ade2ced6f18e211dab22c72797b2fee6b60de3a3ca8e0f3",
      "scoring_digest": "sha256:c78855018e0db6e95ade2ced6f18e211dab22c72797b2fee6b60de3a3ca8e0f3",
      "commit": "sha256:e75753c00643a365fbe29460555f3b9c0498174550579f31807c7a888932effa",
      "tree": "sha256:6b460922d11c5446216e61e6d055786332524a37bf8fb436147b8c85358fbfb7",
      "images": {
        "drive": "sha256:f01fcba09ff691d685b7a539950810b15d8728d26ef1050b66711f5e8f055822",
        "http-tests": "sha256:97231c548b70a85f360a2136b1f4b7e65c524fc31fef34c3616561302669fcaf",
        "postgres": "sha256:f8f18e441b63c1500823720d4055a3648350536c98fb296803b1ecce6fb0e3fb",
        "python": "sha256:be75032a23d80a37b9615d8a6f0e9860aa7e9c968645c9bafe644a29b48ffc0d",
        "scan": "sha256:e0d75630268d8c9b5bce6643a420896071d0676bbce7c11788fe6fc96a41b657"
      },
      "evidence": [
        "sha256:a",
        "sha256:b"
      ],
      "score": {
        "total": 70.9,
        "max": 100.0,
        "range": [
          70.9,
          74.9
        ],
        "gate": true
      }
    }
    "#);
    let text = serde_json::to_string(&link.manifest).unwrap();
    assert_eq!(link.manifest.tree, Some(bound("04d913f13d52", TREE)));
    for personal in ["87b9313a40bf", "4b825dc6", "sam", "Sam"] {
        assert!(!text.contains(personal), "{personal}");
    }
    let there = ["sha256:a", "sha256:c"].map(str::to_owned).into();
    assert_eq!(link.rests_on(&there), Err(Refusal::Evidence("sha256:b".into())));
}

#[test]
fn who_signed_it_is_told() {
    let (_, envelope) = signed(None, &Key("theirs"));
    let refused = Link::open(envelope.as_bytes(), &KEYS).unwrap_err();
    insta::assert_snapshot!(refused, @"the attestation is signed by the key theirs, which is none of those that are trusted here");
    let forged = envelope.replace("theirs", "new");
    let refused = Link::open(forged.as_bytes(), &KEYS).unwrap_err();
    insta::assert_snapshot!(refused, @"the attestation was changed after it was signed: the signature of the key new does not fit");
    let other = envelope::seal(PAYLOAD_TYPE, b"{}".to_vec(), &KEYS[0]);
    assert!(matches!(
        Link::open(other.as_bytes(), &KEYS),
        Err(Refusal::Malformed(_))
    ));
    let other = envelope::seal("text/plain", b"{}".to_vec(), &KEYS[0]);
    assert!(matches!(
        Link::open(other.as_bytes(), &KEYS),
        Err(Refusal::Malformed(_))
    ));
    let spaced = envelope.replacen('{', "{ ", 1);
    assert!(matches!(
        Link::open(spaced.as_bytes(), &[Key("theirs")]),
        Err(Refusal::Malformed(_))
    ));
    let large = vec![b' '; envelope::MAX_BYTES + 1];
    assert!(matches!(Link::open(&large, &KEYS), Err(Refusal::Malformed(_))));
}

#[test]
fn a_chain_is_whole_and_in_order() {
    let good = links(4);
    chain::verify(&good).unwrap();
    chain::verify(&[]).unwrap();
    let other = Link {
        manifest: Manifest {
            chain: "bob".into(),
            ..good[3].manifest.clone()
        },
        ..good[3].clone()
    };
    let replaced = Link {
        digest: digest(b"another"),
        ..good[1].clone()
    };
    let arranged = |places: &[usize]| -> String {
        let links: Vec<Link> = places.iter().map(|i| good[*i].clone()).collect();
        chain::verify(&links).unwrap_err().to_string()
    };
    let told = [
        arranged(&[0, 2, 3]),
        arranged(&[1, 2, 3]),
        arranged(&[0, 2, 1, 3]),
        arranged(&[0, 0, 1]),
        chain::verify(&[good[0].clone(), good[1].clone(), good[2].clone(), other])
            .unwrap_err()
            .to_string(),
        chain::verify(&[good[0].clone(), replaced, good[2].clone()])
            .unwrap_err()
            .to_string(),
    ];
    insta::assert_snapshot!(told.join("\n"), @"
    the chain is not whole: link 2 is missing
    the chain is not whole: link 1 is missing
    the links are not in their order: where link 2 belongs stands link 3
    the links are not in their order: where link 2 belongs stands link 1
    link 4 is of another chain: bob
    link 3 does not follow the one before it: one of the two was replaced
    ");
}

proptest! {
    #[test]
    fn no_byte_can_be_changed(in_report: bool, at: prop::sample::Index, to: u8) {
        let (mut report, envelope) = signed(None, &KEYS[0]);
        let mut envelope = envelope.into_bytes();
        let changed = if in_report { &mut report } else { &mut envelope };
        let at = at.index(changed.len());
        prop_assume!(changed[at] != to);
        changed[at] = to;
        let verified = Link::open(&envelope, &KEYS).and_then(|link| link.fits(&report));
        prop_assert!(verified.is_err());
    }

    #[test]
    fn anything_is_read_without_harm(bytes: Vec<u8>) {
        drop(Link::open(&bytes, &KEYS));
    }
}
