//! Class labels of any kind (integers, strings, one-hot columns) as class indices and back.
