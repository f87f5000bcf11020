//! Drawing models so that every option of every layer has every value at least once.

use std::collections::{BTreeMap, BTreeSet};

use galaxy_burn_core::keras::layers::catalogue;
use galaxy_burn_core::keras::loss::Loss;
use serde_json::{Map, json};

use super::{ModelCase, file};
use crate::layer::{Chosen, Reads, draw_input, reads, spec};
use crate::random::Draw;
use crate::vocabulary::{self, OptionSpec};

/// The cases, and what could not be made a case: layer, option and value with the reason.
#[derive(Debug, Default)]
pub struct Covered {
    /// The cases.
    pub cases: Vec<ModelCase>,
    /// What is refused.
    pub refused: Vec<(String, String, String, String)>,
}

/// How often a value is tried by itself, with everything else left out, before it counts as refused.
const ATTEMPTS: usize = 12;

/// Models around each layer of the form, until each of its options had each of its values.
pub fn layers(seed: u64, only: Option<&str>) -> Covered {
    let mut covered = Covered::default();
    for spec in catalogue() {
        let class_name = spec.layer_type;
        if only.is_some_and(|only| !only.eq_ignore_ascii_case(class_name)) {
            continue;
        }
        if spec.in_sequential() {
            cover(class_name, seed, &mut covered);
        }
    }
    covered
}

fn cover(class_name: &'static str, seed: u64, covered: &mut Covered) {
    let Some(spec) = spec(class_name) else { return };
    let options = vocabulary::options(spec);
    let mut draw = Draw::new(seed, class_name);
    let mut open = Open::default();
    let mut cases = 0;
    let mut idle = 0;
    let mut failed = 0;
    // Values depend on the input's shape, so what is still open shows only as shapes are drawn.
    while idle < 8 || cases == 0 {
        let focus = idle > 3 || failed > 6;
        let input = draw_input(class_name, &mut draw);
        let chosen = open.choose(class_name, &options, &input, focus, &mut draw);
        let news = open.news(&chosen);
        if news.is_empty() && cases > 0 {
            idle += 1;
            continue;
        }
        let input = turned(&chosen, input);
        let case = around(chosen.clone(), input, &mut draw);
        match runs(&case) {
            Ok(()) => {
                open.done(&chosen);
                covered.cases.push(case);
                cases += 1;
                (idle, failed) = (0, 0);
            }
            Err(reason) => {
                // Which of several values is to blame shows when each is tried by itself.
                failed += 1;
                if let [(option, value)] = &news[..] {
                    let tries = open.tries.entry((option, value.clone())).or_default();
                    *tries += 1;
                    if *tries >= ATTEMPTS {
                        open.done(&chosen);
                        covered
                            .refused
                            .push((class_name.into(), (*option).into(), value.clone(), reason.clone()));
                        (idle, failed) = (0, 0);
                    }
                }
                open.failures += 1;
                if (cases == 0 && open.failures > 80) || open.failures > 40 * ATTEMPTS {
                    // One reason for all of it.
                    covered.refused.retain(|(owner, ..)| cases > 0 || owner != class_name);
                    covered
                        .refused
                        .push((class_name.into(), String::new(), String::new(), reason));
                    return;
                }
            }
        }
    }
}

/// Whether the model can be configured and built here.
fn runs(case: &ModelCase) -> Result<(), String> {
    let (model, _) = case.configured()?;
    let (_, device) = galaxy_burn_core::nn::device::available()
        .into_iter()
        .next()
        .ok_or("no backend")?;
    case.started(&model, &device)
        .map(|_| ())
        .map_err(|error| error.to_string())
}

