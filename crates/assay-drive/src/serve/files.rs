//! Single files, always reached from a root without following any symbolic link.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use assay_core::agent::{AgentError, Answer, Base64, ErrorKind, Link, MAX_CHUNK_BYTES, Place, Read, Write};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat};
use nix::unistd::symlinkat;

use super::{failure, io_failure, os_failure};

/// The longest relative path, in bytes.
const MAX_PATH_BYTES: usize = 4096;

/// The mode of files, before the umask.
const FILE_MODE: Mode = Mode::from_bits_truncate(0o644);
const PROGRAM_MODE: Mode = Mode::from_bits_truncate(0o755);

/// Creates a file with its parents, or appends to one.
pub(super) fn write(write: &Write) -> Result<Answer, AgentError> {
    let (parent, name) = parent_of(&write.at, true)?;
    let (how, mode) = match (write.append, write.executable) {
        (true, _) => (OFlag::O_APPEND, Mode::empty()),
        (false, true) => (OFlag::O_CREAT | OFlag::O_EXCL, PROGRAM_MODE),
        (false, false) => (OFlag::O_CREAT | OFlag::O_EXCL, FILE_MODE),
    };
    let what = format!("write {:?}", write.at.path);
    let file = open_beneath(
        parent.as_fd(),
        name,
        how | OFlag::O_WRONLY | OFlag::O_NONBLOCK,
        mode,
    )
    .map_err(|errno| os_failure(&what, errno))?;
    let mut file = regular(file, &what)?;
    file.write_all(&write.data.0)
        .map_err(|error| io_failure(&what, &error))?;
    Ok(Answer::Nothing)
}

/// Creates a symbolic link that stays inside its root.
pub(super) fn link(link: &Link) -> Result<Answer, AgentError> {
    let depth = components(&link.at.path)?.len() - 1;
    let what = format!("link {:?}", link.at.path);
    if !stays_inside(depth, link.target.as_bytes()) {
        return Err(failure(
            ErrorKind::Escapes,
            format!("cannot {what}: {:?} leads outside", link.target),
        ));
    }
    let (parent, name) = parent_of(&link.at, true)?;
    symlinkat(link.target.as_str(), parent, name).map_err(|errno| os_failure(&what, errno))?;
    Ok(Answer::Nothing)
}

/// Hands the bytes of a regular file to `each`, piece by piece.
pub(super) fn read(
    read: &Read,
    mut each: impl FnMut(Base64) -> nix::Result<()>,
) -> Result<Answer, AgentError> {
    let what = format!("read {:?}", read.at.path);
    let too_large = || {
        failure(
            ErrorKind::TooLarge,
            format!("cannot {what}: it is larger than {} bytes", read.max_bytes),
        )
    };
    let root = open_root(&read.at.root)?;
    components(&read.at.path)?;
    // O_NONBLOCK keeps a FIFO from holding the agent up; then the FIFO is refused.
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = open_beneath(root.as_fd(), read.at.path.as_str(), flags, Mode::empty())
        .map_err(|errno| os_failure(&what, errno))?;
    let mut file = regular(file, &what)?;
    if file.metadata().map_err(|error| io_failure(&what, &error))?.len() > read.max_bytes {
        return Err(too_large());
    }
    let mut left = read.max_bytes;
    loop {
        let mut chunk = Vec::new();
        let taken = (&mut file).take(MAX_CHUNK_BYTES as u64).read_to_end(&mut chunk);
        match taken.map_err(|error| io_failure(&what, &error))? as u64 {
            0 => return Ok(Answer::Nothing),
            // It grew meanwhile.
            n if n > left => return Err(too_large()),
            n => left -= n,
        }
        each(Base64(chunk)).map_err(|errno| os_failure(&what, errno))?;
    }
}

/// Opens a trusted directory by its absolute path.
pub(super) fn open_root(root: &str) -> Result<OwnedFd, AgentError> {
    if !root.starts_with('/') {
        return Err(failure(
            ErrorKind::BadRequest,
            format!("{root:?} is not absolute"),
        ));
    }
    open(
        root,
        OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
        Mode::empty(),
    )
    .map_err(|errno| os_failure(&format!("open {root:?}"), errno))
}

/// Opens the directory at a place, for reading its entries.
pub(super) fn open_directory(at: &Place, create: bool) -> Result<OwnedFd, AgentError> {
    let mut directory = open_root(&at.root)?;
    let what = format!("open {:?}", at.path);
    if create && !at.path.is_empty() {
        directory = make_directories(directory, &components(&at.path)?)?;
    }
    let path = if create || at.path.is_empty() {
        "."
    } else {
        &at.path
    };
    open_beneath(
        directory.as_fd(),
        path,
        OFlag::O_RDONLY | OFlag::O_DIRECTORY,
        Mode::empty(),
    )
    .map_err(|errno| os_failure(&what, errno))
}

