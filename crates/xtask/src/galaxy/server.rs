//! A Galaxy server on this machine, for as long as its owner lives.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::api::{self, Api};
use super::keeper::Kept;
use super::toolbox::Toolbox;
use super::{place, settings};

/// A start takes about a minute; on a machine that is busy otherwise, several.
const PATIENCE: Duration = Duration::from_mins(7);
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);
/// Lines of a log that are shown when something went wrong.
const TAIL: usize = 30;

/// A Galaxy and the worker that does its uploads. Both end when this is dropped.
#[derive(Debug)]
pub struct Server {
    home: PathBuf,
    url: String,
    web: Kept,
    worker: Kept,
    started: Instant,
}

impl Server {
    /// Starts a Galaxy with these tools below `home`. It is not up yet: see [`Server::wait`].
    pub fn start(home: &Path, toolbox: &Toolbox, programs: &Path) -> Result<Self> {
        fs::create_dir_all(home.join("data")).with_context(|| format!("cannot make {}", home.display()))?;
        settings::write(home, toolbox, programs)?;
        let address = free_address()?;
        let web = Kept::start(
            in_environment("galaxy-web", home)
                .arg("-c")
                .arg(home.join("galaxy.yml"))
                .args(["-b", &address]),
            &home.join("galaxy.log"),
        )?;
        let worker = Kept::start(
            in_environment("celery", home)
                .args([
                    "--app",
                    "galaxy.celery",
                    "worker",
                    "--pool",
                    "threads",
                    "--concurrency",
                    "2",
                ])
                .args(["--loglevel", "INFO", "--without-gossip", "--without-mingle"])
                .args(["--queues", "celery,galaxy.internal,galaxy.external"])
                .env("GALAXY_CONFIG_FILE", home.join("galaxy.yml")),
            &home.join("worker.log"),
        )?;
        Ok(Self {
            home: home.to_owned(),
            url: format!("http://{address}"),
            web,
            worker,
            started: Instant::now(),
        })
    }

    /// Waits until it answers, and returns how long it took.
    ///
    /// # Errors
    /// The end of the log, when the server ends instead or takes too long.
    pub fn wait(&mut self) -> Result<Duration> {
        let bootstrap = Api::new(&self.url, settings::KEY);
        while !bootstrap.answers() {
            if let Some(status) = self.web.ended()? {
                bail!("Galaxy ended instead of starting ({status})\n{}", self.log_tail());
            }
            if self.started.elapsed() > PATIENCE {
                bail!(
                    "Galaxy does not answer after {} s\n{}",
                    PATIENCE.as_secs(),
                    self.log_tail()
                );
            }
            thread::sleep(BETWEEN_LOOKS);
        }
        let key = self.key_file();
        if !key.exists() {
            fs::write(&key, new_user(&bootstrap)?).with_context(|| format!("cannot write {}", key.display()))?;
        }
        Ok(self.started.elapsed())
    }

    /// The address for a browser.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The key of the one user. Known once the server is up.
    pub fn key(&self) -> Result<String> {
        let path = self.key_file();
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Its interface, as the one user.
    pub fn api(&self) -> Result<Api> {
        Ok(Api::new(&self.url, &self.key()?))
    }

    /// Offers other tools from now on.
    pub fn offer(&self, toolbox: &Toolbox) -> Result<()> {
        settings::write_toolbox(&self.home, toolbox)?;
        self.api()?.put("configuration/toolbox", &json!({}))?;
        Ok(())
    }

    /// Why it ended, if it did.
    pub fn ended(&mut self) -> Result<Option<String>> {
        for (name, process) in [("Galaxy", &mut self.web), ("Galaxy's worker", &mut self.worker)] {
            if let Some(status) = process.ended()? {
                return Ok(Some(format!("{name} ended by itself ({status})")));
            }
        }
        Ok(None)
    }

    /// The last lines of its logs.
    pub fn log_tail(&self) -> String {
        let tails: Vec<String> = ["galaxy.log", "worker.log"]
            .iter()
            .map(|name| tail(&self.home.join(name), TAIL))
            .collect();
        tails.join("\n")
    }

    fn key_file(&self) -> PathBuf {
        self.home.join("user.key")
    }
}

/// A program of Galaxy's environment, in the server's directory.
fn in_environment(name: &str, home: &Path) -> Command {
    let environment = place::galaxy_environment();
    let mut path = environment.join("bin").into_os_string();
    if let Some(inherited) = std::env::var_os("PATH") {
        path.push(":");
        path.push(inherited);
    }
    let mut command = Command::new(place::program(&environment, name));
    command
        .current_dir(home)
        .env("PATH", path)
        .env("VIRTUAL_ENV", environment)
        .env("PYTHONWARNINGS", "ignore");
    command
}

/// The kernel chooses the port. Somebody else could take it before Galaxy does; then the start fails and says so.
fn free_address() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen on 127.0.0.1")?;
    Ok(listener.local_addr().context("cannot find a free port")?.to_string())
}

/// Makes the one user, without a browser, and returns the key of that user.
fn new_user(bootstrap: &Api) -> Result<String> {
    let name = settings::USER.split('@').next().unwrap_or(settings::USER);
    let user = bootstrap.post(
        "users",
        &json!({"username": name, "email": settings::USER, "password": settings::KEY}),
    )?;
    let key = bootstrap.post(&format!("users/{}/api_key", api::text(&user, "id")?), &json!({}))?;
    Ok(key.as_str().context("Galaxy gives the user no key")?.to_owned())
}

/// The last lines of a file under a line with its name; what cannot be read is said instead.
pub fn tail(path: &Path, lines: usize) -> String {
    let text = match fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => error.to_string(),
    };
    // Requests that went well say nothing.
    let all: Vec<&str> = text.lines().filter(|line| !line.contains(" HTTP/1.1\" 2")).collect();
    let last = &all[all.len().saturating_sub(lines)..];
    format!("--- the end of {}\n{}", path.display(), last.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_the_last_lines_without_requests_that_went_well() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "1\n2\nINFO: \"GET /api/version HTTP/1.1\" 200 OK\n3\n").unwrap();
        assert!(tail(file.path(), 2).ends_with("\n2\n3"));
        assert!(tail(file.path(), 9).ends_with("\n1\n2\n3"));
    }

    #[test]
    fn the_port_is_on_the_loopback_interface() {
        assert!(free_address().unwrap().starts_with("127.0.0.1:"));
    }
}
