//! Rows of the evaluators' CSV files, which are added to as a run goes on: a resumed run drops those it will write again.

use std::{fs, io::Write, path::Path};

use matryo_base::{FileError, write_atomic};

/// Keeps the header and the first `rows` rows of every CSV file in `folder`; without rows, no file.
pub(crate) fn keep(folder: &Path, rows: usize) -> Result<(), FileError> {
    let files = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    for path in files.filter(|path| path.extension().is_some_and(|extension| extension == "csv")) {
        if rows == 0 {
            fs::remove_file(&path).map_err(FileError::new("delete", &path))?;
            continue;
        }
        let text = fs::read_to_string(&path).map_err(FileError::new("read", &path))?;
        let kept: String = text.split_inclusive('\n').take(rows + 1).collect();
        if kept.len() < text.len() {
            write_atomic(&path, |file| file.write_all(kept.as_bytes()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_beyond_are_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a_results.csv");
        fs::write(&path, "epoch,steps\n1.0,1\n2.0,2\n3.0,3\n").unwrap();
        fs::write(dir.path().join("other.txt"), "1\n2\n3\n4\n").unwrap();
        keep(dir.path(), 2).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "epoch,steps\n1.0,1\n2.0,2\n"
        );
        keep(dir.path(), 5).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "epoch,steps\n1.0,1\n2.0,2\n"
        );
        keep(dir.path(), 0).unwrap();
        assert!(!path.exists() && dir.path().join("other.txt").exists());
        keep(&dir.path().join("nowhere"), 1).unwrap();
    }
}
