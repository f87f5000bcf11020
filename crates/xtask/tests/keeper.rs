//! A program in a keeper's care ends when the keeper's standard input does, with everything that it started.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::cargo::CommandCargoExt;

fn keep(log: &Path, script: &str) -> Child {
    Command::cargo_bin("xtask")
        .unwrap()
        .args(["galaxy", "keep", "--log"])
        .arg(log)
        .args(["--", "sh", "-c", script])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The process ids that the script wrote, one a line.
fn ids(log: &Path, count: usize) -> Vec<String> {
    let start = Instant::now();
    loop {
        let text = fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if lines.len() == count {
            return lines;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{text}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn runs(id: &str) -> bool {
    // A zombie that nobody has waited for yet runs no more.
    fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn a_program_and_a_job_in_a_session_of_its_own_end_with_their_owner() {
    let place = tempfile::tempdir().unwrap();
    let log = place.path().join("log");
    let mut keeper = keep(&log, "setsid sleep 1000 & echo $!; echo $$; exec sleep 1000");
    let ids = ids(&log, 2);
    assert!(ids.iter().all(|id| runs(id)), "{ids:?}");
    assert!(keeper.try_wait().unwrap().is_none());
    // What the kernel does when the owner is killed.
    drop(keeper.stdin.take());
    assert!(keeper.wait().unwrap().success());
    // Killed it is, but the kernel may take a moment over it.
    let start = Instant::now();
    while ids.iter().any(|id| runs(id)) {
        assert!(start.elapsed() < Duration::from_secs(10), "{ids:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_program_that_ends_by_itself_ends_its_keeper_with_its_outcome() {
    let place = tempfile::tempdir().unwrap();
    let log = place.path().join("log");
    for (script, good, said) in [("echo yes", true, "yes\n"), ("echo no >&2; exit 3", false, "no\n")] {
        let mut keeper = keep(&log, script);
        let owner = keeper.stdin.take();
        assert_eq!(keeper.wait().unwrap().success(), good, "{script}");
        assert_eq!(fs::read_to_string(&log).unwrap(), said);
        drop(owner);
    }
}
