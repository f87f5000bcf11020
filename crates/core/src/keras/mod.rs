//! Keras's vocabulary as closed types, and the files that carry it. Nothing here computes: a layer says what it is called, which
//! parameters and weights it has and which shape it makes of its input; how it runs is the matter of [`crate::nn`].

pub mod activation;
pub mod callback;
pub mod classes;
pub mod constraint;
pub mod estimator;
pub mod field;
pub mod file_kind;
pub mod h5mlm;
pub mod initializer;
pub mod json;
pub mod layers;
pub mod literal;
pub mod loss;
pub mod metric;
pub mod model;
pub mod object;
pub mod optimizer;
pub mod parameter;
pub mod regularizer;
pub mod shape;
pub mod suggest;
pub mod summary;
pub mod weights;
