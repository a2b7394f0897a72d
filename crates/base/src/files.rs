//! Files and folders that appear whole or not at all: a temporary name beside the target, synced, renamed.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// What the file system refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct FileError {
    /// What was tried: `read`, `write`, `create`...
    pub action: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// The system's reason.
    pub source: io::Error,
}

impl FileError {
    /// Turns the system's reason into an error, for `map_err`. The path is copied only then.
    pub fn new(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self + Copy {
        move |source| Self {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// What the user may try.
    pub fn hint(&self) -> Option<String> {
        let hint = match self.source.kind() {
            io::ErrorKind::StorageFull => "the disk is full; nothing was overwritten",
            io::ErrorKind::QuotaExceeded => "your disk quota is used up; nothing was overwritten",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// Large enough that weights are written in few calls, small enough not to count.
const BUFFER: usize = 1 << 20;

/// Whether a name that a file states, as an index of shards does, is that of a file beside it.
pub fn is_file_name(name: &str) -> bool {
    !name.contains(['/', '\\']) && !["", ".", ".."].contains(&name)
}

/// Writes a file under a temporary name beside `path`, syncs it, and renames it over `path`.
///
/// On any failure, a full disk among them, `path` stays as it was and the temporary file is gone.
pub fn write_atomic(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), FileError> {
    let written = put_atomic(path, |temporary| write_synced(temporary, write));
    written
        .and_then(|()| sync_folder(parent(path)))
        .map_err(FileError::new("write", path))
}

/// Makes a file or a link under a temporary name beside `path` and renames it over `path`, which is there at every moment if it was before.
///
/// # Errors
/// Fails if `make` or the renaming fails; the temporary file is removed before.
pub fn put_atomic(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let temporary = unique_sibling(path);
    make(&temporary)
        .and_then(|()| fs::rename(&temporary, path))
        .inspect_err(|_| drop(fs::remove_file(&temporary)))
}

/// Writes a file and syncs it, in place: for files of a folder that [`write_folder`] is building.
pub fn write_file(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), FileError> {
    write_synced(path, write).map_err(FileError::new("write", path))
}

/// Builds a folder under a temporary name and puts it in place once it is whole.
///
/// `build` fills the folder it is given. A `target` that does not exist appears in one rename. Into one that exists
/// the files are renamed one after the other once all of them are written, beside what else lies there; a failure
/// of `build` leaves it untouched. If a renaming fails, the files that are not yet in place stay in `.saving.tmp`. What an
/// interrupted call left behind is removed by the next one.
pub fn write_folder<E: From<FileError>>(
    target: &Path,
    build: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let exists = target.is_dir();
    let staging = if exists {
        target.join(".saving.tmp")
    } else {
        hidden_sibling(target, ".saving.tmp")
    };
    remove_if_there(&staging)?;
    fs::create_dir_all(&staging).map_err(FileError::new("create", &staging))?;
    let built = build(&staging).and_then(|()| Ok(sync_tree(&staging)?));
    if built.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_dir_all(&staging);
        return built;
    }
    let placed = if exists {
        merge_into(&staging, target)
    } else {
        place(&staging, target)
    };
    Ok(placed?)
}

fn write_synced(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(BUFFER, File::create(path)?);
    write(&mut writer)?;
    writer.flush()?;
    writer.get_ref().sync_all()
}

/// The whole folder under its real name.
fn place(staging: &Path, target: &Path) -> Result<(), FileError> {
    fs::rename(staging, target).map_err(FileError::new("create", target))?;
    sync_folder(parent(target)).map_err(FileError::new("sync", parent(target)))
}

/// Renames every file of `staging` to its place in `target`, then removes `staging`.
fn merge_into(staging: &Path, target: &Path) -> Result<(), FileError> {
    for entry in entries(staging)? {
        let to = target.join(entry.file_name().unwrap_or_default());
        if entry.is_dir() && to.is_dir() {
            merge_into(&entry, &to)?;
        } else {
            fs::rename(&entry, &to).map_err(FileError::new("write", &to))?;
        }
    }
    remove_if_there(staging)?;
    sync_folder(target).map_err(FileError::new("sync", target))
}

fn sync_tree(folder: &Path) -> Result<(), FileError> {
    for entry in entries(folder)?.iter().filter(|e| e.is_dir()) {
        sync_tree(entry)?;
    }
    sync_folder(folder).map_err(FileError::new("sync", folder))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let list = fs::read_dir(folder).and_then(|entries| {
        entries
            .map(|e| Ok(e?.path()))
            .collect::<io::Result<Vec<_>>>()
    });
    let mut list = list.map_err(FileError::new("read", folder))?;
    list.sort();
    Ok(list)
}

fn remove_if_there(folder: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(FileError::new("remove", folder)(e)),
        _ => Ok(()),
    }
}

/// Makes a rename survive a power cut. Only Unix can open a folder for it.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}

fn parent(path: &Path) -> &Path {
    path.parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// A name of no other writer, of this process or another.
fn unique_sibling(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    hidden_sibling(path, &format!(".{}-{count}.tmp", std::process::id()))
}

fn hidden_sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(suffix);
    parent(path).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let files = entries(folder).unwrap().into_iter();
        files
            .map(|p| p.file_name().unwrap().to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        write_atomic(&path, |w| w.write_all(b"old")).unwrap();
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let error = write_atomic(&path, |w| w.write_all(b"new").and(Err(full()))).unwrap_err();
        assert!(error.to_string().contains("a.txt"), "{error}");
        assert!(error.hint().unwrap().contains("disk is full"));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["a.txt"]);
    }

    #[test]
    fn what_is_replaced_is_there_at_every_moment() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        let put = || put_atomic(&path, |path| fs::write(path, "a")).unwrap();
        put();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| (0..500).for_each(|_| put()));
            while !writer.is_finished() {
                assert_eq!(fs::read(&path).unwrap(), b"a");
            }
        });
        assert_eq!(names(dir.path()), ["a.txt"]);
    }

    #[test]
    fn a_failed_folder_is_never_seen() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("model");
        let missing = || FileError::new("read", &target)(io::ErrorKind::NotFound.into());
        let failed = write_folder(&target, |staging| {
            write_file(&staging.join("half"), |w| w.write_all(b"1"))?;
            Err(missing())
        });
        assert!(failed.is_err());
        assert_eq!(names(dir.path()), [] as [&str; 0]);
    }

    #[test]
    fn an_existing_folder_keeps_its_other_files() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("model");
        let write = |files: &'static [&'static str]| {
            write_folder::<FileError>(&target, move |staging| {
                for file in files {
                    let path = staging.join(file);
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    write_file(&path, |w| w.write_all(file.as_bytes()))?;
                }
                Ok(())
            })
        };
        write(&["a", "sub/b"]).unwrap();
        write(&["c", "sub/d"]).unwrap();
        assert_eq!(names(&target), ["a", "c", "sub"]);
        assert_eq!(names(&target.join("sub")), ["b", "d"]);
        assert_eq!(names(dir.path()), ["model"]);
    }

    #[test]
    fn what_an_interrupted_writer_left_is_not_mixed_in() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("model");
        fs::create_dir_all(dir.path().join(".model.saving.tmp")).unwrap();
        fs::write(dir.path().join(".model.saving.tmp/stale"), "x").unwrap();
        write_folder::<FileError>(&target, |s| write_file(&s.join("a"), |w| w.write_all(b"1")))
            .unwrap();
        assert_eq!(names(&target), ["a"]);
    }
}
