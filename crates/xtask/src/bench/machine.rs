//! What a measurement was made on.

use std::process::Command;

use crate::repository;

/// The processor, its instruction sets, the threads, the day and the version, in one line.
pub fn description() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = cpu.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let flags = field("flags").unwrap_or_default();
    let has = |flag: &str| flags.split(' ').any(|known| known == flag);
    let instructions = match (has("avx512f"), has("avx2")) {
        (true, _) => "AVX-512",
        (false, true) => "AVX2",
        (false, false) => "neither AVX2 nor AVX-512",
    };
    let printed = |program: &str, arguments: &[&str]| {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(repository::root())
            .output();
        output
            .ok()
            .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    format!(
        "{}, commit {}, {} ({instructions}), {} threads",
        printed("date", &["+%Y-%m-%d"]).unwrap_or_default(),
        printed("git", &["rev-parse", "--short", "HEAD"]).unwrap_or_default(),
        field("model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        repository::slots()
    )
}
