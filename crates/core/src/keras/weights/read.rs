//! Reading weights from any HDF5 file that Keras 2 writes: weights or a whole model, fixed- or variable-length names, lists of names
//! split over several attributes, 16-, 32- or 64-bit floats.
//!
//! Files come from strangers. Only what the lists of names lead to is opened; links out of the file are not followed; and no size is
//! believed before it has been compared with the file's own.

use std::collections::HashMap;

use hdf5::{AttrValue, Dataset, Datatype, DatatypeByteOrder, Error, File, FormatError, Group, Layout};

use super::super::file_kind::FileKind;
use super::super::model::Model;
use super::keras3;
use super::{LayerWeights, Weight, WeightsError};

/// Compressed weights may unpack to this many times the file's size, or to [`SMALL`] bytes if that is more.
const EXPANSION: u64 = 16;
const SMALL: u64 = 64 << 20;

/// Deflate, shuffle, checksum and LZF: what h5py writes without plugins.
const FILTERS: [u16; 4] = [1, 2, 3, 32000];

/// Reads all layers of a weights file, weightless ones included, in the model's order.
///
/// # Errors
/// Anything but a whole HDF5 file with the weights of Keras 2, and anything in it that a weights file does not need: see
/// [`WeightsError`].
pub fn read(bytes: Vec<u8>) -> Result<Vec<LayerWeights>, WeightsError> {
    layers(bytes, None)
}

/// Reads the layers of a weights file for a model: besides what [`read`] does, the `.weights.h5` and `.keras` files of Keras 3, in
/// which only the model tells which layer comes when.
///
/// # Errors
/// As [`read`].
pub fn read_for(bytes: Vec<u8>, model: &Model) -> Result<Vec<LayerWeights>, WeightsError> {
    match FileKind::of(&bytes) {
        FileKind::Zip => match keras3::archived_weights(&bytes)? {
            Some(weights) => layers(weights, Some(model)),
            None => Err(WeightsError::Foreign(FileKind::Zip)),
        },
        _ => layers(bytes, Some(model)),
    }
}

fn layers(bytes: Vec<u8>, model: Option<&Model>) -> Result<Vec<LayerWeights>, WeightsError> {
    let (file, size) = whole_file(bytes)?;
    let mut reader = Reader {
        file_size: size,
        budget: SMALL.max(size.saturating_mul(EXPANSION)),
    };
    let found = weights_group(&file);
    if let (Err(WeightsError::NotKeras(_)), Some(model)) = (&found, model)
        && let Some(container) = keras3::container(&file.root())
    {
        return keras3::layers(&container, &mut reader, model);
    }
    let (group, attributes) = found?;
    let mut layers = Vec::new();
    for name in names(&attributes, "layer_names", "/")? {
        let layer = open(group.group(&name), &name)?;
        let attributes = layer.attrs().map_err(damaged)?;
        let mut weights = Vec::new();
        for weight in names(&attributes, "weight_names", &name)? {
            let place = format!("{name}/{weight}");
            let dataset = open(layer.dataset(&weight), &place)?;
            let (shape, values) = reader.tensor(&dataset, &place)?;
            weights.push(Weight {
                name: weight,
                shape,
                values,
            });
        }
        layers.push(LayerWeights { layer: name, weights });
    }
    Ok(layers)
}

/// The bytes of the dataset `document` in the root of a file, and whether the file holds the weights of a whole model; nothing when
/// there is no such dataset.
///
/// # Errors
/// Anything but a whole HDF5 file, or a document that is no plain list of bytes or longer than `limit`.
pub fn read_model(bytes: Vec<u8>, document: &str, limit: u64) -> Result<Option<(Vec<u8>, bool)>, WeightsError> {
    let (file, size) = whole_file(bytes)?;
    let root = file.root();
    let dataset = match root.dataset(document) {
        Ok(dataset) => dataset,
        Err(Error::Format(FormatError::PathNotFound(_))) => return Ok(None),
        Err(error) => return open(Err(error), document),
    };
    if !matches!(
        dataset.datatype().map_err(damaged)?,
        Datatype::FixedPoint { size: 1, .. }
    ) {
        return Err(refused(document, "does not hold bytes"));
    }
    let shape = dataset.shape().map_err(damaged)?;
    let Some(length) = volume(&shape).filter(|length| shape.len() == 1 && *length <= limit.min(size)) else {
        return Err(refused(
            document,
            format!("declares the shape {shape:?}, which it does not have in any estimator"),
        ));
    };
    let reader = Reader {
        file_size: size,
        budget: limit,
    };
    reader.check_layout(&dataset, 1, length, document)?;
    let contents = dataset.read_u8().map_err(damaged)?;
    Ok(Some((contents, root.group("model_weights").is_ok())))
}

