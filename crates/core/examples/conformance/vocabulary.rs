//! Which values a layer's options are given, as Python text.
//!
//! Names and switches come from the catalogue of layers itself. Numbers and shapes are chosen here, by the option's name; an option that
//! nobody has chosen values for is an error, so that a new layer cannot be forgotten.

use galaxy_burn_core::keras::constraint::Constraint;
use galaxy_burn_core::keras::field::Field;
use galaxy_burn_core::keras::initializer::{self, Initializer};
use galaxy_burn_core::keras::layers::LayerSpec;
use galaxy_burn_core::keras::regularizer::Regularizer;

/// One option of a layer: a field of its form or a keyword.
#[derive(Clone, Debug)]
pub struct OptionSpec {
    /// Keras's name.
    pub name: &'static str,
    /// The values of an option that takes names, as Python text.
    pub names: Vec<String>,
    /// What the catalogue says can be written; empty for a field of the form.
    expected: String,
    /// Whether the form has a group of fields for a constraint.
    is_constraint: bool,
    /// Whether it must be given.
    pub required: bool,
}

/// The options of a layer, those of the form first.
pub fn options(spec: &LayerSpec) -> Vec<OptionSpec> {
    use galaxy_burn_core::keras::layers::FormKind;
    let form = spec.form.iter().map(|field| OptionSpec {
        name: field.name,
        names: match field.kind {
            FormKind::Select(names) => names.iter().map(|name| format!("'{name}'")).collect(),
            FormKind::Boolean => vec!["True".into(), "False".into()],
            _ => Vec::new(),
        },
        expected: String::new(),
        is_constraint: field.kind == FormKind::Constraint,
        required: field.default.is_none() && !field.optional,
    });
    let keywords = spec
        .kwargs
        .iter()
        .filter(|_| spec.has_kwargs)
        .map(|keyword| OptionSpec {
            name: keyword.name,
            names: names_in(&keyword.expected),
            expected: keyword.expected.clone(),
            is_constraint: false,
            required: keyword.default == "required",
        });
    form.chain(keywords).collect()
}

/// The names in "one of 'a', 'b'", and both switches of "True or False".
fn names_in(expected: &str) -> Vec<String> {
    if expected == bool::expected() {
        return vec!["True".into(), "False".into()];
    }
    let names = expected.strip_prefix("one of ").unwrap_or_default();
    let names: Vec<String> = names
        .split(", ")
        .filter_map(|name| name.split_whitespace().next())
        .filter(|name| name.starts_with('\'') && name.ends_with('\'') && name.len() > 2)
        .map(str::to_owned)
        .collect();
    names
}

/// The number of axes that a layer's windows move along: the digit before the D of its name.
pub fn axes(class_name: &str) -> usize {
    let digits = class_name
        .as_bytes()
        .windows(2)
        .find(|pair| pair[1] == b'D' && pair[0].is_ascii_digit());
    digits.map_or(1, |pair| usize::from(pair[0] - b'0'))
}

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|&value| value.to_owned()).collect()
}

/// Values for a window's option, by its number of axes.
fn by_axes(axes: usize, one: &[&str], two: &[&str], three: &[&str]) -> Vec<String> {
    texts(match axes {
        1 => one,
        2 => two,
        _ => three,
    })
}

/// Numbers of rows and columns in the order of `axes`, drawn from the input's shape: each axis by its number, from 1.
fn permutations(rank: usize) -> Vec<String> {
    match rank {
        2 => texts(&["(2, 1)", "(1, 2)"]),
        3 => texts(&["(2, 1, 3)", "(3, 1, 2)", "(1, 3, 2)"]),
        _ => texts(&["(1,)"]),
    }
}

/// Constraints, one of each kind.
const CONSTRAINTS: [&str; 5] = [
    "None",
    "'non_neg'",
    "max_norm(0.5)",
    "unit_norm()",
    "min_max_norm(0.2, 0.6, rate=0.7)",
];

