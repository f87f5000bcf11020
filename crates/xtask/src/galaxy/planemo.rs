//! Calling planemo, and reading what it reports.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::server::{Server, tail};
use super::{place, settings};
use crate::repository;

/// Lines of planemo's output that are shown when it reports nothing.
const TAIL: usize = 30;

/// One test of a tool or workflow, as planemo reports it.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// `keras_model_config, test 1`.
    pub name: String,
    pub seconds: f64,
    /// Nothing, if it passed.
    pub problems: Vec<String>,
}

/// Planemo in the repository's root, which leaves nothing behind in the user's home.
fn planemo() -> Command {
    let mut command = Command::new(place::program(&place::planemo_environment(), "planemo"));
    command
        .current_dir(repository::root())
        .arg("--config")
        .arg(repository::root().join("planemo.yml"))
        .arg("--directory")
        .arg(place::root().join("planemo"))
        .stdin(Stdio::null());
    command
}

/// Runs one of planemo's checks. What it says is kept in a file, and in the error if it finds anything.
pub fn check(name: &str, arguments: &[&str], paths: &[PathBuf]) -> Result<()> {
    let output = planemo()
        .args(arguments)
        .args(paths)
        .output()
        .context("cannot start planemo")?;
    fs::create_dir_all(place::reports()).with_context(|| format!("cannot make {}", place::reports().display()))?;
    let said = [output.stdout, output.stderr].concat();
    let log = place::reports().join(format!("{name}.log"));
    fs::write(&log, &said).with_context(|| format!("cannot write {}", log.display()))?;
    if !output.status.success() {
        bail!(
            "planemo {}: {}\n{}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&said).trim()
        );
    }
    Ok(())
}

/// Builds the archives of a directory with wrappers and a `.shed.yml`. They are not sent anywhere.
pub fn build_archives(wrappers: &Path, into: &Path) -> Result<()> {
    let output = planemo()
        .current_dir(into)
        .args(["shed_upload", "--tar_only", "--shed_target", "toolshed"])
        .arg(wrappers)
        .output()
        .context("cannot start planemo")?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        bail!(
            "planemo shed_upload --tar_only: {}\n{}",
            output.status,
            String::from_utf8_lossy(&said).trim()
        );
    }
    Ok(())
}

/// Tests tools or workflows in the running Galaxy, all in one call. `name` tells the call's files from another's.
pub fn test(server: &Server, name: &str, artefacts: &[PathBuf]) -> Result<Vec<Case>> {
    let reports = place::reports();
    fs::create_dir_all(&reports).with_context(|| format!("cannot make {}", reports.display()))?;
    let report = reports.join(format!("{name}.json"));
    if report.exists() {
        fs::remove_file(&report).with_context(|| format!("cannot remove {}", report.display()))?;
    }
    let log = reports.join(format!("{name}.log"));
    let output = fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let errors = output.try_clone().context("cannot share the log")?;
    let status = planemo()
        .args(["test", "--engine", "external_galaxy", "--no_shed_install"])
        .args(["--galaxy_url", server.url(), "--galaxy_admin_key", settings::KEY])
        .args(["--galaxy_user_key", &server.key()?])
        .arg("--test_output")
        .arg(report.with_extension("html"))
        .arg("--test_output_json")
        .arg(&report)
        .args(artefacts)
        .stdout(output)
        .stderr(errors)
        .status()
        .context("cannot start planemo")?;
    let cases = match fs::read_to_string(&report) {
        Ok(text) => read_report(&text).with_context(|| format!("cannot make sense of {}", report.display()))?,
        Err(_) => bail!("planemo test reports nothing ({status})\n{}", tail(&log, TAIL)),
    };
    if cases.is_empty() || (!status.success() && cases.iter().all(|case| case.problems.is_empty())) {
        bail!(
            "planemo test ends with {status}, but names no failure\n{}",
            tail(&log, TAIL)
        );
    }
    Ok(cases)
}

fn read_report(text: &str) -> Result<Vec<Case>> {
    let report: Value = serde_json::from_str(text)?;
    let tests = report
        .get("tests")
        .and_then(Value::as_array)
        .context("there are no tests")?;
    tests.iter().map(read_case).collect()
}

