//! An exercise folder and the runner-image folders that it names, read and checked as a whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use assay_core::exercise::{Check, CheckKind, Exercise};
use assay_core::load::LoadPlan;
use assay_core::security::SecurityPlan;
use assay_core::toolchain::{Service, Toolchain};
use assay_core::yaml::{self, Lint, Mistake};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::seeded::{self, Seeded};

/// Image with the tools that read code of every language.
pub const SCAN_IMAGE: &str = "scan";
/// Image that runs an exercise's hidden tests.
pub const TESTS_IMAGE: &str = "http-tests";
/// Image of the agent, generator and probe.
pub const DRIVE_IMAGE: &str = "drive";

/// Most bytes of one file of an exercise.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// Most files of an exercise.
const MAX_FILES: usize = 20_000;

/// All that is known of an exercise before a submission comes.
#[derive(Debug, Clone)]
pub struct ExerciseFolder {
    /// Where it is.
    pub dir: PathBuf,
    /// `exercise.yaml`.
    pub spec: Exercise,
    /// `sha256:…` over all that grades depend on: everything but `solutions/`, of which only a
    /// reference that has seeded bugs or that services are measured beside.
    pub digest: String,
    /// The contract, `openapi.yaml`, if there is one.
    pub contract: Option<serde_json::Value>,
    /// The load plan, if a check names one.
    pub load: Option<LoadPlan>,
    /// The security plan, if a check names one.
    pub security: Option<SecurityPlan>,
    /// Files of the hidden tests, by path below their folder.
    pub tests: BTreeMap<String, Vec<u8>>,
    /// What a candidate is given to start from, by track and path: the starter template, the brief as `BRIEF.md`, and the
    /// contract. None of it is their work.
    pub templates: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    /// The reference service with its seeded bugs, if a check names some.
    pub seeded: Option<Seeded>,
    /// Toolchains, by track.
    pub toolchains: BTreeMap<String, Toolchain>,
    /// The tools that read code of every language.
    pub scanner: Toolchain,
    /// Services, in the order in which they start.
    pub services: Vec<Service>,
}

impl ExerciseFolder {
    /// Reads the folder `dir`, with its toolchains and services from the folder `images`.
    ///
    /// # Errors
    /// All mistakes of all files, each with its place and a hint.
    pub fn read(dir: &Path, images: &Path) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let spec_path = dir.join("exercise.yaml");
        let Some(spec) = read_yaml::<Exercise>(&spec_path, &mut mistakes) else {
            return Err(mistakes);
        };
        let mut reader = Reader {
            dir,
            images,
            mistakes,
        };

