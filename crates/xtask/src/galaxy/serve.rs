//! `cargo xtask galaxy start`, `stop` and `open`: a Galaxy to look at.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::api::Api;
use super::server::Server;
use super::toolbox::{self, Toolbox};
use super::{install, lesson, place, programs, published, settings};

/// How to serve.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also serve the tools under the ids of the originals, so that workflows from public servers run
    #[arg(long)]
    published: bool,
    /// Forget what an earlier start left: histories, datasets, workflows
    #[arg(long)]
    fresh: bool,
    /// Where the programs are, instead of building them
    #[arg(long, value_name = "DIR")]
    bin: Option<PathBuf>,
}

/// Who serves, and where.
#[derive(Debug, Serialize, Deserialize)]
struct Running {
    url: String,
    process: u32,
}

const BETWEEN_LOOKS: Duration = Duration::from_millis(500);
/// A little more than the keepers give Galaxy to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serves until it is interrupted, or stopped from elsewhere.
pub fn start(args: &Args) -> Result<()> {
    if let Some(running) = running()? {
        println!("Galaxy is already there: {}", running.url);
        return Ok(());
    }
    install::galaxy()?;
    let programs = programs(args.bin.as_deref())?;
    let home = place::kept_server();
    if args.fresh && home.exists() {
        fs::remove_dir_all(&home).with_context(|| format!("cannot remove {}", home.display()))?;
    }
    let wrappers = toolbox::suite()?;
    let toolbox = Toolbox {
        published: if args.published { published::all()? } else { Vec::new() },
        local: wrappers,
    };
    println!("starting Galaxy (about a minute)");
    let mut server = Server::start(&home, &toolbox, &programs)?;
    server.wait()?;
    if let Err(error) = lesson::prepare(&server.api()?) {
        bail!("{error:#}\n{}", server.log_tail());
    }
    let note = Running {
        url: server.url().to_owned(),
        process: std::process::id(),
    };
    let text = serde_json::to_string(&note).context("cannot write down where Galaxy is")?;
    fs::write(note_file(), text).with_context(|| format!("cannot write {}", note_file().display()))?;
    println!("Galaxy is at {}", server.url());
    println!("Its histories hold the tutorials' bundled data, its workflows are the tutorials'. Ctrl-C stops it.");
    loop {
        thread::sleep(BETWEEN_LOOKS);
        if let Some(reason) = server.ended()? {
            bail!("{reason}\n{}", server.log_tail());
        }
    }
}

/// Ends the Galaxy that somebody started.
pub fn stop() -> Result<()> {
    let Some(running) = running()? else {
        println!("no Galaxy is running");
        return Ok(());
    };
    // Its owner ends, and the keepers of its processes notice.
    let status = Command::new("sh")
        .args(["-c", "kill -s TERM -- \"$0\"", &running.process.to_string()])
        .stdin(Stdio::null())
        .status()
        .context("cannot start sh")?;
    let asked = Instant::now();
    while answers(&running) {
        if !status.success() || asked.elapsed() > PATIENCE {
            bail!(
                "Galaxy at {} does not stop; its owner is process {}",
                running.url,
                running.process
            );
        }
        thread::sleep(BETWEEN_LOOKS);
    }
    forget()?;
    println!("stopped");
    Ok(())
}

/// Shows it in the browser.
pub fn open() -> Result<()> {
    let Some(running) = running()? else {
        bail!("no Galaxy is running: cargo xtask galaxy start");
    };
    println!("{}", running.url);
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let status = Command::new(opener)
        .arg(&running.url)
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start {opener}; the address above is for a browser"))?;
    if !status.success() {
        bail!("{opener}: {status}; the address above is for a browser");
    }
    Ok(())
}

fn note_file() -> PathBuf {
    place::kept_server().join("running.json")
}

fn answers(running: &Running) -> bool {
    Api::new(&running.url, settings::KEY).answers()
}

/// The Galaxy that was written down, if it answers still. An owner that was killed wrote nothing any more.
fn running() -> Result<Option<Running>> {
    let Ok(text) = fs::read_to_string(note_file()) else {
        return Ok(None);
    };
    if let Ok(running) = serde_json::from_str::<Running>(&text)
        && answers(&running)
    {
        return Ok(Some(running));
    }
    forget()?;
    Ok(None)
}

fn forget() -> Result<()> {
    fs::remove_file(note_file()).with_context(|| format!("cannot remove {}", note_file().display()))
}
