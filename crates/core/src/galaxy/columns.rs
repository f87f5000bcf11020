//! Which columns of a table the user chose: by number, by name, all but those, or all.
