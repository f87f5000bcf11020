//! `published/tools.txt`: which wrapper stands in for which tool of the public Tool Shed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Reads the list: Tool Shed ids with versions, and the wrapper of each.
pub fn read(list: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let text = std::fs::read_to_string(list).with_context(|| format!("cannot read {}", list.display()))?;
    let here = list.parent().unwrap_or(Path::new(""));
    let mut found = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let mut words = line.split_whitespace();
        let Some(wrapper) = words.next().filter(|word| !word.starts_with('#')) else {
            continue;
        };
        let place = || format!("{}, line {}", list.display(), number + 1);
        let wrapper = here.join(wrapper);
        ensure!(wrapper.is_file(), "{}: there is no {}", place(), wrapper.display());
        for id in words {
            ensure!(
                id.split('/').count() == 6 && id.contains("/repos/"),
                "{}: {id} is no Tool Shed id with a version",
                place()
            );
            ensure!(
                found.insert(id.to_owned(), wrapper.clone()).is_none(),
                "{}: {id} is listed twice",
                place()
            );
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository;
    use crate::workflow::wrapper;

    #[test]
    fn every_published_id_is_served_by_the_wrapper_of_that_tool() {
        let found = read(&repository::root().join("published/tools.txt")).unwrap();
        assert!(found.len() > 40, "{}", found.len());
        for (id, path) in found {
            let short = id.split('/').nth(4).unwrap();
            assert_eq!(wrapper::read(&path).unwrap().id, short, "{id}");
        }
    }

    #[test]
    fn each_generation_of_the_builder_has_its_own_form() {
        let found = read(&repository::root().join("published/tools.txt")).unwrap();
        let builder = |version: &str| {
            &found[&format!("toolshed.g2.bx.psu.edu/repos/bgruening/keras_model_builder/keras_model_builder/{version}")]
        };
        assert_eq!(builder("0.4.2"), builder("1.0.8.4"));
        assert_eq!(builder("1.0.10.0"), builder("1.0.11.2"));
        assert_ne!(builder("1.0.8.4"), builder("1.0.10.0"));
    }

    #[test]
    fn mistakes_in_the_list_are_named_with_their_line() {
        let directory = tempfile::tempdir().unwrap();
        let list = directory.path().join("tools.txt");
        std::fs::write(directory.path().join("t.xml"), "").unwrap();
        let complaint = |text: &str| {
            std::fs::write(&list, text).unwrap();
            read(&list).unwrap_err().to_string()
        };
        assert!(complaint("# nothing\nabsent.xml").contains("line 2: there is no"));
        assert!(
            complaint("t.xml keras_model_builder/1.0").contains("line 1: keras_model_builder/1.0 is no Tool Shed id")
        );
        assert!(complaint("t.xml s/repos/o/r/t/1 s/repos/o/r/t/1").contains("listed twice"));
    }
}
