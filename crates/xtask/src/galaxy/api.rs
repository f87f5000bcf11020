//! Talking to a Galaxy over HTTP.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use ureq::Agent;
use ureq::http::Response;

/// No answer takes longer, but the first one after a start may come close.
const PATIENCE: Duration = Duration::from_mins(2);

/// A Galaxy and a key that opens it.
#[derive(Debug, Clone)]
pub struct Api {
    agent: Agent,
    url: String,
    key: String,
}

impl Api {
    /// `url` is the server's root, without a slash at its end.
    pub fn new(url: &str, key: &str) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            // What Galaxy says about an error is in the body.
            .http_status_as_error(false)
            .build();
        Self {
            agent: config.into(),
            url: url.to_owned(),
            key: key.to_owned(),
        }
    }

    /// Whether it answers at all.
    pub fn answers(&self) -> bool {
        self.get("version").is_ok()
    }

    /// `GET /api/...`.
    pub fn get(&self, path: &str) -> Result<Value> {
        let answer = self.agent.get(self.address(path)).header("x-api-key", &self.key).call();
        content("GET", path, answer)
    }

    /// `POST /api/...`.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.send("POST", path, body)
    }

    /// `PUT /api/...`.
    pub fn put(&self, path: &str, body: &Value) -> Result<Value> {
        self.send("PUT", path, body)
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let address = self.address(path);
        let request = if method == "PUT" {
            self.agent.put(address)
        } else {
            self.agent.post(address)
        };
        let answer = request
            .header("x-api-key", &self.key)
            .header("content-type", "application/json")
            .send(body.to_string());
        content(method, path, answer)
    }

    fn address(&self, path: &str) -> String {
        format!("{}/api/{path}", self.url)
    }
}

fn content(method: &str, path: &str, answer: Result<Response<ureq::Body>, ureq::Error>) -> Result<Value> {
    let mut answer = answer.map_err(|error| anyhow!("{method} {path}: {error}"))?;
    let status = answer.status();
    let text = answer
        .body_mut()
        .with_config()
        .limit(u64::MAX)
        .read_to_string()
        .with_context(|| format!("{method} {path}: the answer breaks off"))?;
    if !status.is_success() {
        bail!("{method} {path}: Galaxy answers {status}: {}", text.trim());
    }
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&text).with_context(|| format!("{method} {path}: the answer is no JSON"))
}

/// A text in an answer.
pub fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value
        .get(key)
        .and_then(Value::as_str)
        .with_context(|| format!("Galaxy's answer has no text {key:?}: {value}"))
}

/// A list in an answer.
pub fn list(value: &Value) -> Result<&[Value]> {
    value
        .as_array()
        .map(Vec::as_slice)
        .with_context(|| format!("Galaxy's answer is no list: {value}"))
}
