//! No failed job may leave an output that looks good: who finds a green dataset goes on with it.

use anyhow::{Result, bail};

use super::api::{self, Api};

/// Looks at the outputs of all failed jobs.
///
/// # Errors
/// When one of them is in any state but `error`.
pub fn check(api: &Api) -> Result<()> {
    let jobs = api.get("jobs?state=error&limit=1000")?;
    let mut green = Vec::new();
    for job in api::list(&jobs)? {
        let job = api.get(&format!("jobs/{}", api::text(job, "id")?))?;
        let outputs = job.get("outputs").and_then(serde_json::Value::as_object);
        for (name, output) in outputs.into_iter().flatten() {
            let dataset = api.get(&format!("datasets/{}", api::text(output, "id")?))?;
            let state = api::text(&dataset, "state")?;
            if state != "error" {
                green.push(format!("{}: output {name} is {state}", api::text(&job, "tool_id")?));
            }
        }
    }
    if !green.is_empty() {
        bail!("{}", green.join("; "));
    }
    Ok(())
}
