//! A process that keeps another one only as long as its own standard input is open.
//!
//! Galaxy must not outlive the command that started it, however that ends: by itself, by Ctrl-C, killed. No handler of signals can
//! promise that; the kernel can, by closing the pipe. So the command does not start Galaxy itself: it starts this keeper and holds
//! the other end of its input.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// What a keeper is told. Not for people.
#[derive(clap::Args)]
pub struct Args {
    /// Where the program's output goes
    #[arg(long)]
    log: PathBuf,
    /// The program and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    program: Vec<String>,
}

/// How long the program may take to end after it was asked to.
const PATIENCE: Duration = Duration::from_secs(20);
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// A program that runs in a keeper's care; it ends when this is dropped.
#[derive(Debug)]
pub struct Kept {
    keeper: Child,
}

impl Kept {
    /// Starts `command` (its program, arguments, directory and environment; not its streams), writing its output to `log`.
    pub fn start(command: &Command, log: &Path) -> Result<Self> {
        let mut keeper = Command::new(std::env::current_exe().context("cannot find this program's file")?);
        keeper.args(["galaxy", "keep", "--log"]).arg(log).arg("--");
        keeper.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => keeper.env(name, value),
                None => keeper.env_remove(name),
            };
        }
        if let Some(directory) = command.get_current_dir() {
            keeper.current_dir(directory);
        }
        // A group of its own: Ctrl-C in the terminal must reach the command and not the keeper, which has work to do then.
        let keeper = keeper
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot keep {}", command.get_program().display()))?;
        Ok(Self { keeper })
    }

    /// Whether it still runs; what it ended with if not.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.keeper.try_wait().context("cannot ask for a process")
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // Nothing is left to do if the wait fails: the keeper was told, and ends the program without us.
        let _ = self.keeper.wait();
    }
}

/// The keeper's own life: runs the program until it ends or standard input does.
pub fn run(args: &Args) -> Result<ExitCode> {
    let log = File::create(&args.log).with_context(|| format!("cannot write {}", args.log.display()))?;
    let errors = log.try_clone().context("cannot share the log")?;
    let mut child = Command::new(&args.program[0])
        .args(&args.program[1..])
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start {}", args.program[0]))?;
    let over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&over);
    thread::spawn(move || {
        // An error is an end, too.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        told.store(true, Ordering::Relaxed);
    });
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for a process")? {
            return Ok(if status.success() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            });
        }
        if over.load(Ordering::Relaxed) {
            end(&mut child)?;
            return Ok(ExitCode::SUCCESS);
        }
        thread::sleep(BETWEEN_LOOKS);
    }
}

/// Asks the program and its group to end, makes them if they do not, and then whatever they started in other groups: a job that
/// Galaxy was running is in one of its own.
fn end(child: &mut Child) -> Result<()> {
    let family = descendants(child.id());
    signal("TERM", &format!("-{}", child.id()));
    let asked = Instant::now();
    while child.try_wait().context("cannot wait for a process")?.is_none() {
        if asked.elapsed() > PATIENCE {
            signal("KILL", &format!("-{}", child.id()));
            child.wait().context("cannot wait for a process")?;
            break;
        }
        thread::sleep(BETWEEN_LOOKS);
    }
    for left in family {
        signal("KILL", &left.to_string());
    }
    Ok(())
}

/// Says nothing when there is no such process any more. The shell has `kill` built in; a slim system has no other.
fn signal(name: &str, to: &str) {
    let _ = Command::new("sh")
        .args(["-c", "kill -s \"$0\" -- \"$1\"", name, to])
        .stderr(Stdio::null())
        .status();
}

/// The processes that `ancestor` and its children started and that still run.
fn descendants(ancestor: u32) -> BTreeSet<u32> {
    family(&processes().unwrap_or_default(), ancestor)
}

/// A line `pid ppid` for each process, from `/proc`, or from `ps` where there is none.
fn processes() -> Option<String> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        let listing = Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output().ok()?;
        return String::from_utf8(listing.stdout).ok();
    };
    let mut lines = Vec::new();
    for entry in entries.flatten() {
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        // `pid (name) state ppid ...`, and a name may hold anything.
        if let Some((_, rest)) = stat.rsplit_once(')')
            && let Some(parent) = rest.split_whitespace().nth(1)
        {
            lines.push(format!("{} {parent}", entry.file_name().display()));
        }
    }
    Some(lines.join("\n"))
}

/// From lines `pid ppid`.
fn family(listing: &str, ancestor: u32) -> BTreeSet<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for line in listing.lines() {
        let mut numbers = line.split_whitespace().map_while(|word| word.parse().ok());
        if let (Some(child), Some(parent)) = (numbers.next(), numbers.next()) {
            children.entry(parent).or_default().push(child);
        }
    }
    let mut found = BTreeSet::new();
    let mut next = vec![ancestor];
    while let Some(parent) = next.pop() {
        for child in children.get(&parent).into_iter().flatten() {
            if found.insert(*child) {
                next.push(*child);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_all_generations_and_nobody_else() {
        let listing = "  1  0\n 10  1\n 11 10\n 12 10\n 20 11\n 30  1\n";
        assert_eq!(family(listing, 10), BTreeSet::from([11, 12, 20]));
        assert_eq!(family(listing, 30), BTreeSet::new());
    }
}
