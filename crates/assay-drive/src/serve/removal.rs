//! Removes files and trees, however deep they are, without following any symbolic link.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd};

use assay_core::agent::{AgentError, Answer, ErrorKind, Place};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, renameat};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::files::{open_beneath, open_directory, parent_of};
use super::os_failure;
use super::tree::names;

/// Removes what is at a place; its root only loses its content.
pub(super) fn remove(at: &Place) -> Result<Answer, AgentError> {
    if at.path.is_empty() {
        empty(open_directory(at, false)?.as_fd())?;
        return Ok(Answer::Nothing);
    }
    let (parent, name) = match parent_of(at, false) {
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(Answer::Nothing),
        other => other?,
    };
    let name = CString::new(name).map_err(|_| os_failure("remove a file", Errno::EINVAL))?;
    discard(parent.as_fd(), &name)?;
    Ok(Answer::Nothing)
}

/// Empties directories that are there.
pub(super) fn wipe(directories: &[String]) -> Result<Answer, AgentError> {
    for root in directories {
        match open_directory(
            &Place {
                root: root.clone(),
                path: String::new(),
            },
            false,
        ) {
            Err(error) if error.kind == ErrorKind::NotFound => {}
            directory => empty(directory?.as_fd())?,
        }
    }
    Ok(Answer::Nothing)
}

fn empty(directory: BorrowedFd<'_>) -> Result<(), AgentError> {
    for name in names(directory)? {
        discard(directory, &name)?;
    }
    Ok(())
}

/// Removes one entry of a directory. A tree is taken apart level by level: its inner directories move up beside it, so
/// that neither the stack nor the file descriptors grow with its depth.
fn discard(directory: BorrowedFd<'_>, name: &CStr) -> Result<(), AgentError> {
    let mut todo = vec![name.to_owned()];
    let mut moved = 0_u64;
    while let Some(name) = todo.pop() {
        let failed = |errno| os_failure(&format!("remove {name:?}"), errno);
        if remove_unless_full(directory, &name).map_err(failed)? {
            continue;
        }
        // Its owner may have locked it. Links are no directories, so none is followed here.
        let all = Mode::S_IRWXU;
        fchmodat(directory, name.as_c_str(), all, FchmodatFlags::FollowSymlink).map_err(failed)?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let inner = open_beneath(directory, name.as_c_str(), flags, Mode::empty()).map_err(failed)?;
        for entry in names(inner.as_fd())? {
            if remove_unless_full(inner.as_fd(), &entry).map_err(failed)? {
                continue;
            }
            // To move a directory it must be writable itself, since its `..` changes.
            fchmodat(&inner, entry.as_c_str(), all, FchmodatFlags::FollowSymlink).map_err(failed)?;
            let place = loop {
                moved += 1;
                let place = CString::new(format!(".removing-{moved}")).map_err(|_| failed(Errno::EINVAL))?;
                match fstatat(directory, place.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
                    Err(Errno::ENOENT) => break place,
                    _ => continue,
                }
            };
            renameat(&inner, entry.as_c_str(), directory, place.as_c_str()).map_err(failed)?;
            todo.push(place);
        }
        unlinkat(directory, name.as_c_str(), UnlinkatFlags::RemoveDir).map_err(failed)?;
    }
    Ok(())
}

/// Removes a file, a link or an empty directory; false when it is a directory with something in it.
fn remove_unless_full(directory: BorrowedFd<'_>, name: &CStr) -> nix::Result<bool> {
    let stat = match fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::ENOENT) => return Ok(true),
        stat => stat?,
    };
    let is_directory = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR;
    let how = if is_directory {
        UnlinkatFlags::RemoveDir
    } else {
        UnlinkatFlags::NoRemoveDir
    };
    match unlinkat(directory, name, how) {
        Ok(()) | Err(Errno::ENOENT) => Ok(true),
        Err(Errno::ENOTEMPTY | Errno::EEXIST) => Ok(false),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn everything_in_a_directory_goes_and_nothing_outside() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("kept"), "").unwrap();
        let root = tempfile::tempdir().unwrap();
        symlink(outside.path(), root.path().join("link")).unwrap();
        std::fs::write(root.path().join(".removing-2"), "in the way").unwrap();
        std::fs::create_dir_all(root.path().join("locked/inner/x")).unwrap();
        std::fs::set_permissions(root.path().join("locked/inner"), PermissionsExt::from_mode(0o0)).unwrap();
        // Deeper than there are file descriptors.
        let deep = root.path().join("d/".repeat(1500));
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join("file"), "").unwrap();

        wipe(&[
            root.path().to_str().unwrap().to_owned(),
            "/does/not/exist".to_owned(),
        ])
        .unwrap();

        assert_eq!(root.path().read_dir().unwrap().count(), 0);
        assert!(outside.path().join("kept").exists());
    }

    #[test]
    fn removing_what_is_not_there_is_fine() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| Place {
            root: root.path().to_str().unwrap().to_owned(),
            path: path.to_owned(),
        };
        std::fs::create_dir_all(root.path().join("a/b")).unwrap();
        for path in ["x/y", "x", "a/b", "a"] {
            assert_eq!(remove(&at(path)), Ok(Answer::Nothing), "{path}");
        }
        assert_eq!(remove(&at("../x")).unwrap_err().kind, ErrorKind::BadRequest);
    }
}
