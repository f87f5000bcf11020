//! Telling from its first bytes what a file seems to be, for the errors about files of the wrong kind.

/// What a file seems to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Nothing in it.
    Empty,
    /// HDF5: weights, a whole Keras model, or a model of the newer Python tools.
    Hdf5,
    /// A zip archive: an estimator of ours, or a newer `.keras` file.
    Zip,
    /// A Python pickle: an estimator of the older Python tools.
    Pickle,
    /// Compressed by gzip.
    Gzip,
    /// A JSON text: most likely a model configuration.
    Json,
    /// A text, such as a table.
    Text,
    /// Anything else.
    Binary,
}

impl FileKind {
    /// Looks at the first bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let head = &bytes[..bytes.len().min(4096)];
        match head {
            [] => Self::Empty,
            [0x89, b'H', b'D', b'F', b'\r', b'\n', 0x1a, b'\n', ..] => Self::Hdf5,
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Self::Zip,
            [0x80, 2..=5, ..] => Self::Pickle,
            [0x1f, 0x8b, ..] => Self::Gzip,
            _ => match std::str::from_utf8(head) {
                // The cut may have gone through a character.
                Err(error) if error.error_len().is_some() => Self::Binary,
                _ if head.contains(&0) => Self::Binary,
                _ if head.trim_ascii_start().starts_with(b"{") => Self::Json,
                _ => Self::Text,
            },
        }
    }

    /// The kind with its article, as the end of "this is ...".
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Empty => "an empty file",
            Self::Hdf5 => "an HDF5 file",
            Self::Zip => "a zip archive",
            Self::Pickle => "a Python pickle",
            Self::Gzip => "a file compressed by gzip",
            Self::Json => "a JSON text",
            Self::Text => "a plain text",
            Self::Binary => "a binary file of an unknown kind",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_first_bytes() {
        let cases: [(&[u8], FileKind); 9] = [
            (b"", FileKind::Empty),
            (b"\x89HDF\r\n\x1a\n rest", FileKind::Hdf5),
            (b"PK\x03\x04", FileKind::Zip),
            (b"\x80\x04\x95", FileKind::Pickle),
            (b"\x1f\x8b\x08", FileKind::Gzip),
            (b"\n {\"class_name\": 1}", FileKind::Json),
            (b"age\tsalary\n", FileKind::Text),
            (b"\x00\x01", FileKind::Binary),
            (b"\xff\xfe\xfd", FileKind::Binary),
        ];
        for (bytes, kind) in cases {
            assert_eq!(FileKind::of(bytes), kind, "{bytes:?}");
        }
    }

    #[test]
    fn a_character_cut_in_the_middle_is_still_text() {
        let mut text = vec![b'a'; 4095];
        text.extend("é".as_bytes());
        assert_eq!(FileKind::of(&text), FileKind::Text);
    }
}
