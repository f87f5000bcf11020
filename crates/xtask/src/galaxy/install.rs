//! Galaxy and planemo from `PyPI`, each in a virtual environment of its own, every package pinned.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use super::place;
use crate::repository;

/// The oldest Python that the pinned packages run on.
const PYTHON: (u32, u32) = (3, 11);

/// Written last: an environment without it is one whose making was interrupted.
const MARKER: &str = "galaxy-burn-installed.txt";

/// Makes both environments, or nothing when they are there as pinned.
pub fn both() -> Result<()> {
    galaxy()?;
    planemo()
}

/// About 3 minutes and 1.3 GB the first time.
pub fn galaxy() -> Result<()> {
    environment("Galaxy", &place::galaxy_environment(), "galaxy-requirements.txt")
}

/// About 1 minute and 360 MB the first time.
pub fn planemo() -> Result<()> {
    environment("planemo", &place::planemo_environment(), "planemo-requirements.txt")
}

fn environment(what: &str, directory: &Path, requirements: &str) -> Result<()> {
    let requirements = repository::root().join("packaging").join(requirements);
    let wanted =
        fs::read_to_string(&requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    let marker = directory.join(MARKER);
    if fs::read_to_string(&marker).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    let python = python()?;
    println!("installing {what} into {} (once)", directory.display());
    let start = Instant::now();
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    succeeds(Command::new(python).args(["-m", "venv"]).arg(directory))?;
    // Without its dependencies: the file names every package. A resolver would refuse Galaxy, whose own pins contradict each other.
    succeeds(
        Command::new(place::program(directory, "python"))
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
            ])
            .arg("--requirement")
            .arg(&requirements),
    )?;
    fs::write(&marker, wanted).with_context(|| format!("cannot write {}", marker.display()))?;
    println!("installed {what} after {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn succeeds(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot start {program}"))?;
    ensure!(status.success(), "{program}: {status}");
    Ok(())
}

/// `PYTHON` if it is set, else the first that is new enough.
fn python() -> Result<String> {
    let named = std::env::var("PYTHON").ok();
    let candidates = named.map_or_else(
        || vec!["python3.11".to_owned(), "python3".to_owned()],
        |python| vec![python],
    );
    for candidate in &candidates {
        let answer = Command::new(candidate)
            .args(["-c", "import sys, ensurepip, venv; print(*sys.version_info[:2])"])
            .output();
        let Ok(answer) = answer else { continue };
        if answer.status.success()
            && version(&String::from_utf8_lossy(&answer.stdout)).is_some_and(|found| found >= PYTHON)
        {
            return Ok(candidate.clone());
        }
    }
    bail!(
        "no Python {}.{} or newer with venv under {}: install one (Debian: python3-venv), or name it in PYTHON",
        PYTHON.0,
        PYTHON.1,
        candidates.join(" or ")
    )
}

/// `3 11` as numbers.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers_and_not_as_text() {
        assert_eq!(version("3 11\n"), Some((3, 11)));
        assert!(version("3 9\n") < Some(PYTHON));
        assert!(version("3 13\n") > Some(PYTHON));
        assert_eq!(version(""), None);
    }

    #[test]
    fn every_package_is_pinned_to_one_version() {
        for name in ["galaxy-requirements.txt", "planemo-requirements.txt"] {
            let text = fs::read_to_string(repository::root().join("packaging").join(name)).unwrap();
            let packages: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
            assert!(packages.len() > 50, "{name} names {} packages", packages.len());
            for package in packages {
                let (name, version) = package.split_once("==").unwrap();
                assert!(
                    !name.is_empty() && !version.is_empty() && !version.contains(['*', ',', ' ']),
                    "{package}"
                );
            }
        }
    }
}