        let contract = reader.contract();
        let load = reader.plan::<LoadPlan>(&spec, CheckKind::Load);
        let security = reader.plan::<SecurityPlan>(&spec, CheckKind::Security);
        let tests = reader.tests(&spec);
        reader.reference(&spec);
        let mut templates = BTreeMap::new();
        let mut toolchains = BTreeMap::new();
        for (track, named) in &spec.tracks {
            let mut given = reader.tree(&format!("templates/{track}"));
            for (name, file) in [("BRIEF.md", "README.md"), ("openapi.yaml", "openapi.yaml")] {
                // One that is missing is reported where it is needed.
                if let Ok(bytes) = read_bytes(&dir.join(file)) {
                    given.entry(name.to_owned()).or_insert(bytes);
                }
            }
            templates.insert(track.clone(), given);
            if let Some(toolchain) = reader.image::<Toolchain>(&named.toolchain, "toolchain.yaml") {
                toolchains.insert(track.clone(), toolchain);
            }
        }
        let seeded = reader.seeded(&spec);
        if seeded.is_some() {
            reader.need_blackbox(&toolchains);
        }
        let scanner = reader.image::<Toolchain>(SCAN_IMAGE, "toolchain.yaml");
        let services: Vec<Service> = spec
            .services
            .iter()
            .filter_map(|name| reader.image::<Service>(name, "service.yaml"))
            .collect();
        if !dir.join("README.md").is_file() {
            let hint = "write the brief that candidates get";
            reader.mistakes.push(Mistake::of_file(
                &shown(&dir.join("README.md")),
                "is missing",
                hint,
            ));
        }
        let digest = reader.digest(&spec, seeded.as_ref());
        match scanner {
            Some(scanner) if reader.mistakes.is_empty() => Ok(Self {
                dir: dir.to_owned(),
                spec,
                digest,
                contract,
                load,
                security,
                tests,
                templates,
                seeded,
                toolchains,
                scanner,
                services,
            }),
            _ => Err(reader.mistakes),
        }
    }

    /// The check of this kind, if the exercise has it.
    pub fn check(&self, kind: CheckKind) -> Option<&Check> {
        self.spec.checks.iter().find(|check| check.kind == kind)
    }

    /// Names of all images that a run of this track needs.
    pub fn images(&self, track: &str) -> Vec<String> {
        let reference = self.seeded.as_ref().map(|seeded| seeded.track.as_str());
        let toolchains = [Some(track), reference].into_iter().flatten();
        let toolchains = toolchains.filter_map(|track| self.spec.tracks.get(track));
        let needed = |image: &str, kinds: &[CheckKind]| {
            let is_needed = kinds.iter().any(|kind| self.check(*kind).is_some());
            is_needed.then(|| image.to_owned())
        };
        [DRIVE_IMAGE.to_owned()]
            .into_iter()
            .chain(needed(SCAN_IMAGE, &[CheckKind::Style, CheckKind::Security]))
            .chain(needed(TESTS_IMAGE, &[CheckKind::Integration]))
            .chain(toolchains.map(|track| track.toolchain.clone()))
            .chain(self.spec.services.iter().cloned())
            .collect()
    }
}

