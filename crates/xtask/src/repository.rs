//! Where things lie in this repository.

use std::path::PathBuf;

/// The workspace's root.
pub fn root() -> PathBuf {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Cargo's target directory; cargo is always started in the root.
pub fn target() -> PathBuf {
    root().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// Threads that this machine offers, or `GALAXY_SLOTS` if it is set.
pub fn slots() -> usize {
    let wanted = std::env::var("GALAXY_SLOTS")
        .ok()
        .and_then(|text| text.parse().ok())
        .filter(|slots| *slots > 0);
    wanted.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}
