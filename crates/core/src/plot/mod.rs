//! Pictures, drawn with an embedded font so that they need nothing of the system.

pub mod colormap;
pub mod confusion_matrix;
