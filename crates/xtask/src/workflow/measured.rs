//! Running a program while looking at its output, its time and its memory.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// A line that the program wrote, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    Stdout(String),
    Stderr(String),
}

/// How it went.
#[derive(Debug)]
pub struct Finished {
    pub status: ExitStatus,
    /// From start to end.
    pub seconds: f64,
    /// The largest resident memory, in MB (2^20 bytes); `None` where the system does not tell (it is read from `/proc`).
    pub peak_mb: Option<f64>,
}

/// The kernel keeps the high-water mark, so that only growth in the last interval before the end can be missed.
const FIRST_LOOK: Duration = Duration::from_millis(1);
const LONGEST_BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Runs the command to its end and hands each line to `seen` as soon as it is there.
pub fn run_measured(command: &mut Command, mut seen: impl FnMut(Line)) -> Result<Finished> {
    let program = command.get_program().to_string_lossy().into_owned();
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    let stdout = child.stdout.take().context("the program's output is not connected")?;
    let stderr = child.stderr.take().context("the program's output is not connected")?;
    let pid = child.id();
    let over = AtomicBool::new(false);
    let (sender, receiver) = channel();
    thread::scope(|scope| {
        let errors = sender.clone();
        scope.spawn(move || forward(stdout, &sender, Line::Stdout));
        scope.spawn(move || forward(stderr, &errors, Line::Stderr));
        let over = &over;
        let memory = scope.spawn(move || peak_memory(pid, over));
        for line in receiver {
            seen(line);
        }
        let status = child.wait();
        let seconds = start.elapsed().as_secs_f64();
        over.store(true, Ordering::Relaxed);
        let peak_mb = memory.join().ok().flatten();
        Ok(Finished {
            status: status.with_context(|| format!("cannot wait for {program}"))?,
            seconds,
            peak_mb,
        })
    })
}

/// Bytes that are no UTF-8 are replaced rather than lost with their line.
fn forward(stream: impl Read, to: &Sender<Line>, kind: fn(String) -> Line) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while matches!(reader.read_until(b'\n', &mut line), Ok(read) if read > 0) {
        let text = String::from_utf8_lossy(&line);
        if to.send(kind(text.trim_end_matches(['\n', '\r']).to_owned())).is_err() {
            return;
        }
        line.clear();
    }
}

fn peak_memory(pid: u32, over: &AtomicBool) -> Option<f64> {
    let path = format!("/proc/{pid}/status");
    let mut pause = FIRST_LOOK;
    let mut peak = None;
    while !over.load(Ordering::Relaxed) {
        let Ok(status) = std::fs::read_to_string(&path) else {
            break;
        };
        if let Some(kib) = high_water_kib(&status) {
            peak = Some(kib / 1024.0);
        }
        thread::sleep(pause);
        pause = (pause * 5 / 4).min(LONGEST_BETWEEN_LOOKS);
    }
    peak
}

/// `VmHWM:     1234 kB`; a process that has ended has no such line.
fn high_water_kib(status: &str) -> Option<f64> {
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?
        .trim()
        .strip_suffix("kB")?
        .trim()
        .parse()
        .ok()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_streams_arrive_and_the_exit_code_is_kept() {
        let mut lines = Vec::new();
        let script = "echo one; echo two >&2; printf 'no end'; exit 3";
        let finished = run_measured(Command::new("sh").args(["-c", script]), |line| lines.push(line)).unwrap();
        assert_eq!(finished.status.code(), Some(3));
        let out: Vec<_> = lines.iter().filter(|line| matches!(line, Line::Stdout(_))).collect();
        assert_eq!(out, [&Line::Stdout("one".into()), &Line::Stdout("no end".into())]);
        assert!(lines.contains(&Line::Stderr("two".into())));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn memory_is_the_programs_not_ours() {
        let finished = run_measured(Command::new("sleep").arg("0.05"), |_| {}).unwrap();
        let peak = finished.peak_mb.unwrap();
        assert!(peak > 0.1 && peak < 50.0, "{peak}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = run_measured(&mut Command::new("no-such-program-here"), |_| {}).unwrap_err();
        assert!(error.to_string().contains("no-such-program-here"));
    }

    #[test]
    fn the_high_water_mark_is_read_in_kib() {
        assert_eq!(
            high_water_kib("Name:\tx\nVmHWM:\t   2048 kB\nVmRSS:\t 1 kB\n"),
            Some(2048.0)
        );
        assert_eq!(high_water_kib("Name:\tx\nState:\tZ (zombie)\n"), None);
    }
}
