//! Burn's CPU tensors as plain slices: the only place, beside [`super::device`], that names a backend.

use std::borrow::Cow;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorData};

/// A backend whose float tensors lie in this process's memory.
pub trait Host: Backend {
    /// The tensor's values in row-major order: borrowed when they lie so, gathered otherwise.
    fn values(tensor: &FloatTensor<Self>) -> Cow<'_, [f32]>;
}

/// A tensor of `shape` that takes the vector over without copying it.
pub(super) fn tensor<B: Host>(values: Vec<f32>, shape: &[usize], device: &B::Device) -> FloatTensor<B> {
    B::float_from_data(TensorData::new(values, shape.to_vec()), device)
}

#[cfg(feature = "ndarray")]
#[expect(
    deprecated,
    reason = "deprecated upstream in favour of flex, which is behind its own feature"
)]
mod ndarray {
    use std::borrow::Cow;

    use burn::backend::NdArray;
    use burn::backend::ndarray::NdArrayTensor;
    use burn::backend::tensor::FloatTensor;

    impl super::Host for NdArray {
        fn values(tensor: &FloatTensor<Self>) -> Cow<'_, [f32]> {
            match tensor {
                NdArrayTensor::F32(storage) => {
                    let view = storage.view();
                    view.to_slice()
                        .map_or_else(|| view.iter().copied().collect(), Cow::Borrowed)
                }
                NdArrayTensor::F64(storage) => storage.view().iter().map(|&value| value as f32).collect(),
                // Integer and bool tensors are never handed to a float operation.
                _ => Cow::Borrowed(&[]),
            }
        }
    }
}

#[cfg(feature = "flex")]
mod flex {
    use std::borrow::Cow;

    use burn::backend::Flex;
    use burn::backend::tensor::FloatTensor;

    impl super::Host for Flex {
        fn values(tensor: &FloatTensor<Self>) -> Cow<'_, [f32]> {
            match tensor.as_slice::<f32>() {
                Some(values) => Cow::Borrowed(values),
                None => Cow::Owned(tensor.to_contiguous().as_slice::<f32>().unwrap_or_default().to_vec()),
            }
        }
    }
}
