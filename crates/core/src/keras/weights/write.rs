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
        let unwritable = |reason: String| WeightsError::Unwritable {
            layer: layer.layer.clone(),
            reason,
        };
        check_name(&layer.layer).map_err(unwritable)?;
        let mut group = file.create_group(&layer.layer);
        let names: Vec<&str> = layer.weights.iter().map(|weight| weight.name.as_str()).collect();
        for (name, value) in names_attribute("weight_names", &names) {
            group.set_attr(&name, value);
        }
        add_weights(&mut group, &layer.weights.iter().collect::<Vec<_>>(), 0).map_err(unwritable)?;
        file.add_group(group.finish());
    }
    file.finish().map_err(|error| WeightsError::Unwritable {
        layer: names.join(", "),
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
