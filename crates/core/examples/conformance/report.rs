//! What was found, on the screen and as a page.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result};

use crate::Args;
use crate::case::{Label, Outcome};
use crate::deviation::{FLOOR, Quantity};

/// A value that cannot be compared, because it is refused here.
#[derive(Debug)]
pub struct Refused {
    /// What is refused; a whole layer has no option.
    pub label: Label,
    /// Why.
    pub reason: String,
}

/// A case that does not agree.
#[derive(Debug)]
pub struct Failure {
    /// The smallest case that shows it.
    pub description: String,
    /// What does not agree.
    pub reasons: Vec<String>,
}

/// The largest deviations of one line of the page.
#[derive(Debug, Default)]
struct Line {
    values: BTreeSet<String>,
    cases: usize,
    largest: BTreeMap<Quantity, f64>,
    failed: bool,
}

/// All that was found.
#[derive(Debug)]
pub struct Report {
    seed: u64,
    lines: BTreeMap<(&'static str, String, String), Line>,
    refused: Vec<Refused>,
    cases: usize,
    slowest: f64,
    /// Cases and seconds of each kind.
    times: BTreeMap<&'static str, (usize, f64)>,
    largest: BTreeMap<Quantity, (f64, String)>,
    /// What does not agree.
    pub failures: Vec<Failure>,
    /// Keras's versions.
    pub versions: String,
    /// How long all of it took.
    pub seconds: f64,
    /// How long Keras took, all processes together.
    pub keras_seconds: f64,
}

impl Report {
    /// Before the first case.
    pub fn new(args: &Args, refused: Vec<Refused>) -> Self {
        Self {
            seed: args.seed,
            lines: BTreeMap::new(),
            refused,
            cases: 0,
            slowest: 0.0,
            times: BTreeMap::new(),
            largest: BTreeMap::new(),
            failures: Vec::new(),
            versions: String::new(),
            seconds: 0.0,
            keras_seconds: 0.0,
        }
    }

    /// Takes a case in.
    pub fn add(&mut self, labels: &[Label], outcome: &Outcome, seconds: f64) {
        self.cases += 1;
        self.slowest = self.slowest.max(seconds);
        let kind = labels.first().map_or("", |label| label.kind);
        let time = self.times.entry(kind).or_default();
        time.0 += 1;
        time.1 += seconds;
        for (quantity, deviation) in &outcome.deviations {
            let largest = self.largest.entry(*quantity).or_insert((-1.0, String::new()));
            if *deviation > largest.0 {
                let owner = labels.first().map_or_else(String::new, |label| label.owner.clone());
                *largest = (*deviation, owner);
            }
        }
        for label in labels {
            let key = (label.kind, label.owner.clone(), label.option.clone());
            let line = self.lines.entry(key).or_default();
            line.cases += 1;
            line.failed |= !outcome.failures.is_empty();
            if !label.value.is_empty() {
                line.values.insert(label.value.clone());
            }
            for (quantity, deviation) in &outcome.deviations {
                let largest = line.largest.entry(*quantity).or_insert(0.0);
                *largest = largest.max(*deviation);
            }
        }
    }

    /// Says it on the screen.
    pub fn print(&self) {
        for failure in &self.failures {
            println!("does not agree:\n    {}", failure.description);
            for reason in &failure.reasons {
                println!("  - {reason}");
            }
        }
        for (quantity, (deviation, owner)) in &self.largest {
            println!(
                "{:<12} largest deviation {deviation:.1e} ({owner}), allowed {:.0e}",
                quantity.name(),
                quantity.tolerance()
            );
        }
        for refused in &self.refused {
            println!("refused: {}: {}", name(&refused.label), refused.reason);
        }
        let times: Vec<String> = self
            .times
            .iter()
            .map(|(kind, (cases, seconds))| format!("{cases} {kind} {seconds:.0} s"))
            .collect();
        println!("{}", times.join(", "));
        println!(
            "{} cases, {} do not agree, {} refused; {:.0} s, of which Keras computed {:.0} s; slowest case {:.1} s; {}",
            self.cases,
            self.failures.len(),
            self.refused.len(),
            self.seconds,
            self.keras_seconds,
            self.slowest,
            self.versions
        );
        // What `.ci/run` shows at its end.
        println!(
            "conformance: {} passed, {} failed",
            self.cases - self.failures.len(),
            self.failures.len()
        );
    }

