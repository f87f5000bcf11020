//! Recurrent layers that begin from the states of another one, as an encoder hands them to a decoder.

use super::graph::Growing;
use super::{ModelCase, owner};
use crate::random::Draw;

/// How a case goes beyond the plain one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Both layers walk forwards, the second one closes the model.
    Plain,
    /// The first layer walks backwards, the second one puts out every step.
    Backwards,
    /// Both walk backwards, and more layers follow, which take the first layer's own input, too.
    Between,
    /// Some steps do not count.
    Masked,
    /// The first layer looks its input up.
    Words,
    /// The first layer's channels come before its rows and columns.
    ChannelsFirst,
}

use Way::{Backwards, Between, ChannelsFirst, Masked, Plain, Words};

const SEQUENCES: &[Way] = &[Plain, Backwards, Between, Masked, Words];
const CUDNN: &[Way] = &[Plain, Backwards, Between, Words];
const FILMS: &[Way] = &[Plain, Backwards, Between, ChannelsFirst];

/// Each recurrent layer in each way.
pub fn states(seed: u64, only: Option<&str>) -> Vec<ModelCase> {
    let layers = [
        ("SimpleRNN", SEQUENCES),
        ("GRU", SEQUENCES),
        ("LSTM", SEQUENCES),
        ("ConvLSTM2D", FILMS),
        ("CuDNNGRU", CUDNN),
        ("CuDNNLSTM", CUDNN),
    ];
    let mut cases = Vec::new();
    for (class_name, ways) in layers {
        if only.is_none_or(|only| only.eq_ignore_ascii_case(class_name)) {
            let mut draw = Draw::new(seed, &format!("states of {class_name}"));
            cases.extend(ways.iter().map(|&way| handed_on(class_name, way, &mut draw)));
        }
    }
    cases
}

fn handed_on(class_name: &'static str, way: Way, draw: &mut Draw) -> ModelCase {
    let films = class_name == "ConvLSTM2D";
    let units = draw.between(1, 4).to_string();
    let mut size = if films {
        vec![("filters", &*units), ("kernel_size", "(2, 3)"), ("padding", "'same'")]
    } else {
        vec![("units", &*units)]
    };
    if way == ChannelsFirst {
        size.push(("data_format", "'channels_first'"));
    }
    let mut graph = Growing::new();
    let mut source = match way {
        Masked => graph.add("Masking", &[("mask_value", "0.0")], &[1]),
        Words => graph.add("Embedding", &[("input_dim", "7"), ("output_dim", "3")], &[1]),
        _ => 1,
    };
    let python = |chosen: bool| if chosen { "True" } else { "False" };
    let mut options = size.clone();
    options.extend([("return_sequences", "True"), ("return_state", "True")]);
    options.push(("go_backwards", python(matches!(way, Backwards | Between))));
    source = graph.add(class_name, &options, &[source]);
    let mut options = size;
    options.push(("return_sequences", python(way == Backwards)));
    options.push(("go_backwards", python(way == Between)));
    source = graph.add(class_name, &options, &[source]);
    if way == Between {
        let flat = graph.add("Flatten", &[], &[source]);
        let input = graph.add("Flatten", &[], &[1]);
        let both = graph.add("Concatenate", &[("axis", "-1")], &[flat, input]);
        graph.add("Dense", &[("units", "2")], &[both]);
    }
    let input: &[usize] = match (films, way) {
        (true, ChannelsFirst) => &[3, 2, 4, 3],
        (true, _) => &[3, 4, 3, 2],
        (false, Words) => &[5],
        (false, _) => &[5, 3],
    };
    let mut owner = owner(class_name, [("return_state", "True")]);
    owner.1.push(("states handed on".into(), format!("{way:?}")));
    let mut case = graph.case(input, vec![owner], draw);
    case.ids = (way == Words).then_some(7);
    case
}
