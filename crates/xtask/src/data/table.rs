//! Whether a downloaded file is the table that it should be.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Counts lines and columns: a table cut off has fewer lines or a short last one, an error page in its place is no table.
pub fn check(path: &Path, lines_wanted: u64) -> Result<()> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut line = Vec::new();
    let (mut lines, mut columns) = (0, 0);
    while reader.read_until(b'\n', &mut line)? > 0 {
        lines += 1;
        let found = line.split(|byte| *byte == b'\t').count();
        if lines == 1 {
            columns = found;
        }
        ensure!(found == columns, "row {lines} has {found} columns, row 1 has {columns}");
        line.clear();
    }
    ensure!(
        lines == lines_wanted,
        "it has {lines} lines, the tutorial's table has {lines_wanted}"
    );
    Ok(())
}
