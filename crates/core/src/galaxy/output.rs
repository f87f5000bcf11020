//! Output files: all of a job's outputs appear whole under their names, or none does.
//!
//! Each output is written to a temporary file beside its destination, so that putting it in place is a rename, which cannot run out of
//! disk half-way.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Why an output could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {source}", path = path.display())]
pub struct OutputError {
    /// The output file.
    pub path: PathBuf,
    /// What the system says.
    pub source: io::Error,
}

/// The outputs of one job, not visible under their names until [`commit`](Self::commit).
#[derive(Debug)]
pub struct Outputs {
    dir: PathBuf,
    pending: Vec<(PathBuf, NamedTempFile)>,
}

/// Output files are as readable as the user's umask allows: Galaxy, not only the job's user, collects them.
#[cfg(unix)]
fn as_the_umask_allows(builder: &mut tempfile::Builder<'_, '_>) {
    use std::os::unix::fs::PermissionsExt as _;
    builder.permissions(std::fs::Permissions::from_mode(0o666));
}

#[cfg(not(unix))]
fn as_the_umask_allows(_builder: &mut tempfile::Builder<'_, '_>) {}

impl Outputs {
    /// Outputs that will lie in `dir`, which must exist.
    #[must_use]
    pub fn in_dir(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            pending: Vec::new(),
        }
    }

    /// Writes the output `name` (a bare file name) through `write`, buffered, to a temporary file.
    ///
    /// # Errors
    ///
    /// When the file cannot be made or written to: a full disk, a read-only directory, or an error that `write` returns.
    pub fn write(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), OutputError> {
        let path = self.dir.join(name);
        match self.write_temporary(write) {
            Ok(file) => {
                self.pending.push((path, file));
                Ok(())
            }
            Err(source) => Err(OutputError { path, source }),
        }
    }

    fn write_temporary(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<NamedTempFile> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".galaxy-burn-").suffix(".partial");
        as_the_umask_allows(&mut builder);
        // An empty directory means the current one, which `tempfile` must be told.
        let dir = if self.dir.as_os_str().is_empty() {
            Path::new(".")
        } else {
            &self.dir
        };
        let mut buffered = BufWriter::with_capacity(1 << 16, builder.tempfile_in(dir)?);
        write(&mut buffered)?;
        buffered.into_inner().map_err(io::IntoInnerError::into_error)
    }

    /// Puts every output in place under its name.
    ///
    /// # Errors
    ///
    /// When a file cannot be put in place; those that already were are removed again.
    pub fn commit(self) -> Result<(), OutputError> {
        let mut placed: Vec<PathBuf> = Vec::with_capacity(self.pending.len());
        for (path, file) in self.pending {
            if let Err(failure) = file.persist(&path) {
                for earlier in &placed {
                    // Best effort: the first failure is the one to report.
                    let _ = std::fs::remove_file(earlier);
                }
                return Err(OutputError {
                    path,
                    source: failure.error,
                });
            }
            placed.push(path);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn outputs_appear_together_on_commit() {
        let dir = tempfile::tempdir().unwrap();
        let mut outputs = Outputs::in_dir(dir.path());
        outputs.write("scores.tsv", |to| writeln!(to, "score\n0.5")).unwrap();
        outputs.write("model.zip", |to| to.write_all(b"PK")).unwrap();
        assert!(!dir.path().join("scores.tsv").exists());
        outputs.commit().unwrap();
        assert_eq!(names(dir.path()), ["model.zip", "scores.tsv"]);
        assert_eq!(
            fs::read_to_string(dir.path().join("scores.tsv")).unwrap(),
            "score\n0.5\n"
        );
    }

    #[test]
    fn an_existing_output_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("out"), "old").unwrap();
        let mut outputs = Outputs::in_dir(dir.path());
        outputs.write("out", |to| to.write_all(b"new")).unwrap();
        outputs.commit().unwrap();
        assert_eq!(fs::read(dir.path().join("out")).unwrap(), b"new");
    }

    #[test]
    fn without_commit_nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let mut outputs = Outputs::in_dir(dir.path());
        outputs.write("out", |to| to.write_all(b"half")).unwrap();
        drop(outputs);
        assert_eq!(names(dir.path()), Vec::<String>::new());
    }

    #[test]
    fn a_full_disk_is_named_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut outputs = Outputs::in_dir(dir.path());
        outputs.write("first", |to| to.write_all(b"whole")).unwrap();
        let error = outputs
            .write("second", |to| {
                to.write_all(b"half")?;
                Err(io::ErrorKind::StorageFull.into())
            })
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot write {}: no storage space", dir.path().join("second").display())
        );
        drop(outputs);
        assert_eq!(names(dir.path()), Vec::<String>::new());
    }

    #[test]
    fn a_directory_that_cannot_hold_files_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let not_a_directory = dir.path().join("file");
        fs::write(&not_a_directory, "").unwrap();
        let error = Outputs::in_dir(&not_a_directory).write("out", |_| Ok(())).unwrap_err();
        assert_eq!(error.path, not_a_directory.join("out"));
        assert_eq!(error.source.kind(), io::ErrorKind::NotADirectory);
    }

    #[test]
    fn a_failed_commit_takes_back_what_it_had_placed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("second")).unwrap();
        let mut outputs = Outputs::in_dir(dir.path());
        outputs.write("first", |to| to.write_all(b"1")).unwrap();
        outputs.write("second", |to| to.write_all(b"2")).unwrap();
        assert_eq!(outputs.commit().unwrap_err().path, dir.path().join("second"));
        assert_eq!(names(dir.path()), ["second"]);
    }

    #[cfg(unix)]
    #[test]
    fn outputs_are_not_private_to_the_job() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let plain = dir.path().join("plain");
        fs::write(&plain, "").unwrap();
        let mut outputs = Outputs::in_dir(dir.path());
        outputs.write("out", |_| Ok(())).unwrap();
        outputs.commit().unwrap();
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(dir.path().join("out")), mode(plain));
    }
}
