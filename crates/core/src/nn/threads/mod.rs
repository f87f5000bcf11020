//! The threads that compute: one pool of `GALAXY_SLOTS` threads, denormals flushed to zero in each.
//!
//! Two rules hold for every kernel that runs here:
//!
//! - **Denormals are zero.** Gradients that vanish through hundreds of steps turn denormal, and a denormal operand costs a
//!   hundred cycles. Keras's engine flushes them as well.
//! - **The number of threads never shows in a result.** What is summed over is cut into parts whose size depends on the shapes alone,
//!   and partial sums are added in the parts' order. So the same seed gives the same bytes on one thread and on seven.

mod build;
mod denormals;
mod pieces;
mod scratch;
mod unset;

pub use self::build::{
    Zero, build, build_pair_unset, build_unset, each, each_of, group_rows, reduction_groups, sum_groups,
};
pub use self::denormals::{flush_denormals, with_flushed_denormals};
pub use self::pieces::{begun_in_order, even_pieces, in_order, share, spreads};
pub use self::scratch::{Aligned, Listed, begins_line, with_list, with_room, with_scratch};
pub use self::unset::Unset;

/// Multiply-adds below which a kernel runs on the calling thread: waking the pool costs some ten microseconds.
pub const WORTH_WAKING_THREADS: usize = 1 << 20;

/// What it costs in multiply-adds to read a value, do little with it and write it.
pub const COST_OF_A_VALUE: usize = 8;

/// Why the pool of threads could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ThreadError {
    /// The system refused the threads, or the pool exists already.
    #[error("cannot start {threads} computing threads: {source}; lower GALAXY_SLOTS, or start the pool only once")]
    Pool {
        /// How many threads were asked for.
        threads: usize,
        /// What rayon says.
        source: rayon::ThreadPoolBuildError,
    },
}

/// Starts the process's pool of `threads` threads and flushes denormals in them and in the calling thread.
///
/// # Errors
/// When the system refuses to start the threads, or when a pool was started before.
pub fn init(threads: usize) -> Result<(), ThreadError> {
    flush_denormals();
    builder(threads)
        .build_global()
        .map_err(|source| ThreadError::Pool { threads, source })
}

/// Runs a whole job on one of the process's computing threads: a kernel then begins at once, with what the last one left in that
/// thread's cache, instead of waking a thread and going to sleep.
pub fn on_pool<R: Send>(job: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| job())
}

/// A pool of its own beside the process's: kernels called in `pool.install(|| ...)` run on its threads.
///
/// # Errors
/// When the system refuses to start the threads.
pub fn pool(threads: usize) -> Result<rayon::ThreadPool, ThreadError> {
    builder(threads)
        .build()
        .map_err(|source| ThreadError::Pool { threads, source })
}

fn builder(threads: usize) -> rayon::ThreadPoolBuilder {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|index| format!("compute-{index}"))
        .start_handler(|_| flush_denormals())
}
