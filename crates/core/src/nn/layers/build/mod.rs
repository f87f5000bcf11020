//! From a Keras model to the stages of a network: this file the graph, the others the layers, by family.

mod convolution;
mod elementwise;
mod fuse;
mod mask;
mod merge;
mod pool;
mod recurrent;
mod shape;
mod sizes;
mod taken_in;

use std::ops::Range;
use std::sync::Arc;

use self::fuse::Together;
use super::Simple;
use crate::keras::activation::Activation;
use crate::keras::field::DataFormat;
use crate::keras::initializer::Initializer;
use crate::keras::layers::{Layer as Description, LayerKind};
use crate::keras::model::{LayerOutput, Model};
use crate::keras::shape::{LayerShapes, Shape, WeightSpec};
use crate::nn::layer::Layer;
use crate::nn::network::{Source, Stage};
use crate::nn::operation::Kernel;
use crate::nn::weight::Weight;
use crate::{Error, Result};

/// A model's stages, and what it says of their weights.
pub(in crate::nn) struct Built {
    pub stages: Vec<Stage>,
    /// Where the network's output comes from.
    pub output: Source,
    pub weights: Beginnings,
    /// The name of each layer of the model and its weights' numbers, layers without weights too.
    pub layers: Vec<(String, Range<usize>)>,
    /// The shape of one row of the output.
    pub output_shape: Vec<usize>,
    /// The activation that closes the network, left out of the stages.
    pub closing: Option<Activation>,
    /// Whether the output is sequences of which a mask leaves steps out.
    pub masked_output: bool,
    /// How many different ids an embedding that reads the network's input knows, and that layer's title.
    pub ids: Option<(usize, String)>,
}

/// Weights, still without values, and how they begin.
type Beginnings = Vec<(Weight, Start)>;

/// How a weight begins.
pub(in crate::nn) struct Start {
    pub initializer: Initializer,
    /// Entries that begin at 1 whatever the initialiser says.
    pub ones: Option<Range<usize>>,
}

/// A layer of the model in its place.
struct Place<'a> {
    number: usize,
    layer: &'a Description,
    /// The outputs that it takes, of layers by their places; none takes the network's input.
    sources: &'a [LayerOutput],
    /// The layers that take its output.
    consumers: Vec<usize>,
    weights: Range<usize>,
    /// Shapes of one row of its inputs, of its output, and of the states behind it.
    inputs: Vec<Vec<usize>>,
    output: Vec<usize>,
    states: Vec<Vec<usize>>,
    /// Whether its inputs are the network's input, or no more than that in another shape.
    reads_input: bool,
}

impl Place<'_> {
    fn title(&self) -> String {
        format!(
            "{} ({} '{}')",
            self.number,
            self.layer.kind.class_name(),
            self.layer.name
        )
    }

    /// Whether it hands on what it takes.
    fn does_nothing(&self) -> bool {
        matches!(&self.layer.kind, LayerKind::Activation(layer) if layer.activation == Activation::Linear)
    }

    /// The shape of one row of its only input.
    fn input(&self) -> &[usize] {
        self.inputs.first().map_or(&[], Vec::as_slice)
    }

    /// The shapes of one row of all that it puts out.
    fn outputs(&self) -> impl Iterator<Item = &Vec<usize>> {
        std::iter::once(&self.output).chain(&self.states)
    }

    /// What is said of a layer that does not fit its input.
    fn refused(&self, error: &impl std::fmt::Display) -> Error {
        Error::Input(format!("layer {}: {error}", self.title()))
    }
}

