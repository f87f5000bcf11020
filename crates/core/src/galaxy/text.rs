//! Galaxy's sanitiser: text parameters arrive with special characters spelt out (`__sq__` for `'`).
