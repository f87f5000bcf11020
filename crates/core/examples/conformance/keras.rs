//! A Python process with Keras that answers questions, one at a time.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// The process; it ends when this is dropped.
#[derive(Debug)]
pub struct Keras {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// Seconds that Keras took for its answers.
    pub seconds: f64,
}

impl Keras {
    /// Starts the process.
    ///
    /// # Errors
    /// When `python` cannot be started.
    pub fn start(python: &Path) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/conformance/keras/answer.py");
        let mut child = Command::new(python)
            .args(["-B", "-W", "ignore"])
            .arg(&script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", python.display()))?;
        let questions = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().context("Python has no output")?);
        Ok(Self {
            child,
            questions,
            answers,
            seconds: 0.0,
        })
    }

    /// Asks, and waits for the answer. What Keras refuses is the inner error.
    ///
    /// # Errors
    /// When the process ended, or talks nonsense.
    pub fn ask(&mut self, question: &Value) -> Result<Result<Value, String>> {
        let mut line = serde_json::to_string(question)?;
        line.push('\n');
        let questions = self.questions.as_mut().context("Python takes no questions")?;
        questions.write_all(line.as_bytes()).context("Python ended")?;
        questions.flush().context("Python ended")?;
        line.clear();
        if self.answers.read_line(&mut line)? == 0 {
            bail!("Python ended while it was asked; what it printed above says why");
        }
        let answer: Value = serde_json::from_str(&line).context("Python's answer")?;
        self.seconds += answer["seconds"].as_f64().unwrap_or(0.0);
        Ok(match answer["error"].as_str() {
            Some(error) => Err(error.replace('\n', " ")),
            None => Ok(answer),
        })
    }

    /// `Keras 2.15.0, TensorFlow 2.15.1, Python 3.11.9`.
    ///
    /// # Errors
    /// When the process does not answer.
    pub fn versions(&mut self) -> Result<String> {
        let answer = self.ask(&json!({"kind": "versions"}))?.map_err(anyhow::Error::msg)?;
        let text = |name: &str| answer[name].as_str().unwrap_or("?").to_owned();
        Ok(format!(
            "Keras {}, TensorFlow {}, Python {}",
            text("keras"),
            text("tensorflow"),
            text("python")
        ))
    }
}

impl Drop for Keras {
    fn drop(&mut self) {
        // The end of the questions ends the process.
        drop(self.questions.take());
        let _ = self.child.wait();
    }
}