/// Opens a file that is HDF5 and all there, and tells its size.
fn whole_file(bytes: Vec<u8>) -> Result<(File, u64), WeightsError> {
    match FileKind::of(&bytes) {
        FileKind::Hdf5 => {}
        other => return Err(WeightsError::Foreign(other)),
    }
    let size = bytes.len() as u64;
    let file = File::from_bytes(bytes).map_err(damaged)?;
    let declared = file.superblock().eof_address;
    if declared > size {
        return Err(WeightsError::Damaged(format!(
            "it should have {declared} bytes and has {size}"
        )));
    }
    Ok((file, size))
}

type Attributes = HashMap<String, AttrValue>;

/// The group that lists the layers: the root of a weights file, `model_weights` of a whole model.
fn weights_group(file: &File) -> Result<(Group, Attributes), WeightsError> {
    let has_layers =
        |attributes: &Attributes| attributes.contains_key("layer_names") || attributes.contains_key("layer_names0");
    let root = file.root();
    let attributes = root.attrs().map_err(damaged)?;
    if has_layers(&attributes) {
        return Ok((root, attributes));
    }
    if let Ok(model) = root.group("model_weights") {
        let attributes = model.attrs().map_err(damaged)?;
        if has_layers(&attributes) {
            return Ok((model, attributes));
        }
    }
    let reason = if root.group("_layer_checkpoint_dependencies").is_ok() || root.group("layers").is_ok() {
        "it has the layout of Keras 3's .weights.h5; save the weights with a name that ends in .h5 but not in .weights.h5, from \
         Keras 2 or with the package tf_keras"
    } else if attributes.contains_key("-Galaxy-ML-") || root.dataset("-model_config-").is_ok() {
        "it is a model of the newer Python tools (h5mlm); load it there and save its weights with Keras's save_weights"
    } else {
        "it has no attribute layer_names; give the .h5 file that Deep learning training or Keras's save_weights wrote"
    };
    Err(WeightsError::NotKeras(reason.to_owned()))
}

/// A list of names, which may be split over `name0`, `name1`, ... A list without entries is stored as a list of numbers.
fn names(attributes: &Attributes, name: &str, place: &str) -> Result<Vec<String>, WeightsError> {
    let mut parts = Vec::new();
    if let Some(whole) = attributes.get(name) {
        parts.push(whole);
    } else {
        parts.extend((0..).map_while(|index| attributes.get(&format!("{name}{index}"))));
    }
    if parts.is_empty() {
        return Err(refused(
            place,
            format!("the attribute {name} is missing or holds no names"),
        ));
    }
    let mut names = Vec::new();
    for part in parts {
        if let Some(strings) = part.as_strings() {
            names.extend(strings.iter().map(|name| name.trim_end_matches('\0').to_owned()));
        } else if let Some(string) = part.as_str() {
            names.push(string.trim_end_matches('\0').to_owned());
        } else if !part.to_f64s().is_some_and(|numbers| numbers.is_empty()) {
            return Err(refused(place, format!("the attribute {name} does not hold names")));
        }
    }
    Ok(names)
}

/// Unpacks a lookup, saying what it means when there is nothing of that name.
fn open<T>(found: Result<T, Error>, place: &str) -> Result<T, WeightsError> {
    found.map_err(|error| match error {
        // In groups of the older kind a soft link is an object at the undefined address, which is the highest there is.
        Error::Format(
            FormatError::PathNotFound(_)
            | FormatError::UnexpectedEof {
                expected: usize::MAX, ..
            },
        ) => refused(
            place,
            "is listed but not in the file, or only as a soft or external link, which are not followed",
        ),
        Error::NotADataset(_) | Error::NotAGroup(_) => {
            refused(place, "is not the kind of object that Keras writes here")
        }
        other => damaged(other),
    })
}

/// Reads values as far as the file can hold them.
pub(super) struct Reader {
    file_size: u64,
    /// How many more bytes of values are taken.
    budget: u64,
}

impl Reader {
    /// Shape and values of one dataset, if they are what a weights file may hold.
    pub(super) fn tensor(&mut self, dataset: &Dataset, place: &str) -> Result<(Vec<usize>, Vec<f32>), WeightsError> {
        let float = Float::of(dataset, place)?;
        let shape = dataset.shape().map_err(damaged)?;
        let bytes = volume(&shape).and_then(|count| count.checked_mul(float.width()));
        let Some(bytes) = bytes.filter(|bytes| *bytes <= self.budget) else {
            return Err(refused(
                place,
                format!("declares the shape {shape:?}, far more than a file of this size can hold"),
            ));
        };
        self.check_layout(dataset, float.width(), bytes, place)?;
        self.budget -= bytes;
        let values = float.read(dataset)?;
        if values.len() as u64 * float.width() != bytes {
            return Err(refused(
                place,
                format!("holds {} values where its shape {shape:?} needs others", values.len()),
            ));
        }
        // The values are there, so that each size fits.
        let shape = shape
            .into_iter()
            .map(|size| usize::try_from(size).unwrap_or(usize::MAX))
            .collect();
        Ok((shape, values))
    }

