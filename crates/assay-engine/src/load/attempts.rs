//! A measurement that was disturbed is made again: which one counts, and what becomes of the other.

use assay_core::evidence::CheckEvidence;
use assay_core::fault::Stop;
use assay_core::load;

/// Measurements in all: one that is not valid, or cannot be compared with the reference's, is made again.
const MOST: u32 = 2;

/// What one measurement rests on: names and bytes.
pub(crate) type Raw = Vec<(&'static str, Vec<u8>)>;

/// The measurements that were made so far.
pub(super) struct Attempts {
    evidence: CheckEvidence,
    counted: Raw,
    uncounted: Raw,
    is_valid: bool,
    made: u32,
}

impl Attempts {
    /// None yet. `evidence` is what the check comes to without any.
    pub(super) fn new(evidence: CheckEvidence) -> Self {
        Self {
            evidence,
            counted: Raw::new(),
            uncounted: Raw::new(),
            is_valid: false,
            made: 0,
        }
    }

    /// Takes a measurement. Gives whether another one must be made.
    pub(super) fn take(&mut self, tried: CheckEvidence, raw: Raw) -> bool {
        self.made += 1;
        let doubt = doubt(&tried);
        if self.is_valid && (doubt.is_some() || tried.stop.is_some()) {
            let note = "The second measurement came to nothing, so the first one counts.";
            self.evidence.notes.push(note.into());
            self.uncounted = raw;
            return false;
        }
        self.is_valid = doubt.is_none();
        let disturbed = doubt.or_else(|| tried.load.as_ref().and_then(load::incomparable));
        let notes = std::mem::take(&mut self.evidence.notes);
        self.evidence = tried;
        self.evidence.notes.splice(..0, notes);
        self.uncounted = std::mem::replace(&mut self.counted, raw);
        match disturbed {
            Some(why) if self.made < MOST => {
                let note = format!("Measured again, as the first measurement was disturbed: {why}.");
                self.evidence.notes.push(note);
                true
            }
            _ => false,
        }
    }

    /// What the check comes to, and the files to keep. What does not count is there to be looked at, under names that say so.
    pub(super) fn finish(self) -> (CheckEvidence, Vec<(String, Vec<u8>)>) {
        let uncounted = self.uncounted.into_iter();
        let uncounted = uncounted.map(|(name, bytes)| (format!("uncounted-{name}"), bytes));
        let counted = self.counted.into_iter();
        let counted = counted.map(|(name, bytes)| (name.to_owned(), bytes));
        (self.evidence, counted.chain(uncounted).collect())
    }
}

/// Why a measurement is not valid.
fn doubt(tried: &CheckEvidence) -> Option<String> {
    match (&tried.stop, &tried.load) {
        (Some(Stop::NoisyHost { detail }), _) => Some(detail.clone()),
        (_, load) => load.as_ref()?.invalid.first().cloned(),
    }
}

#[cfg(test)]
mod tests {
    use assay_core::exercise::{CheckKind, Visibility};
    use assay_core::load::Reference;
    use insta::assert_snapshot;

    use super::*;

    /// Takes measurements in turn, each of which must be wanted, and says what comes of them.
    fn check(measurements: &[fn(&mut CheckEvidence)]) -> String {
        let empty = || CheckEvidence::new("load", CheckKind::Load, Visibility::default());
        let mut attempts = Attempts::new(empty());
        let mut another = true;
        for (i, measurement) in (1..).zip(measurements) {
            assert!(another, "measurement {i} was not wanted");
            let mut tried = empty();
            tried.notes.push(format!("Note {i}."));
            measurement(&mut tried);
            another = attempts.take(tried, vec![("load.jsonl", format!("of {i}").into_bytes())]);
        }
        assert!(!another, "yet another measurement is wanted");
        let (evidence, files) = attempts.finish();
        let files = files
            .into_iter()
            .map(|(name, bytes)| (name, String::from_utf8(bytes)));
        let lines = evidence.notes.iter().cloned();
        let lines = lines.chain(files.map(|(name, bytes)| format!("{name} {}", bytes.unwrap())));
        let stop = evidence.stop.map(|stop| format!("{stop:?}"));
        lines.chain(stop).collect::<Vec<_>>().join("\n")
    }

    fn sound(_: &mut CheckEvidence) {}
    fn noisy(tried: &mut CheckEvidence) {
        let detail = "somebody compiled".into();
        tried.stop = Some(Stop::NoisyHost { detail });
    }
    fn late(tried: &mut CheckEvidence) {
        tried
            .load
            .get_or_insert_default()
            .invalid
            .push("requests were late".into());
    }
    /// Valid, but the reference's latency changed meanwhile.
    fn unsteady(tried: &mut CheckEvidence) {
        tried.load.get_or_insert_default().reference = Some(Reference {
            drift_percent: Some(90),
            ..Reference::default()
        });
    }
    fn failed(tried: &mut CheckEvidence) {
        let detail = "no container".into();
        tried.stop = Some(Stop::EngineFailed { detail });
    }

    #[test]
    fn which_measurement_counts() {
        assert_snapshot!(check(&[sound]), @"
        Note 1.
        load.jsonl of 1
        ");
        assert_snapshot!(check(&[noisy, sound]), @"
        Note 1.
        Measured again, as the first measurement was disturbed: somebody compiled.
        Note 2.
        load.jsonl of 2
        uncounted-load.jsonl of 1
        ");
        assert_snapshot!(check(&[late, noisy]), @r#"
        Note 1.
        Measured again, as the first measurement was disturbed: requests were late.
        Note 2.
        load.jsonl of 2
        uncounted-load.jsonl of 1
        NoisyHost { detail: "somebody compiled" }
        "#);
        assert_snapshot!(check(&[unsteady, sound]), @"
        Note 1.
        Measured again, as the first measurement was disturbed: the host was not steady: the reference solution's latency changed by 90 % meanwhile, 50 % are allowed.
        Note 2.
        load.jsonl of 2
        uncounted-load.jsonl of 1
        ");
        assert_snapshot!(check(&[unsteady, unsteady]), @"
        Note 1.
        Measured again, as the first measurement was disturbed: the host was not steady: the reference solution's latency changed by 90 % meanwhile, 50 % are allowed.
        Note 2.
        load.jsonl of 2
        uncounted-load.jsonl of 1
        ");
        assert_snapshot!(check(&[unsteady, late]), @"
        Note 1.
        Measured again, as the first measurement was disturbed: the host was not steady: the reference solution's latency changed by 90 % meanwhile, 50 % are allowed.
        The second measurement came to nothing, so the first one counts.
        load.jsonl of 1
        uncounted-load.jsonl of 2
        ");
        assert_snapshot!(check(&[unsteady, failed]), @"
        Note 1.
        Measured again, as the first measurement was disturbed: the host was not steady: the reference solution's latency changed by 90 % meanwhile, 50 % are allowed.
        The second measurement came to nothing, so the first one counts.
        load.jsonl of 1
        uncounted-load.jsonl of 2
        ");
        assert_snapshot!(check(&[failed]), @r#"
        Note 1.
        load.jsonl of 1
        EngineFailed { detail: "no container" }
        "#);
    }
}
