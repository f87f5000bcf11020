//! Whether a job fits into the memory that Galaxy grants it: asked before training, so that nobody waits an hour for a job that will
//! be killed.

use crate::nn::network::Network;
use crate::train::samples::Samples;
use crate::{Error, Result};

/// The program itself, its threads and their buffers.
const PROGRAM: usize = 16 << 20;

/// What training takes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Estimate {
    table: usize,
    weights: usize,
    batch: usize,
}

impl Estimate {
    fn new(network: &Network, samples: &Samples, batch_rows: usize) -> Self {
        Self {
            table: (samples.x.len() + samples.truth.len()).saturating_mul(size_of::<f32>()),
            weights: network.weight_bytes(true),
            batch: network.batch_bytes(batch_rows, true),
        }
    }

    fn total(self) -> usize {
        [self.table, self.weights, self.batch]
            .into_iter()
            .fold(PROGRAM, usize::saturating_add)
    }
}

/// Refuses a job that would take more than `granted` MB, `GALAXY_MEMORY_MB` that is.
///
/// # Errors
/// It would: the message gives the estimate and its parts, and the batch size that would fit.
pub(super) fn check(
    network: &Network,
    samples: &Samples,
    training_rows: usize,
    batch_size: usize,
    granted: Option<u64>,
) -> Result<()> {
    let Some(granted) = granted else {
        return Ok(());
    };
    let granted_bytes = usize::try_from(granted).unwrap_or(usize::MAX).saturating_mul(1 << 20);
    let rows = batch_size.min(training_rows.max(1));
    let estimate = Estimate::new(network, samples, rows);
    if estimate.total() <= granted_bytes {
        return Ok(());
    }
    let fits = |rows: &usize| Estimate::new(network, samples, *rows).total() <= granted_bytes;
    let smaller = std::iter::successors(Some(rows / 2), |rows| Some(rows / 2))
        .take_while(|rows| *rows > 0)
        .find(fits);
    let instead = match smaller {
        Some(rows) => format!("create the model with a batch_size of {rows} or less"),
        None => "use fewer columns or a smaller model".to_owned(),
    };
    let mb = |bytes: usize| bytes.div_ceil(1 << 20);
    Err(Error::Input(format!(
        "training would take about {} MB of memory, but this job may use {granted} MB (GALAXY_MEMORY_MB): the table {} MB, weights \
         and what the optimizer keeps of them {} MB, one batch of {rows} rows {} MB; {instead}, or ask your Galaxy's administrator \
         for more memory",
        mb(estimate.total()),
        mb(estimate.table),
        mb(estimate.weights),
        mb(estimate.batch)
    )))
}