/// Values of one option of one layer for an input of this shape; `None` if nobody has chosen any.
#[expect(clippy::too_many_lines, reason = "a table, a line an option")]
pub fn values(class_name: &str, option: &OptionSpec, input: &[usize]) -> Option<Vec<String>> {
    let axes = axes(class_name);
    let equal_strides = class_name.contains("Separable") || class_name.contains("Depthwise");
    let size: usize = input.iter().product();
    if option.name == "return_state" {
        // In a chain there is no use for states; graphs have them handed on.
        return Some(texts(&["False"]));
    }
    if option.expected == Initializer::expected() || option.name.ends_with("_initializer") {
        // A few for each layer, others for the next one; what they draw is compared by cases of their own.
        let matrix = option.name == "recurrent_initializer" && !class_name.contains("Conv");
        let one_axis = option.name == "bias_initializer" || option.name == "alpha_initializer";
        let mut all: Vec<String> = initializer::NAMES.iter().map(|name| format!("'{name}'")).collect();
        all.retain(|name| (matrix || name != "'identity'") && (!one_axis || name != "'orthogonal'"));
        let first = class_name
            .bytes()
            .chain(option.name.bytes())
            .map(usize::from)
            .sum::<usize>()
            % all.len();
        all.rotate_left(first);
        all.truncate(4);
        return Some(all);
    }
    if !option.names.is_empty() {
        // Exponentials of exponentials leave the range of 32-bit numbers in a recurrent layer.
        let recurrent = class_name.contains("RNN") || class_name.contains("GRU") || class_name.contains("LSTM");
        let fits = |name: &String| !(recurrent && name.contains("exponential"));
        return Some(option.names.iter().filter(|name| fits(name)).cloned().collect());
    }
    if option.expected == <Option<Regularizer>>::expected() {
        return Some(texts(&["None", "l1(0.02)", "l2(0.03)", "l1_l2(0.01, 0.02)"]));
    }
    if option.expected == <Option<Constraint>>::expected() || option.is_constraint {
        return Some(texts(&CONSTRAINTS));
    }
    Some(match (class_name, option.name) {
        ("Embedding", "input_dim") => texts(&["5", "11"]),
        ("Embedding", "input_length") => vec!["None".into(), input.first()?.to_string()],
        ("Reshape", "target_shape") => vec![format!("({size},)"), format!("(1, {size})"), "(-1, 1)".into()],
        ("Permute", "dims") => permutations(input.len()),
        ("RepeatVector", "n") => texts(&["1", "3"]),
        ("Masking", "mask_value") => texts(&["0.0", "-1.0"]),
        ("ReLU", "max_value") => texts(&["None", "0.3", "6.0"]),
        ("ReLU", "negative_slope") => texts(&["0.0", "0.2"]),
        ("ReLU", "threshold") => texts(&["0.0", "0.1"]),
        ("LeakyReLU" | "ELU", "alpha") => texts(&["0.3", "1.0", "0.05"]),
        ("ThresholdedReLU", "theta") => texts(&["1.0", "0.2"]),
        ("PReLU", "shared_axes") => match input.len() {
            1 => texts(&["None"]),
            2 => texts(&["None", "[1]"]),
            _ => texts(&["None", "[1, 2]", "[2]"]),
        },
        ("Softmax", "axis") => match input.len() {
            1 => texts(&["-1", "1"]),
            _ => texts(&["-1", "1", "2"]),
        },
        ("BatchNormalization", "axis") => match input.len() {
            1 => texts(&["-1"]),
            _ => texts(&["-1", "1"]),
        },
        ("PReLU", "alpha_regularizer") => texts(&["(0.0, 0.0)", "(0.01, 0.02)"]),
        ("Dropout", "noise_shape") => match input.len() {
            2 => vec!["None".into(), format!("(None, 1, {})", input[1])],
            _ => texts(&["None"]),
        },
        (_, "units" | "filters" | "output_dim") => texts(&["1", "3", "4"]),
        (_, "kernel_size") => by_axes(
            axes,
            &["1", "2", "3", "(3,)"],
            &["2", "(3, 3)", "(2, 3)", "(1, 4)"],
            &["2", "(1, 2, 3)", "(2, 2, 1)"],
        ),
        (_, "pool_size") => by_axes(
            axes,
            &["2", "3", "1"],
            &["(2, 2)", "3", "(1, 3)"],
            &["(2, 2, 2)", "2", "(1, 2, 3)"],
        ),
        (_, "strides") if class_name.contains("Pooling") => by_axes(
            axes,
            &["None", "1", "2", "3"],
            &["None", "1", "(2, 1)", "(3, 2)"],
            &["None", "1", "(2, 1, 2)"],
        ),
        (_, "strides") if equal_strides => by_axes(axes, &["1", "2", "3"], &["(1, 1)", "2", "(3, 3)"], &["1"]),
        (_, "strides") => by_axes(
            axes,
            &["1", "2", "3"],
            &["(1, 1)", "2", "(2, 3)", "(1, 2)"],
            &["(1, 1, 1)", "2", "(1, 2, 3)"],
        ),
        (_, "dilation_rate") => by_axes(
            axes,
            &["1", "2", "3"],
            &["(1, 1)", "2", "(1, 2)"],
            &["(1, 1, 1)", "2", "(1, 2, 1)"],
        ),
        (_, "depth_multiplier") => texts(&["1", "2", "3"]),
        (_, "output_padding") => by_axes(
            axes,
            &["None", "1"],
            &["None", "(1, 1)", "(0, 1)"],
            &["None", "(1, 0, 1)"],
        ),
        (_, "cropping") => by_axes(
            axes,
            &["(1, 1)", "(0, 2)", "1"],
            &["((0, 0), (0, 0))", "((1, 0), (0, 2))", "1", "(1, 0)"],
            &["((1, 1), (1, 1), (1, 1))", "1", "((0, 1), (1, 0), (0, 0))", "(1, 0, 1)"],
        ),
        (_, "padding") => by_axes(
            axes,
            &["1", "(0, 2)", "3"],
            &["(1, 1)", "2", "((1, 0), (0, 2))"],
            &["(1, 1, 1)", "2", "((0, 1), (1, 0), (0, 0))"],
        ),
        (_, "size") => by_axes(
            axes,
            &["2", "3"],
            &["(2, 2)", "3", "(1, 2)"],
            &["(2, 2, 2)", "2", "(1, 2, 3)"],
        ),
        (_, "rate" | "dropout" | "recurrent_dropout") => texts(&["0.0", "0.3"]),
        (_, "stddev") => texts(&["0.0", "0.4"]),
        (_, "implementation") => texts(&["1", "2"]),
        (_, "momentum") => texts(&["0.99", "0.6"]),
        (_, "epsilon") => texts(&["0.001", "0.1"]),
        (_, "l1" | "l2") => texts(&["0.0", "0.05"]),
        (_, "noise_shape") => texts(&["None"]),
        (_, "seed") => texts(&["None", "7"]),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use galaxy_burn_core::keras::layers::catalogue;

    use super::*;
    use crate::layer::input_shapes;

    #[test]
    fn every_option_of_every_layer_has_values() {
        for spec in catalogue().iter().filter(|spec| spec.in_sequential()) {
            for option in options(spec) {
                for input in input_shapes(spec.layer_type) {
                    let values = values(spec.layer_type, &option, &input);
                    assert!(
                        values.is_some_and(|values| !values.is_empty()),
                        "{}: choose values for {} in vocabulary.rs",
                        spec.layer_type,
                        option.name
                    );
                }
            }
        }
    }

    #[test]
    fn names_and_switches_come_from_the_catalogue() {
        let conv = catalogue().iter().find(|spec| spec.layer_type == "Conv1D").unwrap();
        let all = options(conv);
        let names = |name: &str| all.iter().find(|option| option.name == name).unwrap().names.clone();
        assert_eq!(names("padding"), ["'valid'", "'same'", "'causal'"]);
        assert_eq!(names("use_bias"), ["True", "False"]);
        assert_eq!(names("activation").len(), 11);
        assert!(names("strides").is_empty());
    }

    #[test]
    fn the_name_tells_the_axes() {
        assert_eq!(
            ["Conv1D", "ConvLSTM2D", "GlobalMaxPooling3D", "Dense"].map(axes),
            [1, 2, 3, 1]
        );
    }
}
