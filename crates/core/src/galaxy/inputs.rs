//! The inputs JSON: reading it, and the field types that Galaxy writes in more than one shape.
