//! Output files: all of a job's outputs appear whole under their names, or none does.
