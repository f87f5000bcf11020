//! To categorical: a column of class numbers becomes one 0/1 column per class, as Keras's `to_categorical` makes them.
//!
//! Row `i` of the output holds a 1 in the column whose number stands in row `i` of the input, counted from 0, and 0 elsewhere. There
//! is no header, whatever the input has. The form is that of the versions 1.0.8.3 to 1.0.11 of the original.

use std::io::{self, Write};
use std::path::Path;

use serde::Deserialize;

use crate::galaxy::columns::Selector;
use crate::galaxy::inputs::{self, DatasetPath, Flag, OptionalInteger};
use crate::galaxy::output::Outputs;
use crate::galaxy::table::{self, Cells};
use crate::{Error, Result};

/// The file in the working directory that becomes the output.
pub const OUTPUT: &str = "categorical.tabular";

/// More classes are taken for a mistake: such a column holds identifiers or measurements rather than class numbers.
const MOST_CLASSES: usize = 65_536;

#[derive(Debug, Deserialize)]
struct Form {
    #[serde(default)]
    infile: DatasetPath,
    #[serde(default = "with_header")]
    header0: Flag,
    #[serde(default)]
    num_classes: OptionalInteger,
}

/// The form's default, should the field be missing.
fn with_header() -> Flag {
    Flag(true)
}

/// Reads the inputs JSON, writes [`OUTPUT`] into `dir` and says on `report` what was made of what.
///
/// # Errors
/// The form or the table is at fault (a cell that is no class number, several columns, more classes than were asked for), or the
/// output cannot be written. No output appears then.
pub fn run(inputs: &Path, dir: &Path, report: &mut dyn Write) -> Result<()> {
    let form: Form = inputs::read(inputs)?;
    let path = form.infile.required("infile")?;
    let cells = table::read_cells(path, form.header0.0, &Selector::AllColumns)?;
    let labels = class_numbers(&cells).map_err(|error| error.in_file(path))?;
    let classes = count(&cells, &labels, form.num_classes).map_err(|error| error.in_file(path))?;

    let mut outputs = Outputs::in_dir(dir);
    outputs.write(OUTPUT, |file| write_one_hot(file, &labels, classes))?;
    let mut lines: Vec<String> = cells.warnings.iter().map(|note| format!("warning: {note}")).collect();
    lines.push(format!("{} labels, {classes} classes\n", labels.len()));
    report
        .write_all(lines.join("\n").as_bytes())
        .map_err(|source| Error::Write {
            path: "standard output".into(),
            source,
        })?;
    outputs.commit()?;
    Ok(())
}

/// The class number in each row.
fn class_numbers(cells: &Cells) -> Result<Vec<usize>> {
    if cells.columns != 1 {
        return Err(Error::Input(format!(
            "the table has {} columns, but class numbers are read from a table of one column: cut that column out first",
            cells.columns
        )));
    }
    cells
        .column(0)
        .zip(&cells.lines)
        .map(|(cell, line)| {
            class_number(cell).ok_or_else(|| {
                Error::Input(format!(
                    "row {line} holds '{}', which is not a class number: classes are numbered 0, 1, 2, ...; labels that are words \
                     need no encoding, Deep learning training and evaluation reads them as they are",
                    cell.trim()
                ))
            })
        })
        .collect()
}

/// Whole numbers from 0 on; pandas writes them as `3.0` once a column has had a gap.
fn class_number(cell: &str) -> Option<usize> {
    let text = cell.trim();
    let whole = text.split_once('.').map_or(text, |(whole, fraction)| {
        if fraction.bytes().all(|digit| digit == b'0') {
            whole
        } else {
            text
        }
    });
    // `parse` would take "+3".
    whole
        .bytes()
        .all(|digit| digit.is_ascii_digit())
        .then(|| whole.parse().ok())?
}

/// How many columns the output gets: as many as are asked for, else one more than the largest class number.
fn count(cells: &Cells, labels: &[usize], asked: OptionalInteger) -> Result<usize> {
    let (row, largest) = labels
        .iter()
        .enumerate()
        .max_by_key(|(row, label)| (**label, usize::MAX - row))
        .map_or((0, 0), |(row, label)| (row, *label));
    let line = cells.lines.get(row).copied().unwrap_or(1);
    let Some(asked) = asked.0 else {
        return if largest < MOST_CLASSES {
            Ok(largest + 1)
        } else {
            Err(Error::Input(format!(
                "row {line} holds {largest}, which would make more than that many columns: classes are numbered 0, 1, 2, ... without gaps; \
                 number them anew, or give the labels as they are to Deep learning training and evaluation"
            )))
        };
    };
    let classes = usize::try_from(asked)
        .ok()
        .filter(|classes| (1..=MOST_CLASSES).contains(classes))
        .ok_or_else(|| {
            Error::Input(format!(
                "num_classes is {asked}, but it must be between 1 and {MOST_CLASSES}; leave it empty to count the classes"
            ))
        })?;
    if largest < classes {
        return Ok(classes);
    }
    Err(Error::Input(format!(
        "row {line} holds the class number {largest}, but num_classes is {classes}, so that numbers go from 0 to {}: give {} or \
         more, or leave the field empty",
        classes - 1,
        largest + 1
    )))
}

