//! How the weights of `CuDNNGRU` and `CuDNNLSTM` are kept.
//!
//! cuDNN wants the matrix of a gate as `[units, inputs]`. Keras makes it as `[inputs, units]` and hands its numbers over in their order,
//! without turning it, so that they mean another matrix than their shape says. `load_weights` of Keras turns them when one kind of layer
//! reads the other's file (`_convert_rnn_weights`); the numbers of a file with cuDNN's layers are therefore read here as cuDNN reads them.

/// The weights of a layer for graphics cards, against those of the plain layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packing {
    /// Whether the bias comes in two parts of which the sum counts (`CuDNNLSTM`): one for the input, one for the state.
    pub adds_biases: bool,
}

/// For each number of a plain kernel `[inputs, gates * units]` in its order, where cuDNN's has it.
fn places(len: usize, inputs: usize, units: usize) -> impl Iterator<Item = usize> {
    let width = len / inputs.max(1);
    (0..len).map(move |at| {
        let (input, column) = (at / width, at % width);
        let (gate, unit) = (column / units, column % units);
        let within = unit * inputs + input;
        within / units * width + gate * units + within % units
    })
}

/// The kernel `[inputs, gates * units]` of the plain layer.
pub(super) fn plain_kernel(packed: &[f32], inputs: usize, units: usize) -> Vec<f32> {
    places(packed.len(), inputs, units).map(|place| packed[place]).collect()
}

/// The way back: what was computed for a plain kernel, as the packed one has it.
pub(super) fn packed_kernel(plain: &[f32], inputs: usize, units: usize) -> Vec<f32> {
    let mut packed = vec![0.0; plain.len()];
    for (value, place) in plain.iter().zip(places(plain.len(), inputs, units)) {
        packed[place] = *value;
    }
    packed
}

impl Packing {
    /// The bias of the plain layer.
    pub(super) fn plain_bias(self, packed: &[f32]) -> Vec<f32> {
        if !self.adds_biases {
            return packed.to_vec();
        }
        let (input, state) = packed.split_at(packed.len() / 2);
        input.iter().zip(state).map(|(input, state)| input + state).collect()
    }

    /// The gradient of the packed bias from that of the plain one.
    pub(super) fn bias_gradient(self, plain: Vec<f32>) -> Vec<f32> {
        if self.adds_biases { plain.repeat(2) } else { plain }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_of_graphics_cards_are_turned_gate_by_gate() {
        // Two gates of 3 units over 2 inputs. Keras's `transpose_input` shows the first: [[0, 1, 2], [3, 4, 5]] is [[0, 2, 4], [1, 3, 5]].
        let packed = [0., 1., 2., 10., 11., 12., 3., 4., 5., 13., 14., 15.];
        let plain = plain_kernel(&packed, 2, 3);
        assert_eq!(plain, [0., 2., 4., 10., 12., 14., 1., 3., 5., 11., 13., 15.]);
        assert_eq!(packed_kernel(&plain, 2, 3), packed);
        // A recurrent kernel is transposed.
        assert_eq!(plain_kernel(&[1., 2., 3., 4.], 2, 2), [1., 3., 2., 4.]);
    }

    #[test]
    fn both_parts_of_a_bias_count_and_have_the_same_gradient() {
        let packing = Packing { adds_biases: true };
        assert_eq!(packing.plain_bias(&[1., 2., 3., 4.]), [4., 6.]);
        assert_eq!(packing.bias_gradient(vec![1., 2.]), [1., 2., 1., 2.]);
        let packing = Packing { adds_biases: false };
        assert_eq!(packing.plain_bias(&[1., 2., 3., 4.]), [1., 2., 3., 4.]);
    }
}
