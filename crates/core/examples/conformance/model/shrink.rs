//! Smaller models that may show the same.

use super::ModelCase;

/// Each with one thing less: a row, a layer, an option, a part of the input's size.
pub fn smaller(case: &ModelCase) -> Vec<ModelCase> {
    let mut found = Vec::new();
    for index in 0..case.layers.len() {
        // Which layers of a graph could do without another is left to the reader.
        if case.layers.len() > 1 && case.graph.is_none() {
            let mut smaller = case.clone();
            smaller.layers.remove(index);
            found.push(smaller);
        }
    }
    if case.batch > 1 {
        found.push(ModelCase {
            batch: 1,
            ..case.clone()
        });
        found.push(ModelCase {
            batch: case.batch - 1,
            ..case.clone()
        });
    }
    for (index, layer) in case.layers.iter().enumerate() {
        for (option, value) in &layer.options {
            let mut smaller = case.clone();
            smaller.layers[index] = layer.without(option);
            found.push(smaller);
            if let Ok(number @ 2..) = value.parse::<usize>() {
                let mut smaller = case.clone();
                for (name, value) in &mut smaller.layers[index].options {
                    if name == option {
                        *value = (number - 1).to_string();
                    }
                }
                found.push(smaller);
            }
        }
    }
    for (axis, &size) in case.input.iter().enumerate() {
        for less in [1, size / 2, size - 1] {
            if less > 0 && less < size {
                let mut smaller = case.clone();
                smaller.input[axis] = less;
                found.push(smaller);
            }
        }
    }
    found.retain(|case| case.configured().is_ok());
    found
}
