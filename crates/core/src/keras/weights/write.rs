//! Writing weights as Keras 2.3.1 lays them out.

use hdf5::{AttrValue, FileBuilder, GroupBuilder, LibVer};

use super::{LayerWeights, Weight, WeightsError};

/// The Keras version that the layout is that of.
const KERAS_VERSION: &str = "2.3.1";
/// What a header message of HDF5 can hold, less what the attribute itself needs: Keras's own limit, beyond which it splits.
const ATTRIBUTE_LIMIT: usize = 64512;

/// Lays weights out as an HDF5 file that `load_weights` of Keras 2 reads. The same weights give the same bytes.
///
/// # Errors
/// [`WeightsError::Unwritable`] when values and shape of a weight disagree, or a name cannot be one in HDF5.
pub fn write(layers: &[LayerWeights]) -> Result<Vec<u8>, WeightsError> {
    let mut file = FileBuilder::new();
    // The 1.8 format, which every HDF5 library of the last fifteen years reads.
    file.with_libver_bounds(LibVer::Earliest, LibVer::V18);
    let names: Vec<&str> = layers.iter().map(|layer| layer.layer.as_str()).collect();
    for (name, value) in names_attribute("layer_names", &names) {
        file.set_attr(&name, value);
    }
    file.set_attr("backend", AttrValue::VarLenAsciiString("tensorflow".to_owned()));
    file.set_attr("keras_version", AttrValue::VarLenAsciiString(KERAS_VERSION.to_owned()));
    for layer in layers {
        let mut group = file.create_group(&layer.layer);
        fill_layer(&mut group, layer)?;
        file.add_group(group.finish());
    }
    finish(file, layers)
}

/// What a model's file holds beside the weights.
#[derive(Debug, Clone, Copy)]
pub struct ModelFile<'a> {
    /// A dataset of bytes: its name and its contents.
    pub document: (&'a str, &'a [u8]),
    /// Datasets of one text each.
    pub texts: &'a [(&'a str, &'a str)],
    /// Attributes of the root, each far below 64 KiB.
    pub attributes: &'a [(&'a str, &'a str)],
}

/// Lays a model out as an HDF5 file, with its weights, if there are any, in the group where Keras has those of a whole model.
///
/// # Errors
/// [`WeightsError::Unwritable`] when values and shape of a weight disagree, or a name cannot be one in HDF5.
pub fn write_model(model: &ModelFile<'_>, layers: Option<&[LayerWeights]>) -> Result<Vec<u8>, WeightsError> {
    let mut file = FileBuilder::new();
    file.with_libver_bounds(LibVer::Earliest, LibVer::V18);
    for (name, text) in model.attributes {
        file.set_attr(name, AttrValue::VarLenString((*text).to_owned()));
    }
    let (name, bytes) = model.document;
    file.create_dataset(name)
        .with_u8_data(bytes)
        .with_shape(&[bytes.len() as u64]);
    for (name, text) in model.texts {
        file.create_dataset(name)
            .with_strings(&[text])
            .map_err(|error| WeightsError::Unwritable {
                layer: (*name).to_owned(),
                reason: error.to_string(),
            })?
            .with_shape(&[]);
    }
    let layers = layers.unwrap_or_default();
    if !layers.is_empty() {
        let mut group = file.create_group("model_weights");
        let names: Vec<&str> = layers.iter().map(|layer| layer.layer.as_str()).collect();
        for (name, value) in names_attribute("layer_names", &names) {
            group.set_attr(&name, value);
        }
        group.set_attr("backend", AttrValue::VarLenAsciiString("tensorflow".to_owned()));
        group.set_attr("keras_version", AttrValue::VarLenAsciiString(KERAS_VERSION.to_owned()));
        for layer in layers {
            let mut inner = group.create_group(&layer.layer);
            fill_layer(&mut inner, layer)?;
            group.add_group(inner.finish());
        }
        file.add_group(group.finish());
    }
    finish(file, layers)
}

/// Puts a layer's weights and the list of their names into its group.
fn fill_layer(group: &mut GroupBuilder, layer: &LayerWeights) -> Result<(), WeightsError> {
    let unwritable = |reason: String| WeightsError::Unwritable {
        layer: layer.layer.clone(),
        reason,
    };
    check_name(&layer.layer).map_err(unwritable)?;
    let names: Vec<&str> = layer.weights.iter().map(|weight| weight.name.as_str()).collect();
    for (name, value) in names_attribute("weight_names", &names) {
        group.set_attr(&name, value);
    }
    add_weights(group, &layer.weights.iter().collect::<Vec<_>>(), 0).map_err(unwritable)
}

fn finish(file: FileBuilder, layers: &[LayerWeights]) -> Result<Vec<u8>, WeightsError> {
    file.finish().map_err(|error| WeightsError::Unwritable {
        layer: layers
            .iter()
            .map(|layer| layer.layer.as_str())
            .collect::<Vec<_>>()
            .join(", "),
        reason: error.to_string(),
    })
}

/// Adds weights below a group; `depth` path components of their names have been walked already. Weights that share the next component
/// share the group of that name.
fn add_weights(group: &mut GroupBuilder, weights: &[&Weight], depth: usize) -> Result<(), String> {
    let mut done: Vec<&str> = Vec::new();
    for weight in weights {
        let mut rest = weight.name.split('/').skip(depth);
        let Some(component) = rest.next() else {
            return Err(format!("two weights are called '{}'", weight.name));
        };
        check_name(component)?;
        if rest.next().is_none() {
            let size: usize = weight.shape.iter().product();
            if size != weight.values.len() {
                return Err(format!(
                    "'{}' has {} values where its shape needs {size}",
                    weight.name,
                    weight.values.len()
                ));
            }
            if done.contains(&component) {
                return Err(format!("two weights are called '{}'", weight.name));
            }
            done.push(component);
            let shape: Vec<u64> = weight.shape.iter().map(|&size| size as u64).collect();
            group
                .create_dataset(component)
                .with_f32_data(&weight.values)
                .with_shape(&shape);
        } else if !done.contains(&component) {
            done.push(component);
            let below: Vec<&Weight> = weights
                .iter()
                .copied()
                .filter(|other| other.name.split('/').nth(depth) == Some(component))
                .collect();
            let mut subgroup = group.create_group(component);
            add_weights(&mut subgroup, &below, depth + 1)?;
            group.add_group(subgroup.finish());
        }
    }
    Ok(())
}

/// A list of names as Keras writes it: fixed-length strings, an empty list as an empty list of numbers (numpy's default), and a list
/// that is too long for one attribute as `name0`, `name1`, ...
fn names_attribute(name: &str, names: &[&str]) -> Vec<(String, AttrValue)> {
    let width = names.iter().map(|name| name.len()).max().unwrap_or(0);
    let value = |names: &[&str]| AttrValue::AsciiStringArray(names.iter().map(|&name| name.to_owned()).collect());
    if names.is_empty() {
        return vec![(name.to_owned(), AttrValue::F64Array(Vec::new()))];
    }
    if width * names.len() <= ATTRIBUTE_LIMIT {
        return vec![(name.to_owned(), value(names))];
    }
    let parts = names.chunks((ATTRIBUTE_LIMIT / width).max(1));
    parts
        .enumerate()
        .map(|(index, part)| (format!("{name}{index}"), value(part)))
        .collect()
}

fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name == "." || name.contains('/') || !name.is_ascii() || name.contains('\0') {
        return Err(format!("'{}' cannot be a name in an HDF5 file", name.escape_debug()));
    }
    Ok(())
}
