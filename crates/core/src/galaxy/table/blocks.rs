//! A text file as blocks of whole lines, plain or gzipped, so that a table never lies in memory as text.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::error::TableProblem;

/// A block's size in bytes: with its numbers it stays in a core's cache.
const BLOCK: usize = 256 * 1024;

/// How other files begin that get taken for tables.
const FOREIGN: [(&[u8], &str); 13] = [
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"PK\x03\x04", "a zip archive (as estimators and Excel workbooks are)"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"%PDF", "a PDF document"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
];

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const GZIP: &[u8] = b"\x1f\x8b";

/// The blocks of one file.
pub(super) struct Blocks {
    source: Box<dyn Read + Send>,
    gzipped: bool,
    /// What was read behind the last block's last line break.
    behind: Vec<u8>,
    ended: bool,
    /// The size of a plain file, in bytes.
    pub(super) plain_size: Option<u64>,
}

impl Blocks {
    /// Opens a file and looks at its beginning.
    pub(super) fn open(path: &Path) -> Result<Self, TableProblem> {
        let mut file = File::open(path)?;
        let mut start = Vec::new();
        (&mut file).take(16).read_to_end(&mut start)?;
        let plain_size = file.metadata()?.len();
        let gzipped = start.starts_with(GZIP);
        let mut blocks = if gzipped {
            let whole = io::Cursor::new(start).chain(file);
            let source = Box::new(MultiGzDecoder::new(whole));
            Self {
                source,
                gzipped,
                behind: Vec::new(),
                ended: false,
                plain_size: None,
            }
        } else {
            Self {
                source: Box::new(file),
                gzipped,
                behind: start,
                ended: false,
                plain_size: Some(plain_size),
            }
        };
        blocks.fill(BLOCK)?;
        if let Some((_, what)) = FOREIGN.iter().find(|(magic, _)| blocks.behind.starts_with(magic)) {
            return Err(TableProblem::Foreign(what));
        }
        if blocks.behind.contains(&0) {
            return Err(TableProblem::Foreign("binary (it holds zero bytes)"));
        }
        if blocks.behind.starts_with(BYTE_ORDER_MARK) {
            blocks.behind.drain(..BYTE_ORDER_MARK.len());
        }
        Ok(blocks)
    }

    /// Reads until `behind` holds `size` bytes or the file ends.
    fn fill(&mut self, size: usize) -> Result<(), TableProblem> {
        if self.ended || self.behind.len() >= size {
            return Ok(());
        }
        let wanted = size - self.behind.len();
        let read = (&mut self.source).take(wanted as u64).read_to_end(&mut self.behind);
        let gzipped = self.gzipped;
        let read = read.map_err(|error| {
            if gzipped {
                TableProblem::Gzip(error)
            } else {
                TableProblem::Unreadable(error)
            }
        })?;
        self.ended = read < wanted;
        Ok(())
    }

    /// Puts the next block into `block`: whole lines, only the file's last line may lack its line break. False at the end of the file.
    pub(super) fn next(&mut self, block: &mut Vec<u8>) -> Result<bool, TableProblem> {
        self.next_with(block, |_| true)
    }

    /// Puts the next block that is large enough, or all that is left of the file, into `block`.
    pub(super) fn next_with(
        &mut self,
        block: &mut Vec<u8>,
        enough: impl Fn(&[u8]) -> bool,
    ) -> Result<bool, TableProblem> {
        block.clear();
        let mut size = BLOCK;
        loop {
            self.fill(size)?;
            if self.ended {
                std::mem::swap(&mut self.behind, block);
                return Ok(!block.is_empty());
            }
            if let Some(last) = self.behind.iter().rposition(|byte| *byte == b'\n')
                && enough(&self.behind[..=last])
            {
                block.extend_from_slice(&self.behind[last + 1..]);
                self.behind.truncate(last + 1);
                std::mem::swap(&mut self.behind, block);
                return Ok(true);
            }
            size *= 2;
        }
    }
}

/// The first line of a text without its line break (LF or CRLF), and the text behind it.
pub(super) fn split_line(text: &[u8]) -> (&[u8], &[u8]) {
    let (line, below) = match text.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text, &[][..]),
    };
    (line.strip_suffix(b"\r").unwrap_or(line), below)
}

/// The lines of a block without their line breaks, and where each begins.
pub(super) fn lines(block: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut rest = block;
    std::iter::from_fn(move || {
        let start = block.len() - rest.len();
        let (line, below) = (!rest.is_empty()).then(|| split_line(rest))?;
        rest = below;
        Some((start, line))
    })
}

/// Whether a line holds nothing: such lines are skipped. A line of tabs is a row of empty cells.
pub(super) fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b' ' | b'\r'))
}

/// The cells of a line.
pub(super) fn cells(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b'\t')
}

/// A cell's text: quotes around it are dropped, and quotes that were doubled inside them halved.
pub(super) fn text(cell: &[u8]) -> Result<String, std::str::Utf8Error> {
    let text = std::str::from_utf8(cell)?;
    let trimmed = text.trim();
    let quoted = trimmed.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    Ok(quoted.map_or_else(|| text.to_owned(), |inner| inner.replace("\"\"", "\"")))
}
