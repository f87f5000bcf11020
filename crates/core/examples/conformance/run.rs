//! Runs all cases, on several Keras processes at once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use galaxy_burn_core::nn::{device, threads};

use crate::case::{Case, Judge, Label, Outcome};
use crate::keras::Keras;
use crate::model::{self, ModelCase};
use crate::report::{Failure, Refused, Report};
use crate::{Args, chance, fit, function, optimizer};

/// Failures that are made smaller before they are printed; more of them mostly show the same.
const SHRUNK: usize = 6;
/// Smaller cases that are tried for one failure.
const TRIALS: usize = 80;
/// How long all of that may take.
const SHRINKING: Duration = Duration::from_mins(1);

/// All cases, judged. True when everything agrees.
///
/// # Errors
/// When Keras cannot be asked, or the page cannot be written.
pub fn run(args: &Args) -> Result<bool> {
    let started = Instant::now();
    // One thread a case: the cases are small, and run side by side.
    threads::init(1)?;
    let (cases, refused) = draw(args)?;
    eprintln!("{} cases", cases.len());
    let mut report = Report::new(args, refused);
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    let versions = Mutex::new(String::new());
    let jobs = args.jobs.clamp(1, cases.len().max(1));
    let results: Vec<Result<f64>> = std::thread::scope(|scope| {
        let work = || -> Result<f64> {
            threads::flush_denormals();
            let mut judge = Judge {
                keras: Keras::start(&args.python)?,
                devices: device::available(),
                directory: tempfile::tempdir()?,
            };
            *lock(&versions) = judge.keras.versions()?;
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(case) = cases.get(at) else { break };
                let clock = Instant::now();
                let outcome = case
                    .judge(&mut judge)
                    .with_context(|| format!("the case\n    {}", case.describe()))?;
                let seconds = clock.elapsed().as_secs_f64();
                lock(&found).push((at, outcome, seconds));
            }
            Ok(judge.keras.seconds)
        };
        let handles: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        handles
            .into_iter()
            .map(|handle| handle.join().unwrap_or_else(|_| Err(anyhow!("a worker panicked"))))
            .collect()
    });
    let mut keras_seconds = 0.0;
    for result in results {
        keras_seconds += result?;
    }
    let mut found = found.into_inner().unwrap_or_default();
    found.sort_by_key(|(at, _, _)| *at);
    let mut failed: Vec<(usize, Outcome)> = Vec::new();
    for (at, outcome, seconds) in found {
        report.add(&cases[at].labels(), &outcome, seconds);
        if !outcome.failures.is_empty() {
            failed.push((at, outcome));
        }
    }
    report.versions = versions.into_inner().unwrap_or_default();
    report.failures = smallest(args, &cases, failed)?;
    report.seconds = started.elapsed().as_secs_f64();
    report.keras_seconds = keras_seconds;
    report.print();
    if let Some(page) = &args.page {
        report.write_page(page)?;
    }
    Ok(report.failures.is_empty())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Cases of any kind.
type Cases = Vec<Box<dyn Case>>;

/// The cases of all kinds that are asked for.
fn draw(args: &Args) -> Result<(Cases, Vec<Refused>)> {
    let only = args.only.as_deref();
    let wanted = |kind: &str| only.is_none_or(|only| only == kind);
    let mut cases: Vec<Box<dyn Case>> = Vec::new();
    let mut refused = Vec::new();
    let layers = model::layers(args.seed, only.filter(|only| *only != "layers"));
    cases.extend(layers.cases.into_iter().map(|case| Box::new(case) as Box<dyn Case>));
    refused.extend(
        layers
            .refused
            .into_iter()
            .map(|(owner, option, value, reason)| Refused {
                label: Label {
                    kind: "layers",
                    owner,
                    option,
                    value,
                },
                // Which layers there are instead says the page itself.
                reason: reason.split("; supported: ").next().unwrap_or_default().to_owned(),
            }),
    );
    let models = |models: Vec<ModelCase>| models.into_iter().map(|case| Box::new(case) as Box<dyn Case>);
    cases.extend(models(model::merges(args.seed, only.filter(|only| *only != "layers"))));
    cases.extend(models(model::states(args.seed, only.filter(|only| *only != "layers"))));
    if wanted("optimizers") {
        cases.extend(models(optimizer::optimizers(args.seed)?));
    }
    if wanted("losses") {
        cases.extend(function::losses(args.seed));
    }
    if wanted("metrics") {
        cases.extend(function::metrics(args.seed));
    }
    if wanted("initializers") {
        cases.extend(chance::starts(args.seed));
    }
    cases.extend(chance::noises(args.seed, only.filter(|only| *only != "noise"))?);
    if wanted("runs") {
        cases.extend(fit::runs(args.seed));
    }
    if wanted("stacks") {
        cases.extend(models(model::stacks(args.seed, args.cases)));
    }
    if wanted("graphs") {
        cases.extend(models(model::graphs(args.seed, args.cases / 3)));
        cases.extend(model::several());
    }
    Ok((cases, refused))
}

/// The failures, the first few of them made as small as they go.
fn smallest(args: &Args, cases: &[Box<dyn Case>], failed: Vec<(usize, Outcome)>) -> Result<Vec<Failure>> {
    if failed.is_empty() {
        return Ok(Vec::new());
    }
    let mut judge = Judge {
        keras: Keras::start(&args.python)?,
        devices: device::available(),
        directory: tempfile::tempdir()?,
    };
    let until = Instant::now() + SHRINKING;
    let mut failures = Vec::new();
    for (count, (at, outcome)) in failed.into_iter().enumerate() {
        let (description, reasons) = if count < SHRUNK {
            shrink(cases[at].as_ref(), &outcome, &mut judge, until)?
        } else {
            (cases[at].describe(), outcome.failures)
        };
        failures.push(Failure { description, reasons });
    }
    Ok(failures)
}

/// What a failure is about: its first words. A smaller case has to fail in the same way.
fn way(outcome: &Outcome) -> Option<String> {
    let first = outcome.failures.first()?;
    Some(first.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

fn shrink(case: &dyn Case, outcome: &Outcome, judge: &mut Judge, until: Instant) -> Result<(String, Vec<String>)> {
    let (mut description, mut failures) = (case.describe(), outcome.failures.clone());
    let wanted = way(outcome);
    let mut candidates = case.smaller();
    let mut trials = 0;
    'smaller: while trials < TRIALS {
        for candidate in candidates {
            trials += 1;
            let outcome = candidate.judge(judge)?;
            if way(&outcome) == wanted {
                (description, failures) = (candidate.describe(), outcome.failures);
                candidates = candidate.smaller();
                continue 'smaller;
            }
            if trials >= TRIALS || Instant::now() > until {
                break;
            }
        }
        break;
    }
    Ok((description, failures))
}
