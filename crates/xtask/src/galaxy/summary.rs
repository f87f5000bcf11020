//! What was checked, how it went, and how long it took.

use std::time::Instant;

use anyhow::{Result, bail};

use super::planemo::Case;

/// Checks and tests in the order in which they ended.
#[derive(Debug, Default)]
pub struct Summary {
    cases: Vec<Case>,
}

impl Summary {
    /// Does a check and notes how it went. An error is a failure of that check and no more: the others are done too.
    pub fn check(&mut self, name: &str, work: impl FnOnce() -> Result<()>) {
        let start = Instant::now();
        let problems = work().err().map(|error| vec![format!("{error:#}")]).unwrap_or_default();
        self.add(Case {
            name: name.to_owned(),
            seconds: start.elapsed().as_secs_f64(),
            problems,
        });
    }

    /// Notes a check and tells at once how it went.
    pub fn add(&mut self, case: Case) {
        println!("{}", line(&case));
        for problem in &case.problems {
            println!("    {}", problem.replace('\n', "\n    "));
        }
        self.cases.push(case);
    }

    /// Whether anything failed so far.
    pub fn failed(&self) -> bool {
        self.cases.iter().any(|case| !case.problems.is_empty())
    }

    /// Prints the whole table.
    ///
    /// # Errors
    /// When anything failed.
    pub fn finish(&self) -> Result<()> {
        println!("\n{self}");
        let failed = self.cases.iter().filter(|case| !case.problems.is_empty()).count();
        if failed > 0 {
            bail!("{failed} of {} checks in Galaxy failed", self.cases.len());
        }
        Ok(())
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for case in &self.cases {
            writeln!(f, "{}", line(case))?;
        }
        let failed = self.cases.iter().filter(|case| !case.problems.is_empty()).count();
        write!(f, "galaxy: {} passed, {failed} failed", self.cases.len() - failed)
    }
}

fn line(case: &Case) -> String {
    let outcome = if case.problems.is_empty() { "passed" } else { "FAILED" };
    format!("{outcome}  {:>6.1} s  {}", case.seconds, case.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn one_failure_does_not_keep_the_others_from_being_done_and_counts_in_the_end() {
        let mut summary = Summary::default();
        summary.check("first", || Err(anyhow!("no")));
        summary.check("second", || Ok(()));
        assert!(summary.failed());
        assert!(summary.to_string().ends_with("galaxy: 1 passed, 1 failed"));
        assert_eq!(
            summary.finish().unwrap_err().to_string(),
            "1 of 2 checks in Galaxy failed"
        );
    }
}
