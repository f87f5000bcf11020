//! The ids and versions under which the original tools are published in the main Tool Shed.
//!
//! A workflow that was exported from a public server names each tool by such an id, version included, and runs only where a tool of
//! exactly that name is loaded. So our wrappers are also served under the names of the tools that they stand for; which ones, is
//! listed in `published/tools.txt`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::toolbox;
use crate::repository;
use crate::workflow::published_tools;

/// The version of each of our wrappers, as it stands in its XML.
const VERSION: &str = "version=\"@TOOL_VERSION@+galaxy@VERSION_SUFFIX@\"";

/// One wrapper under one published name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The wrapper that stands for it.
    pub wrapper: PathBuf,
    /// The id in exported workflows: `SHED/repos/OWNER/REPOSITORY/TOOL/VERSION`.
    pub guid: String,
    shed: String,
    owner: String,
    repository: String,
    version: String,
}

impl Published {
    fn new(wrapper: PathBuf, guid: &str) -> Result<Self> {
        let parts: Vec<&str> = guid.split('/').collect();
        let [shed, "repos", owner, repository, _, version] = parts[..] else {
            anyhow::bail!("{guid:?} is no id of the form SHED/repos/OWNER/REPOSITORY/TOOL/VERSION");
        };
        Ok(Self {
            wrapper,
            guid: guid.to_owned(),
            shed: shed.to_owned(),
            owner: owner.to_owned(),
            repository: repository.to_owned(),
            version: version.to_owned(),
        })
    }

    /// Its entry in a `tool_conf.xml` whose `tool_path` is where [`stage`] put the wrappers.
    pub fn conf_entry(&self) -> String {
        let Self {
            guid,
            shed,
            owner,
            repository,
            version,
            ..
        } = self;
        format!(
            "    <tool file=\"{file}\" guid=\"{guid}\">\n      <tool_shed>{shed}</tool_shed>\n      \
             <repository_name>{repository}</repository_name>\n      <repository_owner>{owner}</repository_owner>\n      \
             <installed_changeset_revision>{revision}</installed_changeset_revision>\n      <id>{guid}</id>\n      \
             <version>{version}</version>\n    </tool>\n",
            file = self.staged().display(),
            revision = self.revision(),
        )
    }

    /// What stands for the revision of the repository that would hold it.
    fn revision(&self) -> String {
        self.version.replace('.', "")
    }

    /// Where [`stage`] puts it, below its place: where Galaxy would have cloned its repository. Elsewhere Galaxy does not load it.
    fn staged(&self) -> PathBuf {
        Path::new(&self.shed)
            .join("repos")
            .join(&self.owner)
            .join(&self.repository)
            .join(self.revision())
            .join(self.wrapper.file_name().unwrap_or_default())
    }
}

/// All that the list names.
pub fn all() -> Result<Vec<Published>> {
    let list = repository::root().join("published").join("tools.txt");
    let tools = published_tools(&list)?;
    tools
        .into_iter()
        .map(|(guid, wrapper)| Published::new(wrapper, &guid))
        .collect()
}

/// Copies the wrappers below `place`, a directory per version, each with that version in its XML: Galaxy then finds the tool that the
/// workflow names, and no newer one that it would have to ask about.
pub fn stage(tools: &[Published], place: &Path) -> Result<()> {
    for tool in tools {
        let to = place.join(tool.staged());
        let directory = to.parent().unwrap_or(place);
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        for from in toolbox::macros_in(tool.wrapper.parent().unwrap_or(Path::new(".")))? {
            let to = directory.join(from.file_name().unwrap_or_default());
            fs::copy(&from, to).with_context(|| format!("cannot copy {}", from.display()))?;
        }
        // Asked for a test's file by a short id, Galaxy may look beside any tool of that name.
        let (test_data, link) = (repository::root().join("test-data"), directory.join("test-data"));
        if !link.exists() {
            std::os::unix::fs::symlink(&test_data, &link).with_context(|| format!("cannot link {}", link.display()))?;
        }
        let text =
            fs::read_to_string(&tool.wrapper).with_context(|| format!("cannot read {}", tool.wrapper.display()))?;
        ensure!(
            text.matches(VERSION).count() == 1,
            "{}: there is no {VERSION}",
            tool.wrapper.display()
        );
        fs::write(&to, text.replace(VERSION, &format!("version=\"{}\"", tool.version)))
            .with_context(|| format!("cannot write {}", to.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_wrapper_is_served_under_published_names_and_no_name_twice() {
        let tools = all().unwrap();
        let guids: BTreeSet<&str> = tools.iter().map(|tool| tool.guid.as_str()).collect();
        assert_eq!(guids.len(), tools.len());
        for wrapper in toolbox::suite().unwrap() {
            let id = toolbox::id_of(&wrapper);
            assert!(guids.iter().any(|guid| guid.contains(&format!("/{id}/{id}/"))), "{id}");
        }
    }

    #[test]
    fn a_tool_lies_where_galaxy_would_have_cloned_its_repository() {
        let tool = Published::new(PathBuf::from("x/a.xml"), "shed.org/repos/owner/repo/a/1.0.2").unwrap();
        assert_eq!(tool.staged(), Path::new("shed.org/repos/owner/repo/102/a.xml"));
        let entry = tool.conf_entry();
        assert!(
            entry.contains("file=\"shed.org/repos/owner/repo/102/a.xml\""),
            "{entry}"
        );
        assert!(
            entry.contains("<installed_changeset_revision>102</installed_changeset_revision>"),
            "{entry}"
        );
    }

    #[test]
    fn a_name_that_is_no_tool_sheds_is_refused() {
        let error = Published::new(PathBuf::from("a.xml"), "keras_model_config").unwrap_err();
        assert!(error.to_string().contains("is no id of the form"), "{error}");
    }

    #[test]
    fn a_staged_wrapper_says_the_published_version_and_nothing_else_changes() {
        let place = tempfile::tempdir().unwrap();
        let tools = all().unwrap();
        stage(&tools, place.path()).unwrap();
        for tool in tools {
            let staged = fs::read_to_string(place.path().join(tool.staged())).unwrap();
            let version = format!("version=\"{}\"", tool.version);
            assert_eq!(staged.matches(&version).count(), 1, "{}", tool.guid);
            assert_eq!(
                staged.replace(&version, VERSION),
                fs::read_to_string(&tool.wrapper).unwrap()
            );
        }
    }
}
