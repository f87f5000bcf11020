//! The embedding layer.

use super::arguments::{or, required};
use super::declare::{Rules, layer};
use super::spec::COUNT;
use super::{Applied, WeightSpec};
use crate::keras::constraint::Constraint;
use crate::keras::initializer::Initializer;
use crate::keras::regularizer::Regularizer;

layer! {
    /// Replaces each integer `0 <= i < input_dim` by row `i` of a learned matrix.
    Embedding, "Embedding", "Replaces each integer, such as the number of a word, by a learned vector";
    form {
        input_dim: COUNT, "Input dimension", "Number of different integers: the largest one plus 1";
        output_dim: COUNT, "Output dimension", "Length of the vectors";
    }
    kwargs: true;
    config {
        /// Number of different integers.
        input_dim: usize = required(),
        /// Length of the vectors.
        output_dim: usize = required(),
        /// How the vectors start.
        embeddings_initializer: Initializer = or(Initializer::uniform()),
        /// Penalty on the vectors.
        embeddings_regularizer: Option<Regularizer> = or(None),
        /// Penalty on the outputs.
        activity_regularizer: Option<Regularizer> = or(None),
        /// Condition on the vectors.
        embeddings_constraint: Option<Constraint> = or(None),
        /// Whether 0 means "no input at this step", for the layers behind.
        mask_zero: bool = or(false),
        /// Number of steps, if it is always the same.
        input_length: Option<usize> = or(None),
    }
}

impl Rules for Embedding {
    fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
        let mut output = input.to_vec();
        if let Some(length) = self.input_length {
            match output.first_mut() {
                Some(steps) if output_fits(*steps, length) => *steps = Some(length),
                _ => return Err(format!("input_length={length} says that it has {length} steps")),
            }
        }
        output.push(Some(self.output_dim));
        let embeddings = WeightSpec::new(
            "embeddings",
            [self.input_dim, self.output_dim],
            &self.embeddings_initializer,
        )
        .regularized(self.embeddings_regularizer)
        .constrained(self.embeddings_constraint.as_ref());
        Ok(Applied {
            output,
            weights: vec![embeddings],
        })
    }
}

fn output_fits(steps: Option<usize>, length: usize) -> bool {
    steps.is_none_or(|steps| steps == length)
}
