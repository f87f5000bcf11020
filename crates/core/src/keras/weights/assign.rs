//! Fitting a file's weights to a model, by position as Keras does.

use super::{LayerWeights, WeightsError, tuple};

/// Gives each layer of a model its weights from a file.
///
/// `model` lists every layer's name and the shapes of its weights. As in Keras, layers without weights are skipped on both sides and
/// names do not matter; the number of layers, the number of weights in each and their shapes must match. The result has one entry for
/// every layer of the model, weightless ones included, with the values of its weights.
///
/// # Errors
/// [`WeightsError::OtherModel`], naming the layer on both sides and both shapes.
pub fn assign(
    model: &[(String, Vec<Vec<usize>>)],
    file: Vec<LayerWeights>,
) -> Result<Vec<Vec<Vec<f32>>>, WeightsError> {
    let expected = model.iter().filter(|(_, shapes)| !shapes.is_empty()).count();
    let found = file.iter().filter(|layer| !layer.weights.is_empty()).count();
    if expected != found {
        return Err(WeightsError::OtherModel(format!(
            "the file has {found} {} with weights, the model has {expected}",
            if found == 1 { "layer" } else { "layers" }
        )));
    }
    let mut from_file = file.into_iter().filter(|layer| !layer.weights.is_empty());
    let mut assigned = Vec::with_capacity(model.len());
    for (index, (name, shapes)) in model.iter().enumerate() {
        if shapes.is_empty() {
            assigned.push(Vec::new());
            continue;
        }
        let Some(layer) = from_file.next() else { break };
        let number = index + 1;
        if layer.weights.len() != shapes.len() {
            return Err(WeightsError::OtherModel(format!(
                "layer {number} '{name}' has {} weights, the file's layer '{}' has {}",
                shapes.len(),
                layer.layer,
                layer.weights.len()
            )));
        }
        for (weight, shape) in layer.weights.iter().zip(shapes) {
            if weight.shape != *shape {
                return Err(WeightsError::OtherModel(format!(
                    "layer {number} '{name}' needs a weight of shape {}, the file's '{}' of layer '{}' has {}",
                    tuple(shape),
                    weight.name,
                    layer.layer,
                    tuple(&weight.shape)
                )));
            }
        }
        assigned.push(layer.weights.into_iter().map(|weight| weight.values).collect());
    }
    Ok(assigned)
}

#[cfg(test)]
mod tests {
    use super::super::Weight;
    use super::*;

    fn layer(name: &str, shapes: &[&[usize]]) -> LayerWeights {
        let weight = |(index, shape): (usize, &&[usize])| Weight {
            name: format!("{name}/w{index}:0"),
            shape: shape.to_vec(),
            values: vec![0.5; shape.iter().product()],
        };
        LayerWeights {
            layer: name.to_owned(),
            weights: shapes.iter().enumerate().map(weight).collect(),
        }
    }

    fn expect(name: &str, shapes: &[&[usize]]) -> (String, Vec<Vec<usize>>) {
        (name.to_owned(), shapes.iter().map(|shape| shape.to_vec()).collect())
    }

    #[test]
    fn layers_meet_by_position_whatever_their_names_and_the_weightless_between_them() {
        let model = [
            expect("flatten_1", &[]),
            expect("dense_1", &[&[2, 3], &[3]]),
            expect("dropout_1", &[]),
        ];
        let file = vec![layer("dense_7", &[&[2, 3], &[3]]), layer("activation_3", &[])];
        let assigned = assign(&model, file).expect("fits");
        assert_eq!(assigned, vec![vec![], vec![vec![0.5; 6], vec![0.5; 3]], vec![]]);
    }

    #[test]
    fn weights_of_another_model_are_refused_with_both_sides() {
        let model = [expect("flatten_1", &[]), expect("dense_1", &[&[2, 3], &[3]])];
        let message = |file| assign(&model, file).expect_err("another model").to_string();
        assert_eq!(
            message(vec![layer("dense_4", &[&[2, 4], &[4]])]),
            "these are weights for another model: layer 2 'dense_1' needs a weight of shape (2, 3), the file's 'dense_4/w0:0' of \
             layer 'dense_4' has (2, 4)"
        );
        assert_eq!(
            message(vec![layer("dense_4", &[&[2, 3]])]),
            "these are weights for another model: layer 2 'dense_1' has 2 weights, the file's layer 'dense_4' has 1"
        );
        assert_eq!(
            message(vec![]),
            "these are weights for another model: the file has 0 layers with weights, the model has 1"
        );
    }
}
