//! The form of Deep learning training and evaluation, as Galaxy writes it.

use serde::Deserialize;

use crate::galaxy::inputs::{
    DatasetPath, FeaturesInput, GroupsInput, MultiSelect, OptionalInteger, OptionalNumber, TargetsInput, Text,
};

#[derive(Debug, Deserialize)]
pub(super) struct Form {
    pub experiment_schemes: Scheme,
    pub input_options: InputOptions,
    #[serde(default)]
    pub save: MultiSelect,
}

#[derive(Debug, Deserialize)]
#[serde(rename = "selected_exp_scheme", rename_all = "snake_case")]
pub(super) enum Scheme {
    TrainVal(Box<TrainVal>),
    TrainValTest(Box<TrainVal>),
}

#[derive(Debug, Deserialize)]
pub(super) struct TrainVal {
    #[serde(default)]
    pub infile_estimator: DatasetPath,
    #[serde(default)]
    pub hyperparams_swapping: HyperparamsSwapping,
    pub test_split: TestSplit,
    /// Only of the scheme with three parts.
    #[serde(default)]
    pub val_split: Option<ValSplit>,
    #[serde(default)]
    pub metrics: Metrics,
}

#[derive(Debug, Deserialize)]
pub(super) struct ValSplit {
    pub split_algos: ValSplitAlgos,
}

/// As [`SplitAlgos`], but groups are those of the test holdout.
#[derive(Debug, Deserialize)]
#[serde(rename = "shuffle", rename_all = "snake_case")]
pub(super) enum ValSplitAlgos {
    #[serde(rename = "None")]
    None {
        #[serde(default)]
        test_size: OptionalNumber,
    },
    Simple {
        #[serde(default)]
        test_size: OptionalNumber,
        #[serde(default)]
        random_state: OptionalInteger,
    },
    Stratified {
        #[serde(default)]
        test_size: OptionalNumber,
        #[serde(default)]
        random_state: OptionalInteger,
    },
    Group {
        #[serde(default)]
        test_size: OptionalNumber,
        #[serde(default)]
        random_state: OptionalInteger,
        #[serde(default)]
        group_names: Text,
    },
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct HyperparamsSwapping {
    #[serde(default)]
    pub param_set: Vec<ParamSet>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ParamSet {
    #[serde(default)]
    pub sp_name: Text,
    #[serde(default)]
    pub sp_value: Text,
}

#[derive(Debug, Deserialize)]
pub(super) struct TestSplit {
    pub split_algos: SplitAlgos,
}

#[derive(Debug, Deserialize)]
#[serde(rename = "shuffle", rename_all = "snake_case")]
pub(super) enum SplitAlgos {
    #[serde(rename = "None")]
    None {
        #[serde(default)]
        test_size: OptionalNumber,
    },
    Simple {
        #[serde(default)]
        test_size: OptionalNumber,
        #[serde(default)]
        random_state: OptionalInteger,
    },
    Stratified {
        #[serde(default)]
        test_size: OptionalNumber,
        #[serde(default)]
        random_state: OptionalInteger,
    },
    Group {
        #[serde(default)]
        test_size: OptionalNumber,
        #[serde(default)]
        random_state: OptionalInteger,
        #[serde(default)]
        group_names: Text,
        groups_selector: GroupsInput,
    },
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Metrics {
    #[serde(default)]
    pub scoring: Scoring,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Scoring {
    #[serde(default)]
    pub primary_scoring: Text,
    #[serde(default)]
    pub secondary_scoring: MultiSelect,
}

#[derive(Debug, Deserialize)]
#[serde(rename = "selected_input", rename_all = "snake_case")]
pub(super) enum InputOptions {
    Tabular(Tabular),
    Sparse,
    SeqFasta,
    RefseqAndInterval,
}

#[derive(Debug, Deserialize)]
pub(super) struct Tabular {
    #[serde(flatten)]
    pub features: FeaturesInput,
    #[serde(flatten)]
    pub targets: TargetsInput,
}