/// Opens the directory that a place is in, and gives the last component of the place's path.
pub(super) fn parent_of(at: &Place, create: bool) -> Result<(OwnedFd, &str), AgentError> {
    let components = components(&at.path)?;
    let root = open_root(&at.root)?;
    let Some((name, parents)) = components.split_last() else {
        return Err(failure(ErrorKind::BadRequest, "the path is empty"));
    };
    if create {
        return Ok((make_directories(root, parents)?, name));
    }
    let path = if parents.is_empty() {
        ".".to_owned()
    } else {
        parents.join("/")
    };
    let parent = open_beneath(
        root.as_fd(),
        path.as_str(),
        OFlag::O_PATH | OFlag::O_DIRECTORY,
        Mode::empty(),
    )
    .map_err(|errno| os_failure(&format!("open {path:?}"), errno))?;
    Ok((parent, name))
}

/// Opens a path below a directory; no symbolic link on the way, no way out.
pub(super) fn open_beneath<P: ?Sized + nix::NixPath>(
    directory: BorrowedFd<'_>,
    path: &P,
    flags: OFlag,
    mode: Mode,
) -> nix::Result<OwnedFd> {
    let resolve =
        ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC)
        .mode(mode)
        .resolve(resolve);
    match openat2(directory, path, how) {
        // gVisor has none; there our filter of system calls, which it reads by name, forbids what has no name.
        Err(Errno::ENOSYS | Errno::EPERM) => {
            path.with_nix_path(|path| open_step_by_step(directory, path.to_bytes(), flags, mode))?
        }
        opened => opened,
    }
}

/// The same for kernels without `openat2`: each step is opened by itself, and none may be a link or lead up.
fn open_step_by_step(
    directory: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlag,
    mode: Mode,
) -> nix::Result<OwnedFd> {
    if path.is_empty() {
        return Err(Errno::ENOENT);
    }
    let steps: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    if path.starts_with(b"/") || steps.contains(&b"..".as_slice()) {
        return Err(Errno::EXDEV);
    }
    let always = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut within = directory.try_clone_to_owned().map_err(|_| Errno::EMFILE)?;
    let (last, parents) = steps.split_last().ok_or(Errno::ENOENT)?;
    for step in parents.iter().filter(|step| !step.is_empty()) {
        within = openat(
            within.as_fd(),
            *step,
            OFlag::O_PATH | OFlag::O_DIRECTORY | always,
            Mode::empty(),
        )?;
    }
    let last = if last.is_empty() { b".".as_slice() } else { last };
    openat(within.as_fd(), last, flags | always, mode)
}

/// Whether a link with this target, in a directory `depth` levels below the root, leads to a place in the root.
///
/// This reads the target as text. It is no protection against a chain of links, and need not be one: nothing here ever
/// follows a link.
pub(super) fn stays_inside(depth: usize, target: &[u8]) -> bool {
    let mut depth = Some(depth);
    for component in target.split(|byte| *byte == b'/') {
        depth = match (depth, component) {
            (None, _) => return false,
            (Some(depth), b"..") => depth.checked_sub(1),
            (same, b"" | b".") => same,
            (Some(depth), _) => Some(depth + 1),
        };
    }
    depth.is_some() && !target.is_empty() && !target.starts_with(b"/")
}

/// Cuts a relative path into its components.
fn components(path: &str) -> Result<Vec<&str>, AgentError> {
    let bad = |why: &str| Err(failure(ErrorKind::BadRequest, format!("the path {path:?} {why}")));
    if path.len() > MAX_PATH_BYTES {
        return Err(failure(
            ErrorKind::BadRequest,
            format!("a path is longer than {MAX_PATH_BYTES} bytes"),
        ));
    }
    if path.is_empty() || path.contains('\0') {
        return bad("is empty or has a NUL in it");
    }
    let components: Vec<&str> = path.split('/').collect();
    if components
        .iter()
        .any(|component| matches!(*component, "" | "." | ".."))
    {
        return bad("is not a plain relative path");
    }
    Ok(components)
}

fn make_directories(mut directory: OwnedFd, names: &[&str]) -> Result<OwnedFd, AgentError> {
    for name in names {
        let what = format!("create directory {name:?}");
        match mkdirat(&directory, *name, PROGRAM_MODE) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(os_failure(&what, errno)),
        }
        directory = open_beneath(
            directory.as_fd(),
            *name,
            OFlag::O_PATH | OFlag::O_DIRECTORY,
            Mode::empty(),
        )
        .map_err(|errno| os_failure(&what, errno))?;
    }
    Ok(directory)
}

