//! What Galaxy grants a job: `GALAXY_SLOTS` threads and `GALAXY_MEMORY_MB` of memory.