    /// That the values lie in this file; `width` is the bytes a value has, `bytes` those of all.
    fn check_layout(&self, dataset: &Dataset, width: u64, bytes: u64, place: &str) -> Result<(), WeightsError> {
        match dataset.layout().map_err(damaged)? {
            _ if bytes == 0 => Ok(()),
            Layout::Contiguous { address: None, .. } => Err(refused(
                place,
                "stores no values in this file (external files are not followed)",
            )),
            Layout::Contiguous {
                address: Some(address), ..
            } if address.checked_add(bytes).is_none_or(|end| end > self.file_size) => Err(refused(
                place,
                "lies beyond the end of the file, which seems to have been cut off",
            )),
            Layout::Contiguous { .. } => Ok(()),
            Layout::Compact { size } if size >= bytes => Ok(()),
            Layout::Compact { .. } => Err(refused(place, "is shorter than its shape needs")),
            Layout::Chunked { chunk_shape, .. } => {
                let chunk = volume(&chunk_shape).and_then(|count| count.checked_mul(width));
                if chunk.is_none_or(|chunk| chunk > self.budget) {
                    return Err(refused(place, "has chunks that are far larger than the file"));
                }
                match dataset.filters().iter().find(|filter| !FILTERS.contains(filter)) {
                    None => Ok(()),
                    Some(filter) => Err(refused(
                        place,
                        format!("is packed with HDF5 filter {filter}, which is not supported"),
                    )),
                }
            }
            Layout::Virtual => Err(refused(place, "is a virtual dataset, whose values lie in other files")),
            _ => Err(refused(place, "has a storage layout that is not supported")),
        }
    }
}

/// The floating-point formats that weights come in.
enum Float {
    Half { big_endian: bool },
    Single,
    Double,
}

impl Float {
    fn of(dataset: &Dataset, place: &str) -> Result<Self, WeightsError> {
        match dataset.datatype().map_err(damaged)? {
            Datatype::FloatingPoint { size: 4, .. } => Ok(Self::Single),
            Datatype::FloatingPoint { size: 8, .. } => Ok(Self::Double),
            Datatype::FloatingPoint {
                size: 2,
                byte_order,
                layout,
            } if layout.exponent_size == 5
                && layout.mantissa_size == 10
                && layout.exponent_location == 10
                && layout.exponent_bias == 15
                && byte_order != DatatypeByteOrder::Vax =>
            {
                Ok(Self::Half {
                    big_endian: byte_order == DatatypeByteOrder::BigEndian,
                })
            }
            _ => Err(refused(
                place,
                "does not hold floating-point numbers of 16, 32 or 64 bits",
            )),
        }
    }

    /// Bytes a value.
    fn width(&self) -> u64 {
        match self {
            Self::Half { .. } => 2,
            Self::Single => 4,
            Self::Double => 8,
        }
    }

    fn read(&self, dataset: &Dataset) -> Result<Vec<f32>, WeightsError> {
        match self {
            Self::Single | Self::Double => dataset.read_f32().map_err(damaged),
            Self::Half { big_endian } => {
                let raw = dataset.read_raw().map_err(damaged)?;
                let (pairs, _) = raw.as_chunks::<2>();
                let bits = |pair: &[u8; 2]| {
                    if *big_endian {
                        u16::from_be_bytes(*pair)
                    } else {
                        u16::from_le_bytes(*pair)
                    }
                };
                Ok(pairs.iter().map(|pair| half_to_f32(bits(pair))).collect())
            }
        }
    }
}

/// An IEEE 754 half as a single; every half is exactly one.
fn half_to_f32(half: u16) -> f32 {
    let sign = if half & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from((half >> 10) & 0x1f);
    let mantissa = f32::from(half & 0x3ff) / 1024.0;
    sign * match exponent {
        0 => mantissa * 2_f32.powi(-14),
        31 if mantissa == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + mantissa) * 2_f32.powi(exponent - 15),
    }
}

fn volume(shape: &[u64]) -> Option<u64> {
    shape.iter().try_fold(1_u64, |product, size| product.checked_mul(*size))
}

fn damaged(error: impl Into<Error>) -> WeightsError {
    WeightsError::Damaged(error.into().to_string())
}

fn refused(place: &str, reason: impl Into<String>) -> WeightsError {
    WeightsError::Refused {
        place: format!("the weights file's '{place}'"),
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_become_the_same_singles() {
        for (half, single) in [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x3555, 0.333_251_95),
            (0x0001, 5.960_464_5e-8),
            (0x7bff, 65504.0),
            (0x7c00, f32::INFINITY),
        ] {
            assert_eq!(half_to_f32(half).to_bits(), f32::to_bits(single), "{half:#x}");
        }
        assert!(half_to_f32(0x7e00).is_nan());
    }
}
