//! What is measured of one run, and how runs compare.

use std::fmt::Write as _;

use crate::tutorials::seeds::median;

/// One run of one tutorial.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// `Keras 2.15.1`, `galaxy-burn`.
    pub who: String,
    /// Training rows times epochs, per second of fitting.
    pub fit_rows_per_second: f64,
    /// Test rows per second of predicting.
    pub predict_rows_per_second: f64,
    pub read_seconds: f64,
    pub fit_seconds: f64,
    pub predict_seconds: f64,
    /// From nothing to the last output: all of a script, all five steps of a workflow.
    pub whole_seconds: f64,
    pub peak_mb: f64,
    /// On the test rows.
    pub accuracy: f64,
}

/// Which way a figure is better.
#[derive(Clone, Copy)]
enum Better {
    More,
    Less,
    Unranked,
}

struct Measure {
    name: &'static str,
    of: fn(&Figures) -> f64,
    better: Better,
    decimals: usize,
}

const MEASURES: [Measure; 8] = [
    Measure {
        name: "fit, rows/s",
        of: |f| f.fit_rows_per_second,
        better: Better::More,
        decimals: 0,
    },
    Measure {
        name: "predict, rows/s",
        of: |f| f.predict_rows_per_second,
        better: Better::More,
        decimals: 0,
    },
    Measure {
        name: "read, s",
        of: |f| f.read_seconds,
        better: Better::Less,
        decimals: 2,
    },
    Measure {
        name: "fit, s",
        of: |f| f.fit_seconds,
        better: Better::Less,
        decimals: 2,
    },
    Measure {
        name: "predict, s",
        of: |f| f.predict_seconds,
        better: Better::Less,
        decimals: 2,
    },
    Measure {
        name: "whole, s",
        of: |f| f.whole_seconds,
        better: Better::Less,
        decimals: 2,
    },
    Measure {
        name: "peak memory, MB",
        of: |f| f.peak_mb,
        better: Better::Less,
        decimals: 0,
    },
    Measure {
        name: "test accuracy",
        of: |f| f.accuracy,
        better: Better::Unranked,
        decimals: 4,
    },
];

impl Figures {
    /// One line while the rounds run.
    pub fn in_short(&self) -> String {
        format!(
            "{}: fit {:.2} s ({} rows/s), predict {:.2} s, whole {:.2} s, {:.0} MB, accuracy {:.4}",
            self.who,
            self.fit_seconds,
            grouped(self.fit_rows_per_second, 0),
            self.predict_seconds,
            self.whole_seconds,
            self.peak_mb,
            self.accuracy
        )
    }
}

/// A Markdown table: a row a measure, the peers' columns, ours as the last, and how many times better ours is than each peer.
pub fn markdown(title: &str, columns: &[(String, Vec<Figures>)]) -> String {
    let Some(((_, ours), peers)) = columns.split_last() else {
        return String::new();
    };
    let mut text = format!("| {title}, median of {} |", ours.len());
    for (who, _) in columns {
        let _ = write!(text, " {who} |");
    }
    for (who, _) in peers {
        let _ = write!(text, " against {who} |");
    }
    let _ = write!(text, "\n|---|{}", "---|".repeat(columns.len() + peers.len()));
    for measure in &MEASURES {
        let _ = write!(text, "\n| {} |", measure.name);
        for (_, runs) in columns {
            let values: Vec<f64> = runs.iter().map(measure.of).collect();
            let _ = write!(text, " {} |", grouped(median(&values), measure.decimals));
        }
        for (_, runs) in peers {
            let ratios: Vec<f64> = runs
                .iter()
                .zip(ours)
                .map(|(peer, our)| times_better(measure, peer, our))
                .collect();
            let ratio = median(&ratios);
            let shown = if ratio.is_finite() {
                format!("{ratio:.1} x")
            } else {
                String::new()
            };
            let _ = write!(text, " {shown} |");
        }
    }
    text.push('\n');
    text
}

fn times_better(measure: &Measure, peer: &Figures, ours: &Figures) -> f64 {
    let (peer, ours) = ((measure.of)(peer), (measure.of)(ours));
    match measure.better {
        Better::More => ours / peer,
        Better::Less => peer / ours,
        Better::Unranked => f64::NAN,
    }
}

/// `12345.6` as `12,346`.
fn grouped(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text
        .split_once('.')
        .map_or((text.as_str(), String::new()), |(whole, rest)| {
            (whole, format!(".{rest}"))
        });
    let digits = whole.len();
    let mut out = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (digits - at) % 3 == 0 && digit.is_ascii_digit() && out.ends_with(|c: char| c.is_ascii_digit()) {
            out.push(',');
        }
        out.push(digit);
    }
    out + &rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(who: &str, speed: f64) -> Figures {
        Figures {
            who: who.to_owned(),
            fit_rows_per_second: 1000.0 * speed,
            predict_rows_per_second: 2000.0 * speed,
            read_seconds: 1.0 / speed,
            fit_seconds: 10.0 / speed,
            predict_seconds: 1.0 / speed,
            whole_seconds: 12.0 / speed,
            peak_mb: 1600.0 / speed,
            accuracy: 0.95,
        }
    }

    #[test]
    fn ratios_say_how_many_times_better_whichever_way_better_is() {
        let columns = [
            ("Keras".to_owned(), vec![figures("Keras", 1.0)]),
            ("ours".to_owned(), vec![figures("ours", 4.0)]),
        ];
        let table = markdown("cnn", &columns);
        assert!(
            table.starts_with("| cnn, median of 1 | Keras | ours | against Keras |\n|---|---|---|---|\n"),
            "{table}"
        );
        assert!(table.contains("| fit, rows/s | 1,000 | 4,000 | 4.0 x |"), "{table}");
        assert!(table.contains("| peak memory, MB | 1,600 | 400 | 4.0 x |"), "{table}");
        assert!(table.contains("| test accuracy | 0.9500 | 0.9500 |  |"), "{table}");
    }

    #[test]
    fn the_ratio_is_the_median_of_the_rounds_ratios() {
        // The machine became half as fast in the second round and the third.
        let columns = [
            (
                "Keras".to_owned(),
                vec![figures("Keras", 1.0), figures("Keras", 0.5), figures("Keras", 0.5)],
            ),
            (
                "ours".to_owned(),
                vec![figures("ours", 2.0), figures("ours", 1.0), figures("ours", 2.0)],
            ),
        ];
        assert!(markdown("cnn", &columns).contains("| fit, s | 20.00 | 5.00 | 2.0 x |"));
    }

    #[test]
    fn without_a_peer_there_are_only_our_figures() {
        let table = markdown("cnn", &[("ours".to_owned(), vec![figures("ours", 1.0)])]);
        assert!(table.starts_with("| cnn, median of 1 | ours |\n|---|---|\n"), "{table}");
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(grouped(1_234_567.4, 0), "1,234,567");
        assert_eq!(grouped(999.0, 1), "999.0");
        assert_eq!(grouped(-1000.0, 0), "-1,000");
    }
}
