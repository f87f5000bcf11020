//! What Galaxy grants a job: `GALAXY_SLOTS` threads and `GALAXY_MEMORY_MB` of memory.

use std::num::NonZeroUsize;

/// Threads and memory that a job may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resources {
    /// Number of threads, from `GALAXY_SLOTS`; one when it is not set.
    pub slots: NonZeroUsize,
    /// Memory in MB (2^20 bytes), from `GALAXY_MEMORY_MB`, or `GALAXY_MEMORY_MB_PER_SLOT` times the slots; none when neither is set.
    pub memory_mb: Option<u64>,
    /// Variables that were ignored, one sentence each, for stdout.
    pub warnings: Vec<String>,
}

impl Resources {
    /// Reads the environment. A value that makes no sense is ignored with a warning: it is the admin's, and no reason to fail a
    /// user's job.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// Like [`from_env`](Self::from_env), with another way to look variables up.
    #[must_use]
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let mut warnings = Vec::new();
        let mut positive = |name: &str, instead: &str| -> Option<u64> {
            let text = variable(name)?;
            match text.trim() {
                "" => None,
                trimmed => match trimmed.parse() {
                    Ok(number) if number > 0 => Some(number),
                    _ => {
                        warnings.push(format!("{name} is '{text}', not a number above 0: {instead}"));
                        None
                    }
                },
            }
        };
        let slots = positive("GALAXY_SLOTS", "running on one thread")
            .and_then(|slots| NonZeroUsize::new(usize::try_from(slots).ok()?))
            .unwrap_or(NonZeroUsize::MIN);
        let memory_mb = positive("GALAXY_MEMORY_MB", "ignored").or_else(|| {
            let per_slot = positive("GALAXY_MEMORY_MB_PER_SLOT", "ignored")?;
            Some(per_slot.saturating_mul(slots.get() as u64))
        });
        Self {
            slots,
            memory_mb,
            warnings,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(variables: &[(&str, &str)]) -> Resources {
        Resources::from_variables(|name| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn without_galaxy_a_job_has_one_thread() {
        let resources = granted(&[]);
        assert_eq!((resources.slots.get(), resources.memory_mb), (1, None));
        assert!(resources.warnings.is_empty());
    }

    #[test]
    fn slots_and_memory_are_read() {
        let resources = granted(&[("GALAXY_SLOTS", "4"), ("GALAXY_MEMORY_MB", "8000")]);
        assert_eq!((resources.slots.get(), resources.memory_mb), (4, Some(8000)));
    }

    #[test]
    fn memory_per_slot_is_multiplied() {
        let resources = granted(&[("GALAXY_SLOTS", "4"), ("GALAXY_MEMORY_MB_PER_SLOT", "1000")]);
        assert_eq!(resources.memory_mb, Some(4000));
        let both = granted(&[("GALAXY_MEMORY_MB", "500"), ("GALAXY_MEMORY_MB_PER_SLOT", "1000")]);
        assert_eq!(both.memory_mb, Some(500));
    }

    #[test]
    fn senseless_values_are_ignored_with_a_warning() {
        for senseless in ["0", "-2", "many", "1.5"] {
            let resources = granted(&[("GALAXY_SLOTS", senseless)]);
            assert_eq!(resources.slots.get(), 1);
            assert_eq!(
                resources.warnings,
                [format!(
                    "GALAXY_SLOTS is '{senseless}', not a number above 0: running on one thread"
                )]
            );
        }
    }
}