/// Builds the stages of `model` for rows of `input_shape`.
///
/// # Errors
/// When the shapes do not fit the layers, a layer cannot be run, or the model has not one input and one output.
pub(in crate::nn) fn build(model: &Model, input_shape: &[usize]) -> Result<Built> {
    let input: Shape = input_shape.iter().copied().map(Some).collect();
    let shapes = model.shapes(Some(&input))?;
    let model = &*taken_in::with_activations_taken_in(model);
    let [end] = model.outputs[..] else {
        return Err(Error::Internal("the model has not one output".into()));
    };
    let last = end.layer;
    let (places, weights) = places(model, &shapes)?;
    let closing = closing(&places[last].layer.kind).filter(|_| places[last].consumers.is_empty());
    let masked = mask::masked(&places);
    let mut stages: Vec<Stage> = Vec::with_capacity(places.len());
    // Where the outputs of each layer come from; of one that was taken together with the next, nothing does.
    let mut outputs: Vec<Vec<Source>> = vec![Vec::new(); places.len()];
    for (index, place) in places.iter().enumerate() {
        if !outputs[index].is_empty() {
            continue;
        }
        if let LayerKind::InputLayer(_) = place.layer.kind {
            outputs[index] = vec![Source::Input];
            continue;
        }
        if place.does_nothing() && index != last {
            outputs[index] = match place.sources {
                [before] => outputs[before.layer].get(before.output).copied().into_iter().collect(),
                _ => vec![Source::Input],
            };
            continue;
        }
        let Together {
            layer,
            places: taken,
            parts,
        } = match fuse::together(&places, index, last) {
            Some(together) => together,
            None => Together {
                layer: stage(place, closing.is_some() && index == last)?,
                places: vec![index],
                parts: Vec::new(),
            },
        };
        let source = |&LayerOutput { layer, output }: &LayerOutput| {
            let source = outputs[layer].get(output).copied();
            source.ok_or_else(|| Error::Internal(format!("layer {} comes before its input", place.title())))
        };
        let inputs = if place.sources.is_empty() {
            vec![Source::Input]
        } else {
            place.sources.iter().map(source).collect::<Result<_>>()?
        };
        let parts = parts
            .into_iter()
            .map(|(layer, taken)| stage_of(&places, layer, &taken, Vec::new()));
        stages.push(Stage {
            parts: parts.collect(),
            ..stage_of(&places, layer, &taken, inputs)
        });
        let made = Source::Stage(stages.len() - 1);
        // So that none of them is visited again.
        for &within in &taken[1..] {
            outputs[within] = vec![made];
        }
        let end = *taken.last().unwrap_or(&index);
        let parts = recurrent::parts(&places[end]);
        outputs[end] = if parts.is_empty() { vec![made] } else { Vec::new() };
        for (part, shape) in parts.into_iter().zip(places[end].outputs()) {
            outputs[end].push(Source::Stage(stages.len()));
            stages.push(Stage {
                title: places[end].title(),
                layer: Box::new(part),
                inputs: vec![made],
                weights: Vec::new(),
                activity: None,
                output: shape.clone(),
                parts: Vec::new(),
            });
        }
    }
    let output_shape = places[last].outputs().nth(end.output).cloned().unwrap_or_default();
    Ok(Built {
        stages,
        output: *outputs[last]
            .get(end.output)
            .ok_or_else(|| Error::Internal("the model's output is no layer's".into()))?,
        weights,
        layers: places
            .iter()
            .map(|place| (place.layer.name.clone(), place.weights.clone()))
            .collect(),
        output_shape,
        closing,
        masked_output: masked[last] && end.output == 0 && places[last].output.len() > 1,
        ids: ids(&places)?,
    })
}

/// The stage of a layer that stands for those at the places `taken`, one behind the other.
fn stage_of(places: &[Place<'_>], layer: Box<dyn Layer>, taken: &[usize], inputs: Vec<Source>) -> Stage {
    let (first, end) = (&places[taken[0]], &places[taken[taken.len() - 1]]);
    // The others hand on or drop what the first made; but a recurrent layer computes more than an embedding.
    let maker = match first.layer.kind {
        LayerKind::Embedding(_) => end,
        _ => first,
    };
    Stage {
        title: maker.title(),
        layer,
        inputs,
        weights: taken.iter().flat_map(|&place| places[place].weights.clone()).collect(),
        activity: elementwise::activity(&end.layer.kind),
        output: result(end),
        parts: Vec::new(),
    }
}

/// The layers in their places, and their weights.
fn places<'a>(model: &'a Model, shapes: &[LayerShapes]) -> Result<(Vec<Place<'a>>, Beginnings)> {
    let mut weights = Vec::new();
    let mut places: Vec<Place<'_>> = Vec::with_capacity(shapes.len());
    for (index, (node, shapes)) in model.nodes.iter().zip(shapes).enumerate() {
        let first = weights.len();
        weights.extend(shapes.weights.iter().map(|spec| weight(&node.layer.name, spec)));
        let name = &node.layer.name;
        places.push(Place {
            number: node.number,
            layer: &node.layer,
            sources: &node.inputs,
            consumers: Vec::new(),
            weights: first..weights.len(),
            inputs: all_known(&shapes.inputs, name)?,
            output: known(&shapes.output, name)?,
            states: all_known(&shapes.states, name)?,
            reads_input: node.inputs.iter().all(|source| keeps_ids(&places[source.layer])),
        });
        for source in &node.inputs {
            places[source.layer].consumers.push(index);
        }
    }
    Ok((places, weights))
}