/// `[labels, classes]`, tab-separated.
fn write_one_hot(file: &mut dyn Write, labels: &[usize], classes: usize) -> io::Result<()> {
    // A row differs from the row of zeros in one character.
    let mut row = "0\t".repeat(classes).into_bytes();
    if let Some(last) = row.last_mut() {
        *last = b'\n';
    }
    for &label in labels {
        row[2 * label] = b'1';
        file.write_all(&row)?;
        row[2 * label] = b'0';
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::{Value, json};

    use super::*;

    /// What is written for this table, or the message.
    fn one_hot(table: &str, header: bool, classes: &Value) -> Result<String, String> {
        let dir = tempfile::tempdir().unwrap();
        let (infile, inputs) = (dir.path().join("y.tsv"), dir.path().join("inputs.json"));
        fs::write(&infile, table).unwrap();
        fs::write(
            &inputs,
            json!({"infile": infile, "header0": header, "num_classes": classes}).to_string(),
        )
        .unwrap();
        let result = run(&inputs, dir.path(), &mut io::sink());
        let written = fs::read_to_string(dir.path().join(OUTPUT));
        match result {
            Ok(()) => Ok(written.unwrap()),
            Err(error) => {
                assert!(written.is_err(), "a failed job leaves no output");
                let message = error.in_one_line();
                Err(message.replace(infile.to_str().unwrap(), "y.tsv"))
            }
        }
    }

    /// `numpy.savetxt(sys.stdout, keras.utils.to_categorical([1, 2, 0, 3]), fmt="%d", delimiter="\t")` of Keras 2.15, and with 5.
    #[test]
    fn the_table_is_that_of_keras() {
        let four = "0\t1\t0\t0\n0\t0\t1\t0\n1\t0\t0\t0\n0\t0\t0\t1\n";
        assert_eq!(one_hot("1\n2\n0\n3\n", false, &Value::Null).unwrap(), four);
        assert_eq!(one_hot("1\n2\n0\n3\n", false, &json!("4")).unwrap(), four);
        assert_eq!(
            one_hot("1\n2\n0\n3\n", false, &json!(5)).unwrap(),
            "0\t1\t0\t0\t0\n0\t0\t1\t0\t0\n1\t0\t0\t0\t0\n0\t0\t0\t1\t0\n"
        );
    }

    #[test]
    fn a_header_is_read_over_and_never_written() {
        assert_eq!(one_hot("digit\n1\n0\n", true, &Value::Null).unwrap(), "0\t1\n1\t0\n");
        let forgotten = one_hot("digit\n1\n0\n", false, &Value::Null).unwrap_err();
        assert!(
            forgotten.contains("row 1") && forgotten.contains("header"),
            "{forgotten}"
        );
    }

    #[test]
    fn one_class_is_one_column() {
        assert_eq!(one_hot("0\n0\n", false, &Value::Null).unwrap(), "1\n1\n");
    }

    #[test]
    fn numbers_that_pandas_wrote_with_a_point_are_whole() {
        assert_eq!(one_hot("1.0\n0.0\n", false, &Value::Null).unwrap(), "0\t1\n1\t0\n");
    }

    #[test]
    fn what_is_no_class_number_is_named_with_its_row() {
        for (cell, table) in [
            ("1.5", "0\n1.5\n"),
            ("-1", "0\n-1\n"),
            ("1e3", "0\n1e3\n"),
            ("", "0\n\"\"\n"),
            (".", "0\n.\n"),
        ] {
            let message = one_hot(table, false, &Value::Null).unwrap_err();
            assert!(
                message.starts_with(&format!("y.tsv: row 2 holds '{cell}', which is not a class number")),
                "{message}"
            );
        }
    }

    #[test]
    fn several_columns_are_refused() {
        let message = one_hot("0\t1\n1\t0\n", false, &Value::Null).unwrap_err();
        assert!(message.starts_with("y.tsv: the table has 2 columns"), "{message}");
    }

    #[test]
    fn classes_must_fit_the_number_asked_for() {
        let message = one_hot("0\n3\n1\n3\n", false, &json!(3)).unwrap_err();
        assert_eq!(
            message,
            "y.tsv: row 2 holds the class number 3, but num_classes is 3, so that numbers go from 0 to 2: give 4 or more, or leave \
             the field empty"
        );
        for wrong in [json!(0), json!(-2), json!(100_000_000_000_u64)] {
            let message = one_hot("0\n", false, &wrong).unwrap_err();
            assert!(message.contains("between 1 and 65536"), "{message}");
        }
    }

    #[test]
    fn identifiers_do_not_become_a_million_columns() {
        let message = one_hot("0\n99999999\n", false, &Value::Null).unwrap_err();
        assert!(
            message.starts_with("y.tsv: row 2 holds 99999999, which would make"),
            "{message}"
        );
        let message = one_hot("99999999999999999999999999\n", false, &Value::Null).unwrap_err();
        assert!(message.contains("not a class number"), "{message}");
    }
}
