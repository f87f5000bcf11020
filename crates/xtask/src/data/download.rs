//! Downloading one file so that it can be interrupted at any time and is never taken for whole when it is not.
//!
//! Bytes go into `NAME.part`. Only when as many have come as the server announced, and the content looks right, does the file get its
//! name. A part that is left over is continued with an HTTP range request; a server that knows no ranges sends everything again.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use ureq::Agent;
use ureq::http::{HeaderMap, StatusCode, header};

/// Told how far the transfer is.
pub trait Progress {
    /// So many bytes are there, of so many.
    fn at(&self, done: u64, total: Option<u64>);
    /// Something went wrong that is tried again.
    fn trouble(&self, what: &str);
}

/// Downloads files.
pub struct Downloader {
    agent: Agent,
    /// Transfers that are begun before giving up.
    attempts: u32,
    /// Pause before the second attempt; doubled for each further one.
    pause: Duration,
}

impl Default for Downloader {
    fn default() -> Self {
        let silence = Some(Duration::from_mins(1));
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(silence)
            .timeout_recv_response(silence)
            .timeout_per_read(silence)
            .build();
        Self {
            agent: config.new_agent(),
            attempts: 5,
            pause: Duration::from_secs(2),
        }
    }
}

/// How an attempt ended short of success.
enum Failure {
    /// Another attempt may help.
    Passing(anyhow::Error),
    /// It will not.
    Final(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Final(error)
    }
}

impl Downloader {
    /// Downloads `url` to `file` and returns its size in bytes. `whole` looks at the complete file before it gets its name.
    pub fn fetch(
        &self,
        url: &str,
        file: &Path,
        progress: &dyn Progress,
        whole: &dyn Fn(&Path) -> Result<()>,
    ) -> Result<u64> {
        let part = part_of(file);
        let mut pause = self.pause;
        for left in (0..self.attempts).rev() {
            match self.attempt(url, &part, progress) {
                Ok(bytes) => {
                    if let Err(wrong) = whole(&part) {
                        let _ = fs::remove_file(&part);
                        return Err(wrong.context(format!("{url} did not send the right file")));
                    }
                    fs::rename(&part, file)
                        .with_context(|| format!("cannot rename {} to {}", part.display(), file.display()))?;
                    return Ok(bytes);
                }
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing(error)) if left == 0 => {
                    return Err(error.context(format!(
                        "giving up on {url} after {} attempts; what has come is kept, run the command again to go on",
                        self.attempts
                    )));
                }
                Err(Failure::Passing(error)) => {
                    progress.trouble(&format!("{error:#}; trying again in {} s", pause.as_secs()));
                    std::thread::sleep(pause);
                    pause *= 2;
                }
            }
        }
        bail!("{url} was never asked for")
    }

    fn attempt(&self, url: &str, part: &Path, progress: &dyn Progress) -> Result<u64, Failure> {
        let have = fs::metadata(part).map_or(0, |metadata| metadata.len());
        // Compressed transfer would make the lengths those of something else.
        let mut request = self.agent.get(url).header(header::ACCEPT_ENCODING, "identity");
        if have > 0 {
            request = request.header(header::RANGE, format!("bytes={have}-"));
        }
        let response = request
            .call()
            .map_err(|error| Failure::Passing(anyhow!(error).context(format!("cannot reach {url}"))))?;
        let (head, mut body) = response.into_parts();
        let (start, total) = match head.status {
            StatusCode::OK => (0, length(&head.headers)),
            StatusCode::PARTIAL_CONTENT => {
                let (start, total) =
                    content_range(&head.headers).with_context(|| format!("{url} sent a part without saying which"))?;
                if start != Some(have) {
                    return Err(start_over(
                        part,
                        anyhow!("{url} sent another part than the one asked for"),
                    ));
                }
                (have, total)
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                return match content_range(&head.headers) {
                    // Everything had come, and only the renaming was missing.
                    Some((None, Some(total))) if total == have => Ok(have),
                    _ => Err(start_over(
                        part,
                        anyhow!("the part that was kept does not fit the file at {url}"),
                    )),
                };
            }
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                return Err(Failure::Passing(anyhow!("{url} answers {status}")));
            }
            status => return Err(Failure::Final(anyhow!("{url} answers {status}"))),
        };
        if total.is_none() && !head.headers.contains_key(header::TRANSFER_ENCODING) {
            // The end of such a body looks the same as a broken connection.
            return Err(Failure::Final(anyhow!(
                "{url} does not say how long the file is, so it could be cut off unnoticed"
            )));
        }
        let cannot_write = || format!("cannot write {}", part.display());
        let mut options = OpenOptions::new();
        options.create(true).write(true);
        let mut file = if start == 0 {
            options.truncate(true)
        } else {
            options.append(true)
        }
        .open(part)
        .with_context(cannot_write)?;
        let done = transfer(
            &mut body.as_reader(),
            &mut file,
            start,
            total,
            progress,
            url,
            &cannot_write,
        )?;
        file.sync_all().with_context(cannot_write)?;
        match total {
            Some(total) if done < total => Err(Failure::Passing(anyhow!(
                "{url} broke off after {done} of {total} bytes"
            ))),
            Some(total) if done > total => Err(start_over(
                part,
                anyhow!("{url} sent {done} bytes, more than the {total} that it announced"),
            )),
            _ => Ok(done),
        }
    }
}

/// Copies the body and returns how many bytes the file then holds.
fn transfer(
    from: &mut impl Read,
    to: &mut File,
    start: u64,
    total: Option<u64>,
    progress: &dyn Progress,
    url: &str,
    cannot_write: &dyn Fn() -> String,
) -> Result<u64, Failure> {
    let mut buffer = vec![0; 1 << 16];
    let mut done = start;
    loop {
        progress.at(done, total);
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(done),
            Ok(read) => read,
            Err(error) => {
                let of = total.map_or_else(String::new, |total| format!(" of {total}"));
                return Err(Failure::Passing(
                    anyhow!(error).context(format!("{url} broke off after {done}{of} bytes")),
                ));
            }
        };
        to.write_all(&buffer[..read]).with_context(cannot_write)?;
        done += read as u64;
    }
}

fn start_over(part: &Path, why: anyhow::Error) -> Failure {
    match fs::remove_file(part) {
        Ok(()) => Failure::Passing(why),
        Err(error) => Failure::Final(anyhow!(error).context(format!("cannot remove {}", part.display()))),
    }
}

fn part_of(file: &Path) -> PathBuf {
    let mut name: OsString = file.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// `bytes 100-199/200` as `(Some(100), Some(200))`, `bytes */200` as `(None, Some(200))`.
fn content_range(headers: &HeaderMap) -> Option<(Option<u64>, Option<u64>)> {
    let text = headers
        .get(header::CONTENT_RANGE)?
        .to_str()
        .ok()?
        .trim()
        .strip_prefix("bytes ")?;
    let (range, total) = text.split_once('/')?;
    let start = range.split_once('-').and_then(|(start, _)| start.trim().parse().ok());
    Some((start, total.trim().parse().ok()))
}

#[cfg(test)]
impl Downloader {
    /// For a server on this machine: no proxy, no pauses.
    pub fn for_tests(attempts: u32) -> Self {
        let limit = Some(Duration::from_secs(10));
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_per_read(limit)
            .build();
        Self {
            agent: config.new_agent(),
            attempts,
            pause: Duration::ZERO,
        }
    }
}
