//! `cargo xtask dist`: the release archive, for admins who want to unpack something and be done.
//!
//! It holds the programs (static, stripped), the wrappers with the data of their tests, the list of published tools, the documents, and
//! a checksum of every file. The same sources, compiler and target give the same bytes: paths are taken out of the programs, and files
//! go into the archive sorted, without times and owners.

mod archive;
mod contents;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::{TOOL_PACKAGES, cargo};
use crate::repository;
use contents::Entry;

/// What is released, and the version of the programs and of the package that the wrappers ask for.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// No program may be larger.
const LARGEST_PROGRAM: u64 = 15_000_000;

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The machine to build for, such as x86_64-unknown-linux-musl; without it, this one
    #[arg(long, value_name = "TRIPLE")]
    target: Option<String>,
    /// Where the archive goes
    #[arg(long, value_name = "DIR", default_value = "target/dist")]
    out: PathBuf,
    /// Where the programs are, instead of building them
    #[arg(long, value_name = "DIR")]
    bin: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    let root = repository::root();
    contents::check_versions(&root, VERSION)?;
    let host = host()?;
    let target = args.target.as_deref().unwrap_or(&host);
    let programs = match &args.bin {
        Some(directory) => directory.clone(),
        None => build(target)?,
    };
    let mut entries = programs_in(&programs, target == host)?;
    // The container is made from these alone.
    let out = root.join(&args.out);
    let loose = out.join("bin");
    fs::create_dir_all(&loose).with_context(|| format!("cannot make {}", loose.display()))?;
    for entry in &entries {
        let name = entry.path.rsplit('/').next().unwrap_or(&entry.path);
        archive::write_executable(&loose.join(name), &entry.bytes)?;
    }
    entries.extend(contents::collect(&root)?);

    let name = format!("galaxy-burn-{VERSION}-{target}");
    let bytes = archive::pack(&name, entries)?;
    let file = out.join(format!("{name}.tar.gz"));
    fs::write(&file, &bytes).with_context(|| format!("cannot write {}", file.display()))?;
    let sum = archive::sha256(&bytes);
    let sum_file = out.join(format!("{name}.tar.gz.sha256"));
    fs::write(&sum_file, format!("{sum}  {name}.tar.gz\n"))
        .with_context(|| format!("cannot write {}", sum_file.display()))?;
    println!("{sum}  {} ({:.1} MB)", file.display(), megabytes(bytes.len() as u64));
    Ok(())
}

/// The machine that this compiler builds for unless told otherwise.
fn host() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().context("cannot start rustc")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not say what it builds for")?.to_owned())
}

/// Builds the programs and returns their directory.
fn build(target: &str) -> Result<PathBuf> {
    let mut command = cargo();
    command.args(["build", "--release", "--locked", "--target", target]);
    for package in TOOL_PACKAGES {
        command.args(["--package", package]);
    }
    // Linked statically, so that the age of the machine's C library does not matter; and no program tells where it was built.
    let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
    flags.push(format!(
        "--remap-path-prefix={}=galaxy-burn",
        repository::root().display()
    ));
    if let Some(cargo_home) = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))
    {
        flags.push(format!("--remap-path-prefix={}=cargo", cargo_home.display()));
    }
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    let status = command.status().context("cannot start cargo")?;
    ensure!(status.success(), "the programs do not build for {target}: {status}");
    Ok(repository::target().join(target).join("release"))
}

/// The six programs, after a look at each: that it is there, is no giant, and says its version if it can run here.
fn programs_in(directory: &Path, runs_here: bool) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for package in TOOL_PACKAGES {
        let name = package.trim_start_matches("galaxy-burn-").replace('-', "_");
        let path = directory.join(&name);
        let bytes = fs::read(&path).with_context(|| format!("there is no program {}", path.display()))?;
        let size = bytes.len() as u64;
        if size > LARGEST_PROGRAM {
            bail!(
                "{name} has {:.1} MB, {:.0} MB is the most",
                megabytes(size),
                megabytes(LARGEST_PROGRAM)
            );
        }
        if runs_here {
            let output = Command::new(std::path::absolute(&path)?)
                .arg("--version")
                .output()
                .with_context(|| format!("cannot run {}", path.display()))?;
            let said = String::from_utf8_lossy(&output.stdout);
            ensure!(
                said.trim() == format!("{name} {VERSION}"),
                "{} says {said:?}, not its version {VERSION}",
                path.display()
            );
        }
        println!("{:<24} {:>5.1} MB", name, megabytes(size));
        entries.push(Entry {
            path: format!("bin/{name}"),
            bytes,
            executable: true,
        });
    }
    Ok(entries)
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