fn read_case(test: &Value) -> Result<Case> {
    let id = test.get("id").and_then(Value::as_str).context("a test has no id")?;
    let data = test.get("data").context("a test has no data")?;
    let status = data.get("status").and_then(Value::as_str).unwrap_or("unknown");
    let mut problems = Vec::new();
    if status != "success" {
        let found = data.get("output_problems").and_then(Value::as_array);
        problems.extend(found.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
        problems.extend(data.get("execution_problem").and_then(Value::as_str).map(str::to_owned));
        let stderr = data.pointer("/job/stderr").and_then(Value::as_str);
        problems.extend(
            stderr
                .filter(|text| !text.is_empty())
                .map(|text| format!("the job said: {}", text.trim())),
        );
        if problems.is_empty() {
            problems.push(format!("status {status:?}"));
        }
    }
    Ok(Case {
        name: readable(id),
        seconds: seconds(data),
        problems,
    })
}

/// How long the test took: planemo says it of tools, and of workflows when they began and ended.
fn seconds(data: &Value) -> f64 {
    let at = |key: &str| second_of_day(data.get(key)?.as_str()?);
    let told = data.get("time_seconds").and_then(Value::as_f64);
    let between = || Some((at("end_datetime")? - at("start_datetime")?).rem_euclid(86_400.0));
    told.or_else(between).unwrap_or(0.0)
}

/// Of `2026-11-20T19:58:15.931623`.
fn second_of_day(time: &str) -> Option<f64> {
    let (_, clock) = time.split_once('T')?;
    clock
        .split(':')
        .try_fold(0.0, |sum, part| Some(sum * 60.0 + part.parse::<f64>().ok()?))
}

/// `cnn.ga_0` and `keras_model_config-0` as people count: from 1.
fn readable(id: &str) -> String {
    let numbered = id
        .rsplit_once(['-', '_'])
        .and_then(|(what, number)| Some((what, number.parse::<u32>().ok()?)));
    numbered.map_or_else(
        || id.to_owned(),
        |(what, number)| format!("{what}, test {}", number + 1),
    )
}

/// How many tests the file, or the file beside it, holds.
pub fn tests_of(artefact: &Path) -> Result<usize> {
    let (file, start) = if is_workflow(artefact) {
        (tests_file(artefact), "- ")
    } else {
        (artefact.to_owned(), "<test ")
    };
    let text = fs::read_to_string(&file).with_context(|| {
        format!(
            "cannot read {}: it must say what {} is tested with",
            file.display(),
            artefact.display()
        )
    })?;
    let starts = text.lines().filter(|line| {
        // A list in YAML begins at the margin, a test in XML wherever it likes.
        if is_workflow(artefact) {
            line.starts_with(start)
        } else {
            line.trim_start().starts_with(start)
        }
    });
    Ok(starts.count())
}

/// Whether this is a workflow rather than a tool.
pub fn is_workflow(artefact: &Path) -> bool {
    artefact.extension().is_some_and(|extension| extension == "ga")
}

/// The file with a workflow's tests.
fn tests_file(workflow: &Path) -> PathBuf {
    let stem = workflow.file_stem().unwrap_or_default().to_string_lossy();
    workflow.with_file_name(format!("{stem}-tests.yml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{"version": "0.1", "tests": [
        {"id": "keras_model_config-0", "has_data": true, "data": {"status": "success", "time_seconds": 2.5, "job": {"stderr": ""}}},
        {"id": "keras_model_config-1", "has_data": true, "data": {"status": "failure", "time_seconds": 1.5,
            "output_problems": ["Expected text 'a'"], "job": {"stderr": "error: b\n"}}},
        {"id": "cnn.ga_0", "has_data": true, "data": {"status": "error", "execution_problem": "no such tool"}},
        {"id": "odd", "has_data": true, "data": {"status": "skip"}}
    ]}"#;

    #[test]
    fn a_report_tells_what_failed_and_what_the_job_said() {
        let cases = read_report(REPORT).unwrap();
        let said: Vec<(&str, &[String])> = cases
            .iter()
            .map(|case| (case.name.as_str(), case.problems.as_slice()))
            .collect();
        assert_eq!(said[0], ("keras_model_config, test 1", &[][..]));
        assert_eq!(said[1].1, ["Expected text 'a'", "the job said: error: b"]);
        assert_eq!(said[2], ("cnn.ga, test 1", &["no such tool".to_owned()][..]));
        assert_eq!(said[3].1, ["status \"skip\""]);
    }

    #[test]
    fn a_workflow_that_began_before_midnight_took_its_time_too() {
        let data =
            serde_json::json!({"start_datetime": "2026-11-20T23:59:30.5", "end_datetime": "2026-11-21T00:00:10.5"});
        assert!((seconds(&data) - 40.0).abs() < 1e-6);
        assert!((seconds(&serde_json::json!({"time_seconds": 2.5})) - 2.5).abs() < 1e-6);
    }

    #[test]
    fn every_wrapper_and_workflow_has_tests() {
        for wrapper in super::super::toolbox::suite().unwrap() {
            assert!(tests_of(&wrapper).unwrap() > 0, "{}", wrapper.display());
        }
        let workflow = repository::root().join("workflows/cnn.ga");
        assert_eq!(tests_of(&workflow).unwrap(), 1);
    }
}
