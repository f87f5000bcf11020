//! Own kernels as operations on Burn's tape.
//!
//! A [`Kernel`] sees its inputs as plain slices and brings its own backward. [`apply`] runs it on Burn tensors: on a plain device it
//! computes only; on an autodiff device it leaves one entry on the tape, whatever the kernel does inside (a whole LSTM sequence is
//! one entry).
#![cfg_attr(
    feature = "ndarray",
    expect(deprecated, reason = "burn-ndarray is deprecated upstream in favour of flex")
)]

use std::any::Any;
use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients as Tape;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, DispatchTensor, TensorMetadata, backend_extension};

use super::host::{self, Host};
use crate::{Error, Result};

thread_local! {
    /// Burn's operations cannot fail, kernels can: the first error waits here for [`apply`] or [`check`] to return it. Burn runs
    /// operations and their backward on the thread that asks for them.
    static FAULT: RefCell<Option<Error>> = const { RefCell::new(None) };
}

fn fail(error: Error) {
    FAULT.with_borrow_mut(|fault| {
        fault.get_or_insert(error);
    });
}

/// Returns the error of a kernel's backward, if there was one since the last call.
///
/// # Errors
/// The error.
pub fn check() -> Result<()> {
    FAULT.with_borrow_mut(Option::take).map_or(Ok(()), Err)
}

/// What a kernel keeps between its forward and its backward.
pub type Saved = Arc<dyn Any + Send + Sync>;

/// The gradient of each input of a kernel that was asked for.
pub type Gradients = Vec<Option<Vec<f32>>>;

/// One input of a kernel: row-major values and their shape, the batch axis first.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The values, `shape.iter().product()` of them.
    pub values: &'a [f32],
    /// The shape, the batch axis (of activations) first.
    pub shape: &'a [usize],
}

/// What a kernel's forward hands back.
pub struct Output {
    /// The result's values in row-major order.
    pub values: Vec<f32>,
    /// The result's shape.
    pub shape: Vec<usize>,
    /// What the backward will want; only looked at when the forward was asked to save.
    pub saved: Saved,
}

impl Output {
    /// A result whose backward needs nothing but the inputs.
    #[must_use]
    pub fn new(values: Vec<f32>, shape: Vec<usize>) -> Self {
        Self {
            values,
            shape,
            saved: Arc::new(()),
        }
    }

    /// A result that keeps something for the backward.
    #[must_use]
    pub fn saving<S: Any + Send + Sync>(values: Vec<f32>, shape: Vec<usize>, saved: S) -> Self {
        Self {
            values,
            shape,
            saved: Arc::new(saved),
        }
    }
}

