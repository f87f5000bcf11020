//! The threads that compute: one pool of `GALAXY_SLOTS` threads, denormals flushed to zero in each.