fn regular(file: OwnedFd, what: &str) -> Result<File, AgentError> {
    let stat = fstat(&file).map_err(|errno| os_failure(what, errno))?;
    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG {
        Ok(File::from(file))
    } else {
        Err(failure(
            ErrorKind::WrongType,
            format!("cannot {what}: it is not a regular file"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn place(root: &std::path::Path, path: &str) -> Place {
        Place {
            root: root.to_str().unwrap().to_owned(),
            path: path.to_owned(),
        }
    }

    fn write_text(
        root: &std::path::Path,
        path: &str,
        text: &str,
        append: bool,
    ) -> Result<Answer, AgentError> {
        let data = Base64(text.as_bytes().to_vec());
        write(&Write {
            at: place(root, path),
            data,
            append,
            executable: path.ends_with(".sh"),
        })
    }

    fn read_text(root: &std::path::Path, path: &str, max_bytes: u64) -> Result<String, ErrorKind> {
        let mut bytes = Vec::new();
        read(
            &Read {
                at: place(root, path),
                max_bytes,
            },
            |data| {
                bytes.extend(data.0);
                Ok(())
            },
        )
        .map_err(|error| error.kind)?;
        Ok(String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn step_by_step_opens_what_openat2_opens_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/b/file"), "").unwrap();
        std::fs::write(dir.path().join("secret"), "").unwrap();
        symlink("b", root.join("a/link")).unwrap();
        symlink("b/file", root.join("a/to-file")).unwrap();
        symlink("..", root.join("up")).unwrap();
        let directory = open_root(root.to_str().unwrap()).unwrap();
        let absolute = root.join("a/b/file").display().to_string();
        for (path, opens) in [
            ("a/b/file", true),
            ("a/./b//file", true),
            ("a/b/", true),
            (".", true),
            ("a/link/file", false),
            ("a/link", false),
            ("a/link/", false),
            ("a/to-file", false),
            ("up/secret", false),
            ("../secret", false),
            ("a/../../secret", false),
            ("a/b/file/", false),
            ("a/missing", false),
            ("", false),
            (&absolute, false),
        ] {
            let (flags, mode) = (OFlag::O_RDONLY, Mode::empty());
            let at_once = open_beneath(directory.as_fd(), path, flags, mode);
            let by_steps = open_step_by_step(directory.as_fd(), path.as_bytes(), flags, mode);
            assert_eq!(
                (at_once.is_ok(), by_steps.is_ok()),
                (opens, opens),
                "{path}: {by_steps:?}"
            );
        }
    }

    #[test]
    fn a_file_is_written_in_pieces_and_read_back() {
        let root = tempfile::tempdir().unwrap();
        write_text(root.path(), "a/b/run.sh", "one ", false).unwrap();
        write_text(root.path(), "a/b/run.sh", "two", true).unwrap();
        assert_eq!(read_text(root.path(), "a/b/run.sh", 7), Ok("one two".to_owned()));
        assert_eq!(read_text(root.path(), "a/b/run.sh", 6), Err(ErrorKind::TooLarge));
        let mode = root
            .path()
            .join("a/b/run.sh")
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o111, 0o111);
        assert_eq!(
            write_text(root.path(), "a/b/run.sh", "", false).unwrap_err().kind,
            ErrorKind::BadRequest
        );
    }

    #[test]
    fn what_is_not_a_regular_file_inside_the_root_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path();
        std::fs::create_dir(path.join("directory")).unwrap();
        symlink("/etc", path.join("out")).unwrap();
        symlink("/etc/passwd", path.join("passwd")).unwrap();
        nix::unistd::mkfifo(&path.join("fifo"), Mode::S_IRWXU).unwrap();
        for (name, kind) in [
            ("missing", ErrorKind::NotFound),
            ("directory", ErrorKind::WrongType),
            ("fifo", ErrorKind::WrongType),
            ("passwd", ErrorKind::Escapes),
            ("out/passwd", ErrorKind::Escapes),
            ("../x", ErrorKind::BadRequest),
            ("/etc/passwd", ErrorKind::BadRequest),
            ("a//b", ErrorKind::BadRequest),
            ("", ErrorKind::BadRequest),
        ] {
            assert_eq!(read_text(path, name, 1 << 20), Err(kind), "{name}");
        }
        for name in ["out/x", "passwd", "fifo", "directory", "../x"] {
            assert!(write_text(path, name, "x", true).is_err(), "{name}");
            assert!(write_text(path, name, "x", false).is_err(), "{name}");
        }
    }

    #[test]
    fn a_link_may_not_lead_outside() {
        for (depth, target, inside) in [
            (0, "a/b", true),
            (0, "..", false),
            (1, "..", true),
            (1, "../..", false),
            (2, "../../x", true),
            (0, "a/../b", true),
            (0, "a/../../b", false),
            (3, "/etc", false),
            (3, "", false),
            (0, "./a", true),
        ] {
            assert_eq!(
                stays_inside(depth, target.as_bytes()),
                inside,
                "{depth} {target:?}"
            );
        }
    }
}