/// The shape of one row of a stage's result: the layer's output, with its states behind it if it returns them.
fn result(place: &Place<'_>) -> Vec<usize> {
    if place.states.is_empty() {
        place.output.clone()
    } else {
        vec![place.outputs().map(|part| part.iter().product::<usize>()).sum()]
    }
}

/// Whether what a layer puts out is still the network's input, at most in another shape or order: whole numbers stay whole numbers.
fn keeps_ids(place: &Place<'_>) -> bool {
    place.reads_input
        && matches!(
            place.layer.kind,
            LayerKind::InputLayer(_)
                | LayerKind::Reshape(_)
                | LayerKind::Flatten(_)
                | LayerKind::Permute(_)
                | LayerKind::RepeatVector(_)
                | LayerKind::Cropping1D(_)
                | LayerKind::Cropping2D(_)
                | LayerKind::Cropping3D(_)
        )
}

/// The smallest number of different ids that an embedding of the network's input knows, and that layer's title.
fn ids(places: &[Place<'_>]) -> Result<Option<(usize, String)>> {
    let mut smallest: Option<(usize, String)> = None;
    for place in places {
        let LayerKind::Embedding(embedding) = &place.layer.kind else {
            continue;
        };
        if !place.reads_input {
            return Err(Error::Input(format!(
                "layer {}: an Embedding layer reads whole numbers and so has to come first; only layers that reorder or cut, such as \
                 Reshape and Flatten, may stand before it",
                place.title()
            )));
        }
        if smallest.as_ref().is_none_or(|(count, _)| embedding.input_dim < *count) {
            smallest = Some((embedding.input_dim, place.title()));
        }
    }
    Ok(smallest)
}

fn all_known(shapes: &[Shape], name: &str) -> Result<Vec<Vec<usize>>> {
    shapes.iter().map(|shape| known(shape, name)).collect()
}

fn known(shape: &Shape, name: &str) -> Result<Vec<usize>> {
    shape.iter().copied().collect::<Option<Vec<usize>>>().ok_or_else(|| {
        Error::Input(format!(
            "layer '{name}': the size of its data is not known; give the model an input_shape without None"
        ))
    })
}

fn weight(layer: &str, spec: &WeightSpec) -> (Weight, Start) {
    let weight = Weight {
        name: format!("{layer}/{}:0", spec.name),
        shape: spec.shape.clone(),
        values: Vec::new(),
        trainable: spec.trainable,
        regularizer: spec.regularizer,
        constraint: spec.constraint.clone(),
    };
    (
        weight,
        Start {
            initializer: spec.initializer.clone(),
            ones: spec.ones.clone(),
        },
    )
}

/// The activation that a closing layer ends with, where a loss may want the logits before it. A penalty on the layer's activity sees
/// what comes behind the activation, so then it stays in.
fn closing(kind: &LayerKind) -> Option<Activation> {
    let closing = match kind {
        LayerKind::Dense(dense) if dense.activity_regularizer.is_none() => dense.activation,
        LayerKind::Activation(layer) => layer.activation,
        _ => return None,
    };
    matches!(closing, Activation::Softmax | Activation::Sigmoid).then_some(closing)
}

fn simple(kernel: Arc<dyn Kernel>, data_format: DataFormat, keeps_mask: bool) -> Box<dyn Layer> {
    Box::new(Simple {
        kernel,
        channels_first: data_format == DataFormat::ChannelsFirst,
        keeps_mask,
    })
}

/// The stage of one layer; `open` leaves its activation out.
fn stage(place: &Place<'_>, open: bool) -> Result<Box<dyn Layer>> {
    let families = [
        shape::stage,
        convolution::stage,
        pool::stage,
        recurrent::stage,
        merge::stage,
    ];
    if let Some(layer) = elementwise::stage(place, open)? {
        return Ok(layer);
    }
    for family in families {
        if let Some(layer) = family(place)? {
            return Ok(layer);
        }
    }
    Err(Error::Input(format!(
        "layer {}: this type of layer cannot be run",
        place.title()
    )))
}
