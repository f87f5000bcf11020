//! The names that Keras gives to layers that have none: `dense_1`, `max_pooling2d_1`.

use std::collections::HashMap;

/// Counts layers per class, as Keras does within one run.
#[derive(Debug, Default)]
pub struct AutoNames {
    counts: HashMap<String, usize>,
}

impl AutoNames {
    /// The next automatic name for a layer of this class.
    pub fn next(&mut self, class_name: &str) -> String {
        let stem = snake_case(class_name);
        let count = self.counts.entry(stem.clone()).or_insert(0);
        *count += 1;
        format!("{stem}_{count}")
    }
}

/// Keras's snake case: `MaxPooling2D` is `max_pooling2d`, `SimpleRNN` is `simple_rnn`, `PReLU` is `p_re_lu`.
#[must_use]
pub fn snake_case(class_name: &str) -> String {
    let chars: Vec<char> = class_name.chars().collect();
    let mut name = String::new();
    let mut at = 0;
    while at < chars.len() {
        name.push(chars[at]);
        // A capital that is followed by small letters or digits starts a word; its letters cannot start another one.
        let word = chars[at + 1..]
            .iter()
            .skip(1)
            .take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
            .count();
        if chars.get(at + 1).is_some_and(char::is_ascii_uppercase) && word > 0 {
            name.push('_');
            name.extend(&chars[at + 1..at + 2 + word]);
            at += 1 + word;
        }
        at += 1;
    }
    // Small letter before capital: a word of capitals only, as in SimpleRNN.
    let mut separated = String::new();
    let mut before = '_';
    for c in name.chars() {
        if before.is_ascii_lowercase() && c.is_ascii_uppercase() {
            separated.push('_');
        }
        separated.push(c.to_ascii_lowercase());
        before = c;
    }
    separated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kerass() {
        // The stems of the automatic names in Keras 2.3.1.
        let cases = [
            ("Dense", "dense"),
            ("MaxPooling2D", "max_pooling2d"),
            ("Conv2DTranspose", "conv2d_transpose"),
            ("ConvLSTM2D", "conv_lst_m2d"),
            ("GlobalAveragePooling1D", "global_average_pooling1d"),
            ("SimpleRNN", "simple_rnn"),
            ("LSTM", "lstm"),
            ("GRU", "gru"),
            ("PReLU", "p_re_lu"),
            ("ReLU", "re_lu"),
            ("ELU", "elu"),
            ("LeakyReLU", "leaky_re_lu"),
            ("ThresholdedReLU", "thresholded_re_lu"),
            ("UpSampling1D", "up_sampling1d"),
            ("ZeroPadding2D", "zero_padding2d"),
            ("BatchNormalization", "batch_normalization"),
            ("CuDNNLSTM", "cu_dnnlstm"),
        ];
        for (class_name, expected) in cases {
            assert_eq!(snake_case(class_name), expected);
        }
    }

    #[test]
    fn each_class_counts_for_itself() {
        let mut names = AutoNames::default();
        let given = ["Dense", "Dropout", "Dense"].map(|class_name| names.next(class_name));
        assert_eq!(given, ["dense_1", "dropout_1", "dense_2"]);
    }
}