/// A computation with a hand-written gradient.
pub trait Kernel: Debug + Send + Sync {
    /// Computes the result. `save` says whether a backward may follow.
    ///
    /// # Errors
    /// When the values of an input are not what the kernel can work on.
    fn forward(&self, inputs: &[View<'_>], save: bool) -> Result<Output>;

    /// Whether the backward works from the forward's result, and so finds it behind the inputs: shared with the next layer, it need not
    /// be copied to be saved.
    fn wants_result(&self) -> bool {
        false
    }

    /// The gradients of the loss with respect to those inputs that `needs` marks, from the gradient `dy` with respect to the result.
    /// Entries that are not needed are `None`.
    ///
    /// # Errors
    /// When what the forward saved is not there.
    fn backward(&self, inputs: &[View<'_>], saved: &Saved, dy: View<'_>, needs: &[bool]) -> Result<Gradients>;
}

/// Runs a kernel on one to [`MOST_INPUTS`] tensors.
///
/// # Errors
/// When the kernel fails, or is given no input or more than [`MOST_INPUTS`].
pub fn apply(kernel: Arc<dyn Kernel>, inputs: Vec<DispatchTensor>) -> Result<DispatchTensor> {
    let mut inputs = inputs.into_iter();
    let mut next = || inputs.next();
    let output = match (next(), next(), next(), next(), next(), next(), next()) {
        (Some(a), None, ..) => Dispatch::kernel1(a, kernel),
        (Some(a), Some(b), None, ..) => Dispatch::kernel2(a, b, kernel),
        (Some(a), Some(b), Some(c), None, ..) => Dispatch::kernel3(a, b, c, kernel),
        (Some(a), Some(b), Some(c), Some(d), None, ..) => Dispatch::kernel4(a, b, c, d, kernel),
        (Some(a), Some(b), Some(c), Some(d), Some(e), None, _) => Dispatch::kernel5(a, b, c, d, e, kernel),
        (Some(a), Some(b), Some(c), Some(d), Some(e), Some(f), None) => Dispatch::kernel6(a, b, c, d, e, f, kernel),
        _ => return Err(Error::Internal(format!("a kernel takes one to {MOST_INPUTS} inputs"))),
    };
    check().map(|()| output)
}

/// The most inputs that a kernel may take (an LSTM that begins from given states: a sequence, three weights and two states).
pub const MOST_INPUTS: usize = 6;

/// The operations that [`apply`] dispatches to, one a number of inputs.
#[backend_extension(NdArray: cfg(feature = "ndarray"), Flex: cfg(feature = "flex"), Autodiff)]
pub(super) trait KernelOps: Backend {
    fn kernel1(a: FloatTensor<Self>, kernel: Arc<dyn Kernel>) -> FloatTensor<Self>;
    fn kernel2(a: FloatTensor<Self>, b: FloatTensor<Self>, kernel: Arc<dyn Kernel>) -> FloatTensor<Self>;
    fn kernel3(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        kernel: Arc<dyn Kernel>,
    ) -> FloatTensor<Self>;
    fn kernel4(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        kernel: Arc<dyn Kernel>,
    ) -> FloatTensor<Self>;
    fn kernel5(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        e: FloatTensor<Self>,
        kernel: Arc<dyn Kernel>,
    ) -> FloatTensor<Self>;
    fn kernel6(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        e: FloatTensor<Self>,
        f: FloatTensor<Self>,
        kernel: Arc<dyn Kernel>,
    ) -> FloatTensor<Self>;
}

macro_rules! kernel_operations {
    ($($name:ident($($input:ident),+) = $count:literal;)+) => {
        impl<B: Host> KernelOps for B {
            $(fn $name($($input: FloatTensor<Self>,)+ kernel: Arc<dyn Kernel>) -> FloatTensor<Self> {
                forward::<B>(kernel.as_ref(), &[$(&$input),+], false).0
            })+
        }

        impl<B: Host, C: CheckpointStrategy> KernelOps for Autodiff<B, C> {
            $(fn $name($($input: FloatTensor<Self>,)+ kernel: Arc<dyn Kernel>) -> FloatTensor<Self> {
                taped::<B, C, $count>(kernel, [$($input),+])
            })+
        }
    };
}

kernel_operations! {
    kernel1(a) = 1;
    kernel2(a, b) = 2;
    kernel3(a, b, c) = 3;
    kernel4(a, b, c, d) = 4;
    kernel5(a, b, c, d, e) = 5;
    kernel6(a, b, c, d, e, f) = 6;
}

fn shape_of<B: Host>(tensor: &FloatTensor<B>) -> Vec<usize> {
    tensor.shape().to_vec()
}

fn forward<B: Host>(kernel: &dyn Kernel, inputs: &[&FloatTensor<B>], save: bool) -> (FloatTensor<B>, Saved) {
    let device = inputs[0].device();
    let shapes: Vec<_> = inputs.iter().map(|input| shape_of::<B>(input)).collect();
    let values: Vec<Cow<'_, [f32]>> = inputs.iter().map(|input| B::values(input)).collect();
    let views: Vec<_> = values
        .iter()
        .zip(&shapes)
        .map(|(values, shape)| View { values, shape })
        .collect();
    let output = kernel.forward(&views, save).unwrap_or_else(|error| {
        fail(error);
        Output::new(Vec::new(), vec![0])
    });
    (host::tensor::<B>(output.values, &output.shape, &device), output.saved)
}

/// What the tape keeps of one application: the kernel, its inputs and what its forward saved.
#[derive(Clone, Debug)]
struct Step<P> {
    kernel: Arc<dyn Kernel>,
    /// And, if the kernel wants it, its result behind them.
    inputs: Vec<P>,
    saved: Saved,
}

fn taped<B: Host, C: CheckpointStrategy, const N: usize>(
    kernel: Arc<dyn Kernel>,
    inputs: [FloatTensor<Autodiff<B, C>>; N],
) -> FloatTensor<Autodiff<B, C>> {
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the tensor's type has no public name"
    )]
    let (nodes, inputs) = (
        inputs.each_ref().map(|input| input.node()),
        inputs.map(|input| input.into_primitive()),
    );
    match (KernelBackward::<N>).prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let (output, saved) = forward::<B>(kernel.as_ref(), &inputs.each_ref(), true);
            let mut inputs = Vec::from(inputs);
            if kernel.wants_result() {
                inputs.push(output.clone());
            }
            prepared.finish(Step { kernel, inputs, saved }, output)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(forward::<B>(kernel.as_ref(), &inputs.each_ref(), false).0),
    }
}

