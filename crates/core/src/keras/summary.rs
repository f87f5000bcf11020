//! The summary table of a model: layers, output shapes, numbers of parameters. The numbers are those of Keras's `model.summary()`.

use std::fmt::Write as _;

use crate::keras::model::{Model, ModelError};
use crate::keras::shape::{LayerShapes, display};

/// The table as text, with a final newline.
///
/// A model without an input shape is listed without shapes and numbers, as they depend on it.
///
/// # Errors
///
/// A layer does not fit its input.
pub fn summary(model: &Model) -> Result<String, ModelError> {
    let shapes = match model.shapes(None) {
        Ok(shapes) => Some(shapes),
        Err(ModelError::NoInputShape) => None,
        Err(error) => return Err(error),
    };
    let batch = model
        .inputs
        .first()
        .and_then(|&first| model.nodes[first].layer.batch_input_shape.as_ref()?[0]);
    let mut rows = vec![[
        "Layer (type)".to_owned(),
        "Output Shape".to_owned(),
        "Param #".to_owned(),
    ]];
    for (index, node) in model.nodes.iter().enumerate() {
        let layer = format!("{} ({})", node.layer.name, node.layer.kind.class_name());
        let (shape, count) = match &shapes {
            None => ("?".to_owned(), "?".to_owned()),
            Some(shapes) => {
                let shown: Vec<String> = shapes[index]
                    .outputs()
                    .map(|output| display(&[&[batch], output.as_slice()].concat()))
                    .collect();
                // Several shapes are a list, as Keras has it.
                let shown = match &shown[..] {
                    [one] => one.clone(),
                    several => format!("[{}]", several.join(", ")),
                };
                (shown, grouped(parameters(&shapes[index], |_| true)))
            }
        };
        rows.push([layer, shape, count]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (names, outputs, counts) = (width(0), width(1), width(2));
    let line = "_".repeat(names + outputs + counts + 6);
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "Model: \"{}\"\n{line}", model.name);
    for (index, [layer, shape, count]) in rows.iter().enumerate() {
        let _ = writeln!(text, "{layer:names$}   {shape:outputs$}   {count:>counts$}");
        if index == 0 {
            let _ = writeln!(text, "{}", line.replace('_', "="));
        }
    }
    let _ = writeln!(text, "{}", line.replace('_', "="));
    match &shapes {
        Some(shapes) => {
            let total = |trainable: bool| {
                shapes.iter().fold(0_u64, |sum, layer| {
                    sum.saturating_add(parameters(layer, |t| t == trainable))
                })
            };
            let (trainable, frozen) = (total(true), total(false));
            let _ = writeln!(text, "Total params: {}", grouped(trainable.saturating_add(frozen)));
            let _ = writeln!(text, "Trainable params: {}", grouped(trainable));
            let _ = writeln!(text, "Non-trainable params: {}", grouped(frozen));
        }
        None => text.push_str("No input shape was given: shapes and numbers of parameters depend on the data\n"),
    }
    Ok(text + &line + "\n")
}

fn parameters(layer: &LayerShapes, wanted: impl Fn(bool) -> bool) -> u64 {
    let counted = layer.weights.iter().filter(|weight| wanted(weight.trainable));
    counted.fold(0, |sum, weight| sum.saturating_add(weight.parameters()))
}

/// A number with commas between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
#[path = "summary_tests.rs"]
mod tests;
