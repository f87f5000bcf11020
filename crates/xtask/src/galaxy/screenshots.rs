//! `cargo xtask galaxy screenshots`: how tools and results look in a browser, and whether a person can fill in a form.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::api::{self, Api};
use super::server::Server;
use super::toolbox::{self, Toolbox};
use super::{install, lesson, place, programs};
use crate::repository;
use crate::tutorials::catalogue::TUTORIALS;

/// How to look.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the programs are, instead of building them
    #[arg(long, value_name = "DIR")]
    bin: Option<PathBuf>,
    /// The browser
    #[arg(long, value_name = "FILE", default_value = "/usr/bin/chromium")]
    chromium: PathBuf,
}

/// The three workflows on the bundled data.
const PATIENCE: Duration = Duration::from_mins(5);
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    ensure!(
        args.chromium.is_file(),
        "there is no {}: install Chromium (Debian: chromium), or name it with --chromium",
        args.chromium.display()
    );
    install::galaxy()?;
    let modules = playwright()?;
    let programs = programs(args.bin.as_deref())?;
    let home = place::root().join("look");
    if home.exists() {
        fs::remove_dir_all(&home).with_context(|| format!("cannot remove {}", home.display()))?;
    }
    let toolbox = Toolbox {
        local: toolbox::suite()?,
        published: Vec::new(),
    };
    let mut server = Server::start(&home, &toolbox, &programs)?;
    server.wait()?;
    let looked = look(&server, &modules, &args.chromium);
    if looked.is_err() {
        println!("{}", server.log_tail());
    }
    looked
}

fn look(server: &Server, modules: &Path, chromium: &Path) -> Result<()> {
    let api = server.api()?;
    lesson::prepare(&api)?;
    let pictures = place::root().join("screenshots");
    fs::create_dir_all(&pictures).with_context(|| format!("cannot make {}", pictures.display()))?;
    let mut pages = Vec::new();
    for wrapper in toolbox::suite()? {
        let id = toolbox::id_of(&wrapper);
        pages.push(json!({"path": format!("/?tool_id={id}"), "history": null, "picture": format!("{id}.png")}));
    }
    let mut architecture = Value::Null;
    for tutorial in &TUTORIALS {
        let outputs = lesson::run_through(&api, tutorial, PATIENCE)?;
        let matrix = outputs
            .get("Confusion matrix")
            .context("the workflow made no confusion matrix")?;
        pages.push(json!({
            "path": format!("/datasets/{}/preview", matrix.dataset),
            "history": matrix.history,
            "picture": format!("tutorial_{}.png", tutorial.name),
        }));
        if tutorial.name == "cnn" {
            let config = outputs
                .get("Model config")
                .context("the workflow made no model config")?;
            architecture = api.get(&format!("datasets/{}/display", config.dataset))?;
        }
    }
    let history = api.post("histories", &json!({"name": "Filled in by hand"}))?;
    let history = api::text(&history, "id")?;
    let task = json!({
        "url": server.url(),
        "chromium": chromium,
        "modules": modules,
        "out": pictures,
        "pages": pages,
        "form": {
            "history": history,
            "input_shape": "(784, )",
            "layers": cnn_by_hand(),
            "picture": "filled_in_by_hand.png",
        },
    });
    drive(modules, &task)?;
    let made = only_dataset(&api, history)?;
    ensure!(
        api.get(&format!("datasets/{made}/display"))? == architecture,
        "the form filled in by hand makes another model config than the tutorial's workflow"
    );
    println!(
        "the form filled in by hand makes the tutorial's model config; pictures: {}",
        pictures.display()
    );
    Ok(())
}

/// The layers of the tutorial on convolutional networks as its text tells to enter them. Choices are named as a person reads them.
fn cnn_by_hand() -> Value {
    json!([
        {"layer_type": "Core -- Reshape", "target_shape": "(28,28,1)"},
        {"layer_type": "Convolutional -- Conv2D", "filters": "64", "kernel_size": "3", "activation": "relu", "kwargs": "padding='same'"},
        {"layer_type": "Pooling -- MaxPooling2D", "pool_size": "(2, 2)"},
        {"layer_type": "Convolutional -- Conv2D", "filters": "32", "kernel_size": "3", "activation": "relu"},
        {"layer_type": "Pooling -- MaxPooling2D", "pool_size": "(2, 2)"},
        {"layer_type": "Core -- Flatten", "data_format": "channels_last"},
        {"layer_type": "Core -- Dense", "units": "10", "activation": "softmax"},
    ])
}

/// Playwright without a browser of its own, from the npm registry, pinned.
fn playwright() -> Result<PathBuf> {
    let place = place::root().join("browser");
    fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    let wanted = repository::root()
        .join("packaging")
        .join("browser")
        .join("package.json");
    let text = fs::read_to_string(&wanted).with_context(|| format!("cannot read {}", wanted.display()))?;
    let marker = place.join("package.json");
    let there = place.join("node_modules").join("playwright-core").is_dir();
    if there && fs::read_to_string(&marker).is_ok_and(|found| found == text) {
        return Ok(place);
    }
    fs::write(&marker, text).with_context(|| format!("cannot write {}", marker.display()))?;
    let status = Command::new("npm")
        .current_dir(&place)
        .args([
            "install",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--no-package-lock",
        ])
        .stdin(Stdio::null())
        .status()
        .context("cannot start npm: install Node.js 20 or newer")?;
    ensure!(status.success(), "npm install: {status}");
    Ok(place)
}

fn drive(modules: &Path, task: &Value) -> Result<()> {
    let file = modules.join("task.json");
    fs::write(&file, task.to_string()).with_context(|| format!("cannot write {}", file.display()))?;
    let script = repository::root().join("crates/xtask/src/galaxy/browser/look.mjs");
    let status = Command::new("node")
        .arg(&script)
        .arg(&file)
        .stdin(Stdio::null())
        .status()
        .context("cannot start node")?;
    ensure!(status.success(), "{}: {status}", script.display());
    Ok(())
}

/// The one dataset of a history, once its job is done.
fn only_dataset(api: &Api, history: &str) -> Result<String> {
    let start = Instant::now();
    loop {
        let contents = api.get(&format!("histories/{history}/contents"))?;
        if let [one] = api::list(&contents)? {
            match api::text(one, "state")? {
                "ok" => return Ok(api::text(one, "id")?.to_owned()),
                "error" => bail!("the form filled in by hand makes a job that fails"),
                _ => {}
            }
        }
        ensure!(
            start.elapsed() < PATIENCE,
            "the form filled in by hand makes no dataset: {contents}"
        );
        thread::sleep(BETWEEN_LOOKS);
    }
}
