//! Tab-separated tables, plain or gzipped, read into numbers or text with errors that name file, row and column.
