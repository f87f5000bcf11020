//! The settings of a Galaxy for one machine and one user.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::published;
use super::toolbox::Toolbox;
use crate::repository;

/// The one user, who is the admin; nobody has to log in.
pub const USER: &str = "admin@galaxy-burn.test";
/// Good on the loopback interface only, where the server asks nobody who they are anyway.
pub const KEY: &str = "galaxy-burn-on-loopback";

/// Writes all of a server's settings below `home`.
///
/// `programs` is a list of directories like `PATH`'s, put in front of every job's.
pub fn write(home: &Path, toolbox: &Toolbox, programs: &Path) -> Result<()> {
    put(&home.join("tool_data_table_conf.xml"), "<tables/>\n")?;
    put(&home.join("galaxy.yml"), &galaxy(home, programs))?;
    write_toolbox(home, toolbox)
}

/// Writes which tools there are; a running Galaxy takes them when it is told to look again.
pub fn write_toolbox(home: &Path, toolbox: &Toolbox) -> Result<()> {
    let place = home.join("published");
    if place.exists() {
        fs::remove_dir_all(&place).with_context(|| format!("cannot remove {}", place.display()))?;
    }
    published::stage(&toolbox.published, &place)?;
    put(&home.join("tool_conf.xml"), &toolbox.local_conf())?;
    put(&home.join("published_tool_conf.xml"), &toolbox.published_conf(&place))
}

fn put(path: &Path, text: &str) -> Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// `galaxy.yml`. JSON is YAML too, and spares us its rules of quoting.
///
/// Uploads and metadata run as Celery tasks, in a worker that has Galaxy imported once; else each job would import it anew, which
/// takes longer than the job itself. The worker shares the database with the server: on a busy machine one waits for
/// the other longer than the 5 s after which `SQLite` gives up by itself.
fn galaxy(home: &Path, programs: &Path) -> String {
    let at = |name: &str| home.join(name).to_string_lossy().into_owned();
    let settings = serde_json::json!({
        "galaxy": {
            "data_dir": at("data"),
            "database_connection": format!("sqlite:///{}?isolation_level=IMMEDIATE&timeout=60", at("data/universe.sqlite")),
            "tool_config_file": format!("{},{}", at("tool_conf.xml"), at("published_tool_conf.xml")),
            "tool_data_table_config_path": at("tool_data_table_conf.xml"),
            "brand": "galaxy-burn",
            "admin_users": USER,
            "single_user": USER,
            "bootstrap_admin_api_key": KEY,
            "allow_path_paste": true,
            "conda_auto_init": false,
            "conda_auto_install": false,
            "involucro_auto_init": false,
            // The programs are on PATH; a requirement that nothing resolves does not stop a job.
            "dependency_resolvers": [],
            "enable_celery_tasks": true,
            "metadata_strategy": "directory_celery",
            "amqp_internal_connection": format!("sqlalchemy+sqlite:///{}?isolation_level=IMMEDIATE&timeout=60", at("data/control.sqlite")),
            "calculate_dataset_hash": "never",
            "job_handler_monitor_sleep": 0.2,
            "job_runner_monitor_sleep": 0.2,
            "workflow_monitor_sleep": 0.2,
            "job_config": {
                "runners": {"local": {"load": "galaxy.jobs.runners.local:LocalJobRunner", "workers": 2}},
                "execution": {
                    "default": "local",
                    "environments": {
                        "local": {
                            "runner": "local",
                            "local_slots": repository::slots(),
                            "env": [{"execute": format!("export PATH='{}':$PATH", programs.display())}],
                        },
                    },
                },
            },
        },
    });
    format!("{settings:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_written_stays_below_the_servers_directory() {
        let text = galaxy(Path::new("/home/of/galaxy"), Path::new("/programs"));
        let settings: serde_json::Value = serde_json::from_str(&text).unwrap();
        for key in [
            "data_dir",
            "tool_config_file",
            "database_connection",
            "amqp_internal_connection",
        ] {
            assert!(
                settings["galaxy"][key].as_str().unwrap().contains("/home/of/galaxy/"),
                "{key}"
            );
        }
    }
}
