//! Copies a tree that someone else may have made, within caps.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use assay_core::agent::{AgentError, Copied, Copy, ErrorKind, TreeCaps};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat, futimens, mkdirat};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, symlinkat, unlinkat};

use super::files::{open_beneath, open_directory, stays_inside};
use super::{failure, io_failure, os_failure};

/// The deepest tree that is copied whatever the caps say: each level keeps four file descriptors open.
const MAX_DEPTH: u32 = 128;

/// Copies the content of a directory.
pub(super) fn copy(copy: &Copy) -> Result<Copied, AgentError> {
    let from = open_directory(&copy.from, false)?;
    let to = open_directory(&copy.to, true)?;
    let caps = TreeCaps {
        depth: copy.caps.depth.min(MAX_DEPTH),
        ..copy.caps
    };
    let mut walk = Walk {
        caps,
        copied: Copied::default(),
    };
    walk.directory(from, to.as_fd(), 0)?;
    Ok(walk.copied)
}

struct Walk {
    caps: TreeCaps,
    copied: Copied,
}

impl Walk {
    fn directory(&mut self, from: OwnedFd, to: BorrowedFd<'_>, depth: u32) -> Result<(), AgentError> {
        for name in names(from.as_fd())? {
            self.entry(from.as_fd(), to, &name, depth)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        name: &CStr,
        depth: u32,
    ) -> Result<(), AgentError> {
        let what = format!("copy {name:?}");
        let stat =
            fstatat(from, name, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(|errno| os_failure(&what, errno))?;
        let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
        if ![SFlag::S_IFDIR, SFlag::S_IFREG, SFlag::S_IFLNK].contains(&kind) {
            self.copied.left_out += 1;
            return Ok(());
        }
        self.copied.entries += 1;
        if self.copied.entries > self.caps.entries {
            return Err(too_large(format!("more than {} entries", self.caps.entries)));
        }
        match kind {
            SFlag::S_IFDIR => self.subdirectory(from, to, name, depth + 1),
            SFlag::S_IFREG => self.file(from, to, name, &stat),
            _ => self.link(from, to, name, depth),
        }
    }

    fn subdirectory(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        name: &CStr,
        depth: u32,
    ) -> Result<(), AgentError> {
        let failed = |errno| os_failure(&format!("copy directory {name:?}"), errno);
        if depth > self.caps.depth {
            return Err(too_large(format!(
                "more than {} levels of directories",
                self.caps.depth
            )));
        }
        match mkdirat(to, name, Mode::from_bits_truncate(0o755)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(failed(errno)),
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let from = open_beneath(from, name, flags, Mode::empty()).map_err(failed)?;
        let to = open_beneath(to, name, flags, Mode::empty()).map_err(failed)?;
        self.directory(from, to.as_fd(), depth)
    }

    fn file(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        name: &CStr,
        stat: &FileStat,
    ) -> Result<(), AgentError> {
        let what = format!("copy file {name:?}");
        let failed = |errno| os_failure(&what, errno);
        let left = self.caps.bytes - self.copied.bytes;
        if u64::try_from(stat.st_size).unwrap_or(0) > left {
            return Err(too_large(format!("more than {} bytes", self.caps.bytes)));
        }
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let from = File::from(open_beneath(from, name, flags, Mode::empty()).map_err(failed)?);
        let program = stat.st_mode & 0o111 != 0;
        let mode = Mode::from_bits_truncate(if program { 0o755 } else { 0o644 });
        make_way(to, name).map_err(failed)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        let mut to = File::from(open_beneath(to, name, flags, mode).map_err(failed)?);
        // One byte more than allowed shows that the file has grown meanwhile.
        let bytes = io::copy(&mut from.take(left + 1), &mut to).map_err(|error| io_failure(&what, &error))?;
        if bytes > left {
            return Err(too_large(format!("more than {} bytes", self.caps.bytes)));
        }
        self.copied.bytes += bytes;
        // Build tools compare times.
        let modified = TimeSpec::new(stat.st_mtime, stat.st_mtime_nsec);
        futimens(&to, &TimeSpec::UTIME_OMIT, &modified).map_err(failed)
    }

    fn link(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        name: &CStr,
        depth: u32,
    ) -> Result<(), AgentError> {
        let failed = |errno| os_failure(&format!("copy link {name:?}"), errno);
        let target = readlinkat(from, name).map_err(failed)?;
        if !stays_inside(depth as usize, target.as_encoded_bytes()) {
            self.copied.entries -= 1;
            self.copied.left_out += 1;
            return Ok(());
        }
        make_way(to, name).map_err(failed)?;
        symlinkat(target.as_os_str(), to, name).map_err(failed)
    }
}

/// The names in a directory, without `.` and `..`.
pub(super) fn names(directory: BorrowedFd<'_>) -> Result<Vec<CString>, AgentError> {
    let failed = |errno| os_failure("list a directory", errno);
    let again = open_beneath(
        directory,
        ".",
        OFlag::O_RDONLY | OFlag::O_DIRECTORY,
        Mode::empty(),
    )
    .map_err(failed)?;
    let mut names = Vec::new();
    for entry in Dir::from_fd(again).map_err(failed)?.iter() {
        let entry = entry.map_err(failed)?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}

/// Removes what is in the way of a new file or link. A directory stays, and fails the creation.
fn make_way(directory: BorrowedFd<'_>, name: &CStr) -> nix::Result<()> {
    match unlinkat(directory, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT | Errno::EISDIR) => Ok(()),
        Err(errno) => Err(errno),
    }
}

fn too_large(why: String) -> AgentError {
    failure(ErrorKind::TooLarge, format!("the tree has {why}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use assay_core::agent::Place;

    use super::*;

    const ENOUGH: TreeCaps = TreeCaps {
        bytes: 1000,
        entries: 100,
        depth: 10,
    };

    fn place(root: &Path) -> Place {
        Place {
            root: root.to_str().unwrap().to_owned(),
            path: String::new(),
        }
    }

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let path = root.path();
        std::fs::create_dir_all(path.join("a/b")).unwrap();
        std::fs::write(path.join("a/b/program"), "12345").unwrap();
        std::fs::set_permissions(path.join("a/b/program"), PermissionsExt::from_mode(0o4700)).unwrap();
        std::fs::write(path.join("plain"), "1234567890").unwrap();
        symlink("../plain", path.join("a/inside")).unwrap();
        symlink("../../plain", path.join("a/outside")).unwrap();
        symlink("/etc/passwd", path.join("absolute")).unwrap();
        nix::unistd::mkfifo(&path.join("fifo"), Mode::S_IRWXU).unwrap();
        root
    }

    fn list(root: &Path) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let mut todo = vec![root.to_owned()];
        while let Some(directory) = todo.pop() {
            for entry in directory.read_dir().unwrap() {
                let path = entry.unwrap().path();
                let meta = path.symlink_metadata().unwrap();
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                if meta.is_dir() {
                    todo.push(path);
                } else if meta.is_symlink() {
                    found.insert(name, format!("-> {}", path.read_link().unwrap().display()));
                } else {
                    found.insert(name, format!("{:o}", meta.permissions().mode() & 0o7777));
                }
            }
        }
        found
    }

    #[test]
    fn files_and_inner_links_are_copied_and_the_rest_is_counted() {
        let (from, to) = (tree(), tempfile::tempdir().unwrap());
        std::fs::write(to.path().join("plain"), "old").unwrap();
        let copy = Copy {
            from: place(from.path()),
            to: place(to.path()),
            caps: ENOUGH,
        };
        let copied = super::copy(&copy).unwrap();
        assert_eq!(
            copied,
            Copied {
                bytes: 15,
                entries: 5,
                left_out: 3
            }
        );
        insta::assert_debug_snapshot!(list(to.path()), @r#"
        {
            "a/b/program": "755",
            "a/inside": "-> ../plain",
            "plain": "644",
        }
        "#);
        let times =
            [&from, &to].map(|root| root.path().join("plain").metadata().unwrap().modified().unwrap());
        assert_eq!(times[0], times[1]);
        assert_eq!(
            super::copy(&copy).unwrap(),
            copied,
            "a second copy replaces the first"
        );
    }

    #[test]
    fn each_cap_is_enforced() {
        let from = tree();
        for (caps, message) in [
            (
                TreeCaps { bytes: 14, ..ENOUGH },
                "the tree has more than 14 bytes",
            ),
            (
                TreeCaps { entries: 4, ..ENOUGH },
                "the tree has more than 4 entries",
            ),
            (
                TreeCaps { depth: 1, ..ENOUGH },
                "the tree has more than 1 levels of directories",
            ),
        ] {
            let to = tempfile::tempdir().unwrap();
            let error = super::copy(&Copy {
                from: place(from.path()),
                to: place(to.path()),
                caps,
            })
            .unwrap_err();
            assert_eq!(
                (error.kind, error.message.as_str()),
                (ErrorKind::TooLarge, message)
            );
        }
    }
}
