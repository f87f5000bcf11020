//! Tensors on their way to Keras and back, without losing a digit.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// Numbers in row-major order, and their shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The sizes of the axes.
    pub shape: Vec<usize>,
    /// The numbers, the last axis fastest.
    pub values: Vec<f32>,
}

impl Tensor {
    /// Numbers of this shape.
    pub fn new(shape: &[usize], values: Vec<f32>) -> Self {
        Self {
            shape: shape.to_vec(),
            values,
        }
    }

    /// As the Python side reads it: `{"shape": [2], "hex": "0000803f00000040"}`.
    pub fn to_json(&self) -> Value {
        use std::fmt::Write;
        let mut hex = String::with_capacity(self.values.len() * 8);
        for byte in self.values.iter().flat_map(|value| value.to_le_bytes()) {
            // Writing to a text cannot fail.
            let _ = write!(hex, "{byte:02x}");
        }
        json!({"shape": self.shape, "hex": hex})
    }

    /// As the Python side writes it.
    ///
    /// # Errors
    /// When it is something else.
    pub fn from_json(value: &Value) -> Result<Self> {
        let shape: Vec<usize> = serde_json::from_value(value["shape"].clone()).context("a tensor without shape")?;
        let hex = value["hex"].as_str().context("a tensor without numbers")?;
        ensure!(
            hex.len() == 8 * shape.iter().product::<usize>(),
            "a tensor of another size"
        );
        let values = (0..hex.len() / 8).map(|at| {
            let digits = u32::from_str_radix(&hex[8 * at..8 * at + 8], 16)?;
            Ok(f32::from_bits(digits.swap_bytes()))
        });
        Ok(Self {
            shape,
            values: values.collect::<Result<_>>()?,
        })
    }
}

/// The tensors of a list.
///
/// # Errors
/// When it is something else.
pub fn list(value: &Value) -> Result<Vec<Tensor>> {
    value
        .as_array()
        .context("no list of tensors")?
        .iter()
        .map(Tensor::from_json)
        .collect()
}

/// A number, or the text that stands for one that JSON does not have.
///
/// # Errors
/// When it is neither.
pub fn number(value: &Value) -> Result<f64> {
    match value {
        Value::String(text) => text.parse().context("no number"),
        value => value.as_f64().with_context(|| format!("no number: {value}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_travel_bit_by_bit() {
        let tensor = Tensor::new(&[2, 2], vec![1.0, -2.5, f32::INFINITY, 1e-42]);
        assert_eq!(tensor.to_json()["hex"], "0000803f000020c00000807fca020000");
        assert_eq!(Tensor::from_json(&tensor.to_json()).unwrap(), tensor);
        let nan = Tensor::new(&[1], vec![f32::NAN]);
        assert!(Tensor::from_json(&nan.to_json()).unwrap().values[0].is_nan());
    }
}
