use std::fs;

use assay_store::signing::SigningKey;

use super::*;

/// A folder as `assay run` leaves it, with the public key that verifies it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let sample = include_bytes!("../../../../assay-report/tests/data/sample.json");
        let mut report: Report = serde_json::from_slice(sample).unwrap();
        let junit = b"<testsuite/>";
        report
            .digests
            .insert("integration/junit.xml".to_owned(), digest(junit));
        fs::create_dir(folder.path("evidence")).unwrap();
        fs::write(
            folder.path(&format!("evidence/{}", digest(junit).replace(':', "-"))),
            junit,
        )
        .unwrap();
        fs::write(folder.path("evidence/index.json"), "{}").unwrap();
        for (i, name) in [(1, "ours"), (2, "theirs")] {
            let pem = SigningKey::new_pem(&[i; 32]);
            fs::write(folder.path(&format!("{name}.pem")), &pem).unwrap();
            let public = SigningKey::of_pem(&pem).unwrap().public().to_pem();
            fs::write(folder.path(&format!("{name}.pub.pem")), public).unwrap();
        }
        folder.sign(&report);
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes the report and signs it.
    fn sign(&self, report: &Report) {
        output::write(report, None, self.0.path(), &[output::Format::Json]).unwrap();
        let scoring = &report.exercise.digest;
        let key = self.path("ours.pem");
        let written = attest::sign(report, scoring, self.0.path(), Some(&key)).unwrap();
        assert_eq!(written, Some(self.path(attest::FILE)));
    }

    fn verify(&self, change: impl FnOnce(&mut Arguments)) -> Result<Exit, String> {
        let mut arguments = Arguments {
            report: Some(self.0.path().to_owned()),
            attestation: None,
            key: vec![self.path("ours.pub.pem")],
            evidence: None,
            chain: None,
        };
        change(&mut arguments);
        run(&arguments).map_err(|error| {
            let code = crate::exit::of_error(&error) as u8;
            format!("{code}: {error:#}").replace(self.0.path().to_str().unwrap(), "…")
        })
    }

    fn replace(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(self.path(name), text.replacen(from, to, 1)).unwrap();
    }
}

/// A report's digest changes with its format.
fn without_digests(text: &str) -> String {
    let words = text.split(' ').map(|word| match word.split_once("sha256:") {
        Some((before, digest)) => format!("{before}sha256:…{}", digest.get(64..).unwrap_or_default()),
        None => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn what_was_signed_is_verified_and_whatever_was_changed_is_told() {
    let folder = Folder::new();
    assert_eq!(folder.verify(|_| ()), Ok(Exit::Done));
    assert_eq!(
        folder.verify(|arguments| arguments.report = Some(folder.path("report.json"))),
        Ok(Exit::Done)
    );

    type Change = fn(&Folder);
    let changes: [Change; 8] = [
        |folder| folder.replace("report.json", "\"total\": 70.9", "\"total\": 80.9"),
        |folder| folder.replace("report.json", "Sam Candidate", "Tom Candidate"),
        |folder| folder.replace(attest::FILE, "\"sig\":\"", "\"sig\":\"AAAA"),
        |folder| folder.replace(attest::FILE, "{", "{ "),
        |folder| fs::write(folder.path("evidence/index.json"), "{ }").unwrap(),
        |folder| fs::remove_dir_all(folder.path("evidence")).unwrap(),
        |folder| fs::remove_file(folder.path(attest::FILE)).unwrap(),
        |folder| {
            fs::copy(folder.path("theirs.pub.pem"), folder.path("ours.pub.pem"))
                .map(drop)
                .unwrap()
        },
    ];
    let told: Vec<String> = changes
        .iter()
        .map(|change| {
            let folder = Folder::new();
            change(&folder);
            match folder.verify(|_| ()) {
                Ok(exit) => format!("{exit:?}"),
                Err(error) => without_digests(&error),
            }
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @"
    100: not verified: the report was changed after it was signed: it is sha256:…, and sha256:… was signed
    100: not verified: the report was changed after it was signed: it is sha256:…, and sha256:… was signed
    100: not verified: the attestation was changed after it was signed: the signature of the key fd110d301d2f077de1414b8f99f441b1403fab207b2052fbd2c065e4ee8e7dc2 does not fit
    100: not verified: the attestation cannot be read: it was written anew since it was signed
    100: not verified: evidence/index.json: sha256:… was signed as evidence and is not there, or was changed
    Done
    96: …/attestation.dsse.json cannot be read: No such file or directory (os error 2)
    100: not verified: the attestation is signed by the key fd110d301d2f077de1414b8f99f441b1403fab207b2052fbd2c065e4ee8e7dc2, which is none of those that are trusted here (hint: if you trust that installation, name its public key with --key; `assay key show` prints it there)
    ");

    let junit = digest(b"<testsuite/>").replace(':', "-");
    fs::remove_file(folder.path(&format!("evidence/{junit}"))).unwrap();
    let missing = folder.verify(|_| ()).unwrap_err();
    assert!(
        missing.starts_with("100: not verified: integration/junit.xml: sha256:"),
        "{missing}"
    );
}

#[test]
fn no_byte_of_report_or_attestation_can_be_changed() {
    let folder = Folder::new();
    let keys = key_folder::public_keys(&folder.path("ours.pub.pem")).unwrap();
    let report = fs::read(folder.path("report.json")).unwrap();
    let envelope = fs::read(folder.path(attest::FILE)).unwrap();
    let holds = |envelope: &[u8], report: &[u8]| {
        Link::open(envelope, &keys)
            .and_then(|link| link.fits(report))
            .is_ok()
    };
    assert!(holds(&envelope, &report));
    for i in 0..envelope.len() {
        for bit in [1, 0x20] {
            let mut changed = envelope.clone();
            changed[i] ^= bit;
            assert!(!holds(&changed, &report), "byte {i} of the attestation");
        }
    }
    for i in (0..report.len()).step_by(331) {
        let mut changed = report.clone();
        changed[i] ^= 1;
        assert!(!holds(&envelope, &changed), "byte {i} of the report");
    }
}

#[test]
fn a_report_that_was_computed_again_goes_on_from_the_one_before() {
    let folder = Folder::new();
    let (mut report, _) = output::read(folder.0.path()).unwrap();
    report.score.total = 60.0;
    folder.sign(&report);
    assert_eq!(folder.verify(|_| ()), Ok(Exit::Done));

    let envelope = |name: &str| fs::read_to_string(folder.path(name)).unwrap();
    let (first, second) = (envelope("attestation.1.dsse.json"), envelope(attest::FILE));
    let with = |lines: &[&str]| {
        fs::write(folder.path("chain"), lines.join("\n")).unwrap();
        let verified = folder.verify(|arguments| arguments.chain = Some(folder.path("chain")));
        verified.map_or_else(|error| error, |exit| format!("{exit:?}"))
    };
    let told = [
        with(&[&first, &second]),
        with(&[&second, &first]),
        with(&[&second]),
        with(&[&first]),
        with(&[]),
    ];
    insta::assert_snapshot!(told.join("\n"), @"
    Done
    100: not verified: the links are not in their order: where link 1 belongs stands link 2
    100: not verified: the chain is not whole: link 1 is missing
    100: not verified: the report is not in this chain
    4: …/chain holds nothing that was signed
    ");
}
