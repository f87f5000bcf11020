//! Packing files so that the same files give the same bytes.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use sha2::{Digest as _, Sha256};

use super::contents::Entry;

/// The checksums of all other files, as `sha256sum --check` reads them.
const SUMS: &str = "SHA256SUMS";

/// Packs the entries below `directory` as a gzipped tar, with their checksums.
pub fn pack(directory: &str, mut entries: Vec<Entry>) -> Result<Vec<u8>> {
    entries.sort_by(|one, other| one.path.cmp(&other.path));
    let sums: String = entries
        .iter()
        .map(|entry| [&sha256(&entry.bytes), "  ", &entry.path, "\n"].concat())
        .collect();
    entries.push(Entry {
        path: SUMS.to_owned(),
        bytes: sums.into_bytes(),
        executable: false,
    });
    let gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    let mut tar = tar::Builder::new(gzip);
    for entry in &entries {
        let mut header = tar::Header::new_ustar();
        header.set_size(entry.bytes.len() as u64);
        header.set_mode(if entry.executable { 0o755 } else { 0o644 });
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        tar.append_data(
            &mut header,
            format!("{directory}/{}", entry.path),
            entry.bytes.as_slice(),
        )
        .with_context(|| format!("cannot pack {}", entry.path))?;
    }
    let gzip = tar.into_inner().context("cannot finish the archive")?;
    gzip.finish().context("cannot finish the archive")
}

/// The checksum as hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        // Writing to a text does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Writes a program that can be run.
pub fn write_executable(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(bytes)
        .with_context(|| format!("cannot write {}", path.display()))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("cannot make {} executable", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn entry(path: &str, text: &str, executable: bool) -> Entry {
        Entry {
            path: path.to_owned(),
            bytes: text.as_bytes().to_vec(),
            executable,
        }
    }

    /// The digests of the standard's own examples (FIPS 180-4).
    #[test]
    fn checksums_are_those_of_the_standard() {
        assert_eq!(
            sha256(b""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            sha256(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn the_same_files_give_the_same_bytes_in_whatever_order_they_come() {
        let (one, two) = (entry("bin/a", "program", true), entry("LICENSE", "text", false));
        let packed = pack("suite", vec![one.clone(), two.clone()]).unwrap();
        assert_eq!(packed, pack("suite", vec![two, one]).unwrap());
    }

    #[test]
    fn the_archive_unpacks_to_the_files_with_their_checksums() {
        let packed = pack(
            "suite",
            vec![entry("bin/a", "program", true), entry("b", "text", false)],
        )
        .unwrap();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed.as_slice()));
        let mut found = Vec::new();
        for file in archive.entries().unwrap() {
            let mut file = file.unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            found.push((
                file.path().unwrap().display().to_string(),
                file.header().mode().unwrap(),
                text,
            ));
        }
        assert_eq!(found[0], ("suite/b".into(), 0o644, "text".into()));
        assert_eq!(found[1], ("suite/bin/a".into(), 0o755, "program".into()));
        let sums = format!("{}  b\n{}  bin/a\n", sha256(b"text"), sha256(b"program"));
        assert_eq!(found[2], ("suite/SHA256SUMS".into(), 0o644, sums));
    }
}
