//! One layer with its options: how it is drawn, and how the form and Python spell it.

use galaxy_burn_core::keras::constraint::Constraint;
use galaxy_burn_core::keras::field::Field;
use galaxy_burn_core::keras::layers::{FormKind, LayerSpec, catalogue};
use serde_json::{Map, Value, json};

use crate::random::Draw;
use crate::vocabulary::axes;

/// A layer with the options that are given, each as Python text.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// Keras's class name.
    pub class_name: &'static str,
    /// Option and value, in the catalogue's order.
    pub options: Vec<(&'static str, String)>,
}

/// What the catalogue says of a layer, if it has it.
pub fn spec(class_name: &str) -> Option<&'static LayerSpec> {
    catalogue().iter().find(|spec| spec.layer_type == class_name)
}

impl Chosen {
    /// A layer by its class and options; a name that the catalogue does not have stays as it is and is refused later.
    pub fn new(class_name: &'static str, options: &[(&'static str, &str)]) -> Self {
        let options = options.iter().map(|&(name, value)| (name, value.to_owned())).collect();
        Self { class_name, options }
    }

    /// The value of an option, if it is given.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.options.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The same without one option.
    pub fn without(&self, name: &str) -> Self {
        let mut smaller = self.clone();
        smaller.options.retain(|(known, _)| *known != name);
        smaller
    }

    /// As the form sends it: `{"layer_selection": {"layer_type": "Dense", "units": "3", "kwargs": "use_bias=False"}}`.
    pub fn to_form(&self) -> Value {
        let form = spec(self.class_name)
            .map(|spec| spec.form.as_slice())
            .unwrap_or_default();
        let mut fields = Map::new();
        fields.insert("layer_type".into(), self.class_name.into());
        for field in form {
            let default = field.default.clone().unwrap_or_default();
            let text = self
                .get(field.name)
                .map_or(default, |value| value.trim_matches('\'').to_owned());
            let value = if field.kind == FormKind::Constraint {
                constraint(&text)
            } else {
                text.into()
            };
            fields.insert(field.name.into(), value);
        }
        let keywords: Vec<String> = self
            .options
            .iter()
            .filter(|(name, _)| form.iter().all(|field| field.name != *name))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !keywords.is_empty() {
            fields.insert("kwargs".into(), keywords.join(", ").into());
        }
        Value::Object(Map::from_iter([("layer_selection".to_owned(), Value::Object(fields))]))
    }

    /// As one writes it in Python: `Dense(units=3, use_bias=False)`.
    pub fn to_python(&self) -> String {
        let options: Vec<String> = self
            .options
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        format!("{}({})", self.class_name, options.join(", "))
    }

    /// Whether training draws random numbers for it.
    pub fn is_noisy(&self) -> bool {
        let noisy = ["rate", "dropout", "recurrent_dropout", "stddev"];
        noisy
            .iter()
            .any(|name| self.get(name).is_some_and(|value| value != "0.0"))
    }

    /// Whether it says which steps count.
    pub fn makes_mask(&self) -> bool {
        self.class_name == "Masking" || self.get("mask_zero") == Some("True")
    }
}

/// A constraint as its group of fields: its kind, and its parameters.
fn constraint(text: &str) -> Value {
    let written = Constraint::from_text(text).map(|constraint| constraint.to_json());
    match written {
        Ok(written) => json!({"constraint_type": written["class_name"], "constraint_options": written["config"]}),
        Err(_) => json!({"constraint_type": "None"}),
    }
}

/// What a layer reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Rows of numbers with this many axes.
    Numbers {
        /// The number of axes, without the batch.
        rank: usize,
    },
    /// Rows of numbers with one to three axes.
    Any,
    /// Whole numbers.
    Ids,
}

/// What a layer reads, by its name.
pub fn reads(class_name: &str) -> Reads {
    match class_name {
        "Embedding" => Reads::Ids,
        "RepeatVector" => Reads::Numbers { rank: 1 },
        "Permute" => Reads::Numbers { rank: 3 },
        "ConvLSTM2D" => Reads::Numbers { rank: 4 },
        "Masking" | "SimpleRNN" | "GRU" | "LSTM" | "CuDNNGRU" | "CuDNNLSTM" => Reads::Numbers { rank: 2 },
        name if name.contains("1D") || name.contains("2D") || name.contains("3D") => {
            Reads::Numbers { rank: axes(name) + 1 }
        }
        _ => Reads::Any,
    }
}

/// A shape of `rank` axes that a layer can be given: odd sizes, few channels.
pub fn draw_shape(rank: usize, draw: &mut Draw) -> Vec<usize> {
    let sizes: &[usize] = match rank {
        1 => &[1, 2, 3, 5, 7],
        2 | 3 => &[4, 5, 6, 7],
        _ => &[3, 4, 5],
    };
    let mut shape: Vec<usize> = (1..rank).map(|_| *draw.pick(sizes)).collect();
    shape.push(*draw.pick(if rank == 1 { sizes } else { &[1, 2, 3, 5] }));
    shape
}

/// The shape of one row of input for a layer; `channels_first` turns it round.
pub fn draw_input(class_name: &str, draw: &mut Draw) -> Vec<usize> {
    match reads(class_name) {
        Reads::Ids => vec![draw.between(2, 7)],
        Reads::Any => {
            let rank = draw.between(1, 3);
            draw_shape(rank, draw)
        }
        Reads::Numbers { rank } => draw_shape(rank, draw),
    }
}

/// Shapes of each rank that a layer may be given.
#[cfg(test)]
pub fn input_shapes(class_name: &str) -> Vec<Vec<usize>> {
    let mut draw = Draw::new(1, class_name);
    match reads(class_name) {
        Reads::Ids => vec![vec![5]],
        Reads::Any => (1..=3).map(|rank| draw_shape(rank, &mut draw)).collect(),
        Reads::Numbers { rank } => vec![draw_shape(rank, &mut draw)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_spelt_for_the_form_and_for_python() {
        let layer = Chosen::new(
            "Dense",
            &[("units", "3"), ("activation", "'tanh'"), ("use_bias", "False")],
        );
        assert_eq!(
            layer.to_form().to_string(),
            "{\"layer_selection\":{\"layer_type\":\"Dense\",\"units\":\"3\",\"activation\":\"tanh\",\"kwargs\":\"use_bias=False\"}}"
        );
        assert_eq!(layer.to_python(), "Dense(units=3, activation='tanh', use_bias=False)");
        assert_eq!(
            layer.without("use_bias").to_python(),
            "Dense(units=3, activation='tanh')"
        );
    }

    #[test]
    fn noise_and_masks_are_known() {
        assert!(Chosen::new("LSTM", &[("units", "1"), ("dropout", "0.3")]).is_noisy());
        assert!(!Chosen::new("Dropout", &[("rate", "0.0")]).is_noisy());
        assert!(Chosen::new("Embedding", &[("mask_zero", "True")]).makes_mask());
    }
}