/// The values that were seen already, and how often others were tried.
#[derive(Debug, Default)]
struct Open {
    seen: BTreeSet<(&'static str, String)>,
    tries: BTreeMap<(&'static str, String), usize>,
    failures: usize,
}

impl Open {
    /// Options with values not seen yet where there are any; `focus` takes only one such value and leaves out the rest.
    fn choose(
        &self,
        class_name: &'static str,
        options: &[OptionSpec],
        input: &[usize],
        focus: bool,
        draw: &mut Draw,
    ) -> Chosen {
        let mut chosen = Chosen::new(class_name, &[]);
        let mut open: Vec<(&'static str, Vec<String>)> = Vec::new();
        for option in options {
            let all = vocabulary::values(class_name, option, input).unwrap_or_default();
            let unseen: Vec<String> = all
                .iter()
                .filter(|value| !self.seen.contains(&(option.name, (*value).clone())))
                .cloned()
                .collect();
            let value = if !unseen.is_empty() && !focus && draw.chance(0.8) {
                Some(draw.pick(&unseen).clone())
            } else if option.required || (!focus && draw.chance(0.15)) {
                all.first().map(|_| draw.pick(&all).clone())
            } else {
                None
            };
            if !unseen.is_empty() {
                open.push((option.name, unseen));
            }
            if let Some(value) = value {
                chosen.options.push((option.name, value));
            }
        }
        if focus && !open.is_empty() {
            let (option, values) = draw.pick(&open).clone();
            let value = draw.pick(&values).clone();
            chosen = chosen.without(option);
            chosen.options.push((option, value));
            // The others are values that went well before.
            for (name, value) in &mut chosen.options {
                let before: Vec<&(&str, String)> = self.seen.iter().filter(|(known, _)| known == name).collect();
                if *name != option && !before.is_empty() {
                    value.clone_from(&draw.pick(&before).1);
                }
            }
        }
        chosen
    }

    fn news(&self, chosen: &Chosen) -> Vec<(&'static str, String)> {
        chosen
            .options
            .iter()
            .filter(|&option| !self.seen.contains(option))
            .cloned()
            .collect()
    }

    fn done(&mut self, chosen: &Chosen) {
        self.seen.extend(chosen.options.iter().cloned());
    }
}

/// The input with its channels where the layer wants them.
fn turned(chosen: &Chosen, mut input: Vec<usize>) -> Vec<usize> {
    if chosen.get("data_format") == Some("'channels_first'") && input.len() > 1 {
        let first = usize::from(chosen.class_name == "ConvLSTM2D");
        input[first..].rotate_right(1);
    }
    input
}

/// A model around a layer: often a dense layer before it, so that its input's gradient is looked at too, and behind it what a mask
/// needs to end.
fn around(chosen: Chosen, input: Vec<usize>, draw: &mut Draw) -> ModelCase {
    let ids = (reads(chosen.class_name) == Reads::Ids).then(|| {
        chosen
            .get("input_dim")
            .and_then(|value| value.parse().ok())
            .unwrap_or(5)
    });
    let mut layers = Vec::new();
    if ids.is_none() && chosen.class_name != "Masking" && draw.chance(0.6) {
        let units = input.last().copied().unwrap_or(1).to_string();
        layers.push(Chosen::new("Dense", &[("units", &units), ("activation", "'tanh'")]));
    }
    let masks = chosen.makes_mask();
    let stateful = chosen.get("stateful") == Some("True");
    // What walks through steps without a bound multiplies its rounding: it is led more slowly.
    let rate = if chosen.class_name == "ConvLSTM2D" { 0.01 } else { 0.05 };
    // The moving averages of few rows are far from their deviations: what is left of the gradient is rounding.
    let batch = *draw.pick(if chosen.class_name == "BatchNormalization" {
        &[5, 7]
    } else {
        &[1, 2, 3, 5]
    });
    let owners = vec![owner(&chosen)];
    layers.push(chosen);
    if masks {
        layers.push(Chosen::new("GRU", &[("units", "2")]));
    }
    if stateful {
        // The states are those of the rows of a batch, so its size has to be known.
        layers[0].options.push(("batch_size", batch.to_string()));
    }
    ModelCase {
        kind: "layers",
        owners,
        layers,
        input,
        graph: None,
        ids,
        batch,
        loss: Loss::MeanSquaredError,
        optimizer: ("SGD".into(), Map::from_iter([("lr".to_owned(), json!(rate))])),
        seed: draw.seed(),
        file: file(draw),
    }
}

fn owner(chosen: &Chosen) -> super::Owner {
    super::owner(
        chosen.class_name,
        chosen.options.iter().map(|(name, value)| (*name, value.as_str())),
    )
}

/// Random models of two to four layers, one behind the other: what layers make of each other's outputs, masks and gradients, and what
/// is computed together where it is faster so.
pub fn stacks(seed: u64, count: usize) -> Vec<ModelCase> {
    (0..count)
        .filter_map(|number| stack(&mut Draw::new(seed, &format!("stack {number}"))))
        .collect()
}

fn stack(draw: &mut Draw) -> Option<ModelCase> {
    let specs: Vec<_> = catalogue()
        .iter()
        .filter(|spec| spec.in_sequential() && !spec.layer_type.ends_with("Cell") && spec.group != "Noise")
        .collect();
    let first = draw.pick(&specs).layer_type;
    let input = draw_input(first, draw);
    let wanted = draw.between(2, 4);
    let mut case: Option<ModelCase> = None;
    for attempt in 0..60 {
        let length = case.as_ref().map_or(0, |case| case.layers.len());
        if length == wanted {
            break;
        }
        let spec = if length == 0 && attempt < 20 {
            spec(first)?
        } else {
            draw.pick(&specs)
        };
        let mut chosen = Open::default().choose(spec.layer_type, &vocabulary::options(spec), &input, false, draw);
        // Most options keep their defaults; noise and exponentials leave nothing to compare.
        chosen.options.retain(|(name, value)| {
            let required = vocabulary::options(spec)
                .iter()
                .any(|option| option.name == *name && option.required);
            required || (draw.chance(0.3) && *name != "stateful" && !value.contains("exponential"))
        });
        if chosen.is_noisy() {
            continue;
        }
        let mut longer = match &case {
            None => {
                let mut alone = around(chosen, input.clone(), draw);
                alone.kind = "stacks";
                alone.layers.retain(|layer| layer.class_name == spec.layer_type);
                alone
            }
            Some(case) => {
                let mut longer = case.clone();
                longer.owners.push(owner(&chosen));
                longer.layers.push(chosen);
                longer
            }
        };
        if longer
            .layers
            .iter()
            .any(|layer| layer.class_name == "BatchNormalization")
        {
            longer.batch = longer.batch.max(5);
        }
        longer.optimizer.1.insert("lr".to_owned(), json!(0.01));
        if runs(&longer).is_ok() {
            case = Some(longer);
        }
    }
    case.filter(|case| case.layers.len() > 1)
}
