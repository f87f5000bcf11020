//! Rows held out for validation or test, chosen as scikit-learn chooses them.