/// The tape entry of a kernel with `N` inputs.
#[derive(Debug)]
struct KernelBackward<const N: usize>;

impl<B: Host, const N: usize> Backward<B, N> for KernelBackward<N> {
    type State = Step<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Tape, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let device = dy.device();
        let needs: Vec<bool> = ops.parents.iter().map(Option::is_some).collect();
        let gradients = {
            let step = &ops.state;
            let shapes: Vec<_> = step.inputs.iter().map(shape_of::<B>).collect();
            let values: Vec<_> = step.inputs.iter().map(B::values).collect();
            let views: Vec<_> = values
                .iter()
                .zip(&shapes)
                .map(|(values, shape)| View { values, shape })
                .collect();
            let dy_shape = shape_of::<B>(&dy);
            let dy_values = B::values(&dy);
            let dy = View {
                values: &dy_values,
                shape: &dy_shape,
            };
            step.kernel
                .backward(&views, &step.saved, dy, &needs)
                .unwrap_or_else(|error| {
                    fail(error);
                    // The tape goes on with zeros; nobody will look at what comes of them.
                    values
                        .iter()
                        .zip(&needs)
                        .map(|(values, &need)| need.then(|| vec![0.0; values.len()]))
                        .collect()
                })
        };
        for ((parent, input), gradient) in ops.parents.into_iter().zip(&ops.state.inputs).zip(gradients) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<B>(parent.id, host::tensor::<B>(gradient, &shape_of::<B>(input), &device));
            }
        }
    }
}

/// A tensor's values, copied out in row-major order.
///
/// # Errors
/// When the backend cannot hand them out, which it always can.
pub fn values(tensor: &DispatchTensor) -> Result<Vec<f32>> {
    let plain = burn::tensor::Tensor::<1>::from_dispatch(tensor.clone()).inner();
    let seen = Arc::new(Mutex::default());
    apply(Arc::new(Read(Arc::clone(&seen))), vec![plain.into_dispatch()])?;
    Ok(std::mem::take(
        &mut *seen.lock().unwrap_or_else(PoisonError::into_inner),
    ))
}

/// Looks at its input. Burn's own way to a tensor's values copies a shared tensor value by value: ten times slower.
#[derive(Debug)]
struct Read(Arc<Mutex<Vec<f32>>>);

impl Kernel for Read {
    fn forward(&self, inputs: &[View<'_>], _: bool) -> Result<Output> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = inputs[0].values.to_vec();
        Ok(Output::new(vec![0.0], vec![1]))
    }

    fn backward(&self, _: &[View<'_>], _: &Saved, _: View<'_>, _: &[bool]) -> Result<Gradients> {
        Err(Error::Internal("looking at a tensor has no gradient".into()))
    }
}

/// The value of a tensor that holds one.
///
/// # Errors
/// When it cannot be read, or holds none.
pub fn scalar(tensor: &DispatchTensor) -> Result<f64> {
    let first = values(tensor)?.first().copied().map(f64::from);
    first.ok_or_else(|| Error::Internal("a tensor of one value is empty".into()))
}

/// What a kernel saved, as the type that it is.
///
/// # Errors
/// When it is of another type, which it never is.
pub fn saved_as<S: Any>(saved: &Saved) -> Result<&S> {
    saved
        .downcast_ref()
        .ok_or_else(|| Error::Internal("a kernel's backward found what another saved".into()))
}
