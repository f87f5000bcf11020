//! The layout of Keras 3's `.weights.h5`, which also lies in its `.keras` archives.
//!
//! ```text
//! /layers/conv1d/vars/0            one group for each layer, named after its class and numbered per class
//! /layers/dense_1/vars/1
//! /layers/lstm/cell/vars/0         recurrent layers keep their weights in their cell
//! ```
//!
//! The file does not say in which order the layers come; the model does.

use std::collections::HashMap;
use std::io::{Cursor, Read as _};

use hdf5::{File, Group};
use zip::ZipArchive;

use super::super::file_kind::FileKind;
use super::super::layers::snake_case;
use super::super::model::Model;
use super::read::Reader;
use super::{LayerWeights, Weight, WeightsError};

/// The member of a `.keras` archive with the weights.
const WEIGHTS_MEMBER: &str = "model.weights.h5";
/// The member of a `.keras` archive with the model configuration.
const CONFIG_MEMBER: &str = "config.json";
/// A member may unpack to this many times the archive's size, or to [`SMALL`] bytes if that is more.
const EXPANSION: u64 = 16;
const SMALL: u64 = 64 << 20;

/// The group with the layers, if the file has this layout; Keras 2.13 to 2.15 call it by its second name.
pub(super) fn container(root: &Group) -> Option<Group> {
    ["layers", "_layer_checkpoint_dependencies"]
        .into_iter()
        .find_map(|name| root.group(name).ok())
}

/// What the group of a class's first layer is called. Keras has two ways to write names in lower case, which differ where a digit follows
/// a word in capitals: the layer is `conv_lst_m2d_1`, its group `conv_lstm2d`.
fn stem(class_name: &str) -> String {
    if class_name == "ConvLSTM2D" {
        "conv_lstm2d".into()
    } else {
        snake_case(class_name)
    }
}

/// The weights of each of the model's layers.
pub(super) fn layers(container: &Group, reader: &mut Reader, model: &Model) -> Result<Vec<LayerWeights>, WeightsError> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    let mut layers = Vec::with_capacity(model.nodes.len());
    for node in &model.nodes {
        let stem = stem(node.layer.kind.class_name());
        let count = counts.entry(stem.clone()).or_insert(0);
        let name = if *count == 0 { stem } else { format!("{stem}_{count}") };
        *count += 1;
        let mut weights = Vec::new();
        if let Ok(group) = container.group(&name) {
            let group = group.group("cell").unwrap_or(group);
            if let Ok(variables) = group.group("vars") {
                for index in 0.. {
                    let Ok(dataset) = variables.dataset(&index.to_string()) else {
                        break;
                    };
                    let (shape, values) = reader.tensor(&dataset, &format!("{name}/vars/{index}"))?;
                    weights.push(Weight {
                        name: format!("{name}/vars/{index}"),
                        shape,
                        values,
                    });
                }
            }
        }
        layers.push(LayerWeights { layer: name, weights });
    }
    Ok(layers)
}

/// The weights file in a `.keras` archive; `None` if it is another kind of zip.
pub(super) fn archived_weights(bytes: &[u8]) -> Result<Option<Vec<u8>>, WeightsError> {
    member(bytes, WEIGHTS_MEMBER)
}

/// The model configuration that a whole model comes with: in a `.keras` archive, or in an HDF5 file that Keras 2 saved. `None` if the
/// file has none.
///
/// # Errors
///
/// The file is damaged.
pub fn configuration(bytes: &[u8]) -> Result<Option<String>, WeightsError> {
    match FileKind::of(bytes) {
        FileKind::Zip => member(bytes, CONFIG_MEMBER)?
            .map(|text| String::from_utf8(text).map_err(|_| damaged("its config.json is not UTF-8")))
            .transpose(),
        FileKind::Hdf5 => {
            let file = File::from_bytes(bytes.to_vec()).map_err(|error| WeightsError::Damaged(error.to_string()))?;
            let attributes = file
                .root()
                .attrs()
                .map_err(|error| WeightsError::Damaged(error.to_string()))?;
            Ok(attributes
                .get("model_config")
                .and_then(|text| text.as_str())
                .map(|text| text.trim_end_matches('\0').to_owned()))
        }
        _ => Ok(None),
    }
}

fn member(bytes: &[u8], name: &str) -> Result<Option<Vec<u8>>, WeightsError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| damaged(&error.to_string()))?;
    if archive.index_for_name(name).is_none() {
        return Ok(None);
    }
    let member = archive.by_name(name).map_err(|error| damaged(&error.to_string()))?;
    let mut content = Vec::new();
    // No size that the archive declares is believed.
    let limit = SMALL.max((bytes.len() as u64).saturating_mul(EXPANSION));
    member
        .take(limit)
        .read_to_end(&mut content)
        .map_err(|error| damaged(&error.to_string()))?;
    Ok(Some(content))
}

fn damaged(problem: &str) -> WeightsError {
    WeightsError::Damaged(format!(".keras archive: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_called_as_keras_calls_them() {
        let stems = [
            "ConvLSTM2D",
            "LSTM",
            "Conv2DTranspose",
            "BatchNormalization",
            "CuDNNGRU",
        ]
        .map(stem);
        assert_eq!(
            stems,
            [
                "conv_lstm2d",
                "lstm",
                "conv2d_transpose",
                "batch_normalization",
                "cu_dnngru"
            ]
        );
    }
}