    /// Writes the page.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_page(&self, path: &Path) -> Result<()> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
        }
        std::fs::write(path, self.page()).with_context(|| path.display().to_string())
    }

    fn page(&self) -> String {
        let mut page = String::new();
        // Writing to a text cannot fail.
        let _ = writeln!(
            page,
            "# Held to Keras\n\n\
             `cargo xtask conformance --page` wrote this page on {}: {} cases drawn from seed {}, {}, on the \
             backends ndarray and flex.\n\n\
             Each case is configured through the tool's own form. Keras loads our JSON and our weights, we load its JSON and its \
             weights, and both predict, take the gradients of the same loss, and train 1 and 20 steps on the same rows. A number in the \
             tables is the largest deviation that any case with that option showed, on either backend.\n",
            date(),
            self.cases,
            self.seed,
            self.versions,
        );
        self.tolerances(&mut page);
        self.deviations(&mut page);
        self.refusals(&mut page);
        let mut kind = "";
        let mut owner = "";
        let mut columns: Vec<Quantity> = Vec::new();
        for ((line_kind, line_owner, option), line) in &self.lines {
            if *line_kind != kind {
                kind = line_kind;
                owner = "";
                let title = kind[..1].to_uppercase() + &kind[1..];
                let _ = write!(page, "\n## {title}\n");
            }
            if line_owner != owner {
                owner = line_owner;
                columns = Quantity::ALL
                    .into_iter()
                    .filter(|quantity| line.largest.contains_key(quantity))
                    .collect();
                let _ = write!(page, "\n### {owner}\n\n| option | values | cases |");
                for quantity in &columns {
                    let _ = write!(page, " {} |", quantity.name());
                }
                let _ = write!(page, "\n|---|---|--:|{}\n", "--:|".repeat(columns.len()));
            }
            let option = if option.is_empty() {
                "all cases".to_owned()
            } else {
                format!("`{option}`")
            };
            let values: Vec<String> = line
                .values
                .iter()
                .map(|value| format!("`{}`", value.replace('|', "\\|")))
                .collect();
            let _ = write!(page, "| {option} | {} | {} |", values.join(", "), line.cases);
            for quantity in &columns {
                match line.largest.get(quantity) {
                    Some(deviation) => {
                        let _ = write!(page, " {} |", figure(*deviation));
                    }
                    None => page.push_str(" |"),
                }
            }
            page.push_str(if line.failed { " ⚠\n" } else { "\n" });
        }
        page
    }

    fn tolerances(&self, page: &mut String) {
        page.push_str("## Tolerances\n\n| | largest deviation seen | allowed | |\n|---|--:|--:|---|\n");
        for (quantity, (deviation, _)) in &self.largest {
            let _ = writeln!(
                page,
                "| {} | {} | {} | {} |",
                quantity.name(),
                figure(*deviation),
                figure(quantity.tolerance()),
                quantity.reason()
            );
        }
        let _ = writeln!(
            page,
            "\nA tensor whose numbers are all smaller than {FLOOR} is compared as if its largest were {FLOOR}: what is left where larger \
             numbers cancel is their rounding.\n"
        );
    }

    fn deviations(&self, page: &mut String) {
        page.push_str("## Deviations\n\n");
        if self.failures.is_empty() {
            page.push_str("None: every case agrees.\n\n");
        }
        for failure in &self.failures {
            let _ = writeln!(page, "```\n{}\n```\n", failure.description);
            for reason in &failure.reasons {
                let _ = writeln!(page, "- {reason}");
            }
            page.push('\n');
        }
    }

    fn refusals(&self, page: &mut String) {
        if self.refused.is_empty() {
            return;
        }
        page.push_str("## Refused\n\nWhat is refused with a message instead of being computed:\n\n");
        for refused in &self.refused {
            let _ = writeln!(page, "- {}: {}", name(&refused.label), refused.reason);
        }
    }
}

fn name(label: &Label) -> String {
    match (label.option.as_str(), label.value.as_str()) {
        ("", _) => label.owner.clone(),
        (option, value) => format!("{} `{option}={value}`", label.owner),
    }
}

/// Two digits: `3.1e-7`, `0`.
fn figure(number: f64) -> String {
    if number == 0.0 {
        "0".into()
    } else {
        format!("{number:.1e}")
    }
}

/// Today, `2026-01-31`, from the days since 1970 (the civil calendar's inverse by counting years and months).
fn date() -> String {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    civil(now.as_secs() / 86_400)
}

fn civil(mut days: u64) -> String {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    format!("{year}-{:02}-{:02}", month + 1, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), "1970-01-01");
        assert_eq!(civil(19_782), "2024-02-29");
        assert_eq!(civil(20_777), "2026-11-20");
    }

    #[test]
    fn figures_have_two_digits() {
        assert_eq!([figure(0.0), figure(3.14e-7), figure(5.5)], ["0", "3.1e-7", "5.5e0"]);
    }
}