/// Collects mistakes while it reads.
struct Reader<'a> {
    dir: &'a Path,
    images: &'a Path,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn contract(&mut self) -> Option<serde_json::Value> {
        let path = self.dir.join("openapi.yaml");
        if !path.is_file() {
            return None;
        }
        let text = read_text(&path, &mut self.mistakes)?;
        match yaml::read_shape::<serde_json::Value>(&shown(&path), &text) {
            Ok(contract) => Some(contract),
            Err(mistakes) => {
                self.mistakes.extend(mistakes);
                None
            }
        }
    }

    fn plan<T: DeserializeOwned + Lint>(&mut self, spec: &Exercise, kind: CheckKind) -> Option<T> {
        let check = spec.checks.iter().find(|check| check.kind == kind)?;
        read_yaml(&self.dir.join(check.plan.as_deref()?), &mut self.mistakes)
    }

    fn tests(&mut self, spec: &Exercise) -> BTreeMap<String, Vec<u8>> {
        let check = spec
            .checks
            .iter()
            .find(|check| check.kind == CheckKind::Integration);
        check
            .and_then(|check| check.tests.as_deref())
            .map(|path| self.tree(path))
            .unwrap_or_default()
    }

    fn seeded(&mut self, spec: &Exercise) -> Option<Seeded> {
        let check = spec.checks.iter().find(|check| check.kind == CheckKind::Rigour)?;
        let tracks: Vec<&str> = spec.tracks.keys().map(String::as_str).collect();
        match seeded::read(self.dir, check.bugs.as_deref()?, &tracks) {
            Ok(seeded) => Some(seeded),
            Err(mistakes) => {
                self.mistakes.extend(mistakes);
                None
            }
        }
    }

    /// Where there are seeded bugs, candidates of every track need a way to catch them.
    fn need_blackbox(&mut self, toolchains: &BTreeMap<String, Toolchain>) {
        for toolchain in toolchains
            .values()
            .filter(|toolchain| toolchain.blackbox.is_none())
        {
            let path = self.images.join(&toolchain.name).join("toolchain.yaml");
            let hint = "a check of kind rigour needs one: give blackbox a command and its exit codes";
            let what = "has no command for black-box tests";
            self.mistakes.push(Mistake::of_file(&shown(&path), what, hint));
        }
    }

    /// The reference solution that a load check names is there for every track.
    fn reference(&mut self, spec: &Exercise) {
        let name = spec.checks.iter().find_map(|check| check.reference.as_ref());
        let solutions = self.dir.join("solutions");
        for track in spec.tracks.keys() {
            let path = name.map(|name| solutions.join(track).join(name).join("expected.yaml"));
            if let Some(path) = path.filter(|path| !path.is_file()) {
                let hint = "a load check names this solution as its reference; every track needs it";
                self.mistakes
                    .push(Mistake::of_file(&shown(&path), "is missing", hint));
            }
        }
    }

    fn image<T: DeserializeOwned + Lint>(&mut self, name: &str, file: &str) -> Option<T> {
        read_yaml(&self.images.join(name).join(file), &mut self.mistakes)
    }

    /// All files below a folder of the exercise. A folder that is missing or empty is a mistake.
    fn tree(&mut self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        let root = self.dir.join(folder);
        let mut files = BTreeMap::new();
        for path in walk(&root) {
            let name = path
                .strip_prefix(&root)
                .unwrap_or(&path)
                .to_string_lossy()
                .into_owned();
            if name
                .split('/')
                .any(|part| part == "__pycache__" || part == "node_modules" || part == ".pytest_cache")
            {
                continue;
            }
            match read_bytes(&path) {
                Ok(bytes) => drop(files.insert(name, bytes)),
                Err(error) => self.mistakes.push(Mistake::of_file(&shown(&path), error, "")),
            }
        }
        if files.is_empty() {
            self.mistakes.push(Mistake::of_file(
                &shown(&root),
                "is missing or empty",
                "put files there",
            ));
        }
        files
    }

    fn digest(&mut self, spec: &Exercise, seeded: Option<&Seeded>) -> String {
        let mut hash = Sha256::new();
        let solutions = self.dir.join("solutions");
        // Grades depend on the solution that services are measured beside.
        let reference = spec.checks.iter().find_map(|check| check.reference.as_ref());
        let is_reference = |path: &Path| {
            let below = path.strip_prefix(&solutions).ok();
            let name = below.and_then(|path| path.iter().nth(1));
            name.is_some_and(|name| reference.is_some_and(|reference| name == reference.as_str()))
        };
        for (path, file) in seeded.iter().flat_map(|seeded| &seeded.reference) {
            for part in [path.as_bytes(), &file.content] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
        }
        for path in walk(self.dir) {
            let generated = ["__pycache__", "node_modules", ".pytest_cache"];
            if path.starts_with(&solutions) && !is_reference(&path)
                || path.iter().any(|part| generated.iter().any(|name| part == *name))
            {
                continue;
            }
            let name = path
                .strip_prefix(self.dir)
                .unwrap_or(&path)
                .to_string_lossy()
                .into_owned();
            let Ok(bytes) = read_bytes(&path) else { continue };
            for part in [name.as_bytes(), &bytes] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
        }
        format!("sha256:{}", hex(&hash.finalize()))
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads and checks one YAML file; mistakes are added to the list.
pub fn read_yaml<T: DeserializeOwned + Lint>(path: &Path, mistakes: &mut Vec<Mistake>) -> Option<T> {
    let text = read_text(path, mistakes)?;
    match yaml::read(&shown(path), &text) {
        Ok(value) => Some(value),
        Err(found) => {
            mistakes.extend(found);
            None
        }
    }
}

fn read_text(path: &Path, mistakes: &mut Vec<Mistake>) -> Option<String> {
    let text =
        read_bytes(path).and_then(|bytes| String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned()));
    text.map_err(|error| mistakes.push(Mistake::of_file(&shown(path), error, "")))
        .ok()
}

pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let metadata = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    if metadata.len() > MAX_FILE_BYTES {
        return Err(format!("is larger than {} MiB", MAX_FILE_BYTES >> 20));
    }
    std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))
}

pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Regular files below a folder, sorted; symbolic links are not followed.
pub(crate) fn walk(root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() && files.len() < MAX_FILES => files.push(entry.path()),
                _ => (),
            }
        }
    }
    files.sort();
    files
}
