//! The threads that compute: one pool of `GALAXY_SLOTS` threads, denormals flushed to zero in each.
//!
//! Two rules hold for every kernel that runs here:
//!
//! - **Denormals are zero.** Gradients that vanish through hundreds of steps turn denormal, and a denormal operand costs a
//!   hundred cycles. Keras's engine flushes them as well.
//! - **The number of threads never shows in a result.** Work is cut into chunks whose size depends on the shapes alone, and partial
//!   sums are added in the chunks' order. So the same seed gives the same bytes on one thread and on seven.

use std::cell::{Cell, RefCell};
use std::mem::MaybeUninit;
use std::thread::LocalKey;

use rayon::prelude::*;

use super::kernels::simd::Isa;

/// Multiply-adds below which a kernel runs on the calling thread: waking the pool costs some ten microseconds.
pub const WORTH_WAKING_THREADS: usize = 1 << 20;

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

thread_local! {
    /// Whether kernels called on this thread keep to it.
    static ALONE: Cell<bool> = const { Cell::new(false) };
    /// Whether they work on one of several pieces.
    static PIECE: Cell<bool> = const { Cell::new(false) };
}

/// Whether work of `cost` multiply-adds is worth to be spread over the pool's threads: not if it is little, and not inside a piece
/// of [`in_order`], whose other pieces keep the other threads busy.
#[must_use]
pub fn spreads(cost: usize) -> bool {
    cost >= WORTH_WAKING_THREADS && !ALONE.get()
}

/// Computes `count` pieces of work and hands each result to `take`, in the pieces' order.
///
/// Each piece is one thread's from beginning to end, with all kernels that it calls: the pool wakes once for all of them, and what
/// one kernel leaves in a core's cache is there for the next one. Too few pieces to keep the threads busy are computed one after
/// another instead, and their kernels spread. A piece's result must not hang on which of the two it was, which no kernel's does.
/// Kernels use the instruction set that is held on the calling thread.
///
/// # Errors
/// The first error of a piece in their order; later pieces may not have been computed then.
pub fn in_order<R: Send, E: Send>(
    count: usize,
    work: impl Fn(usize) -> Result<R, E> + Sync,
    mut take: impl FnMut(R),
) -> Result<(), E> {
    /// Pieces for each thread whose results wait to be taken.
    const WAITING: usize = 16;
    let threads = rayon::current_num_threads();
    let work = |piece| held(&PIECE, count > 1 || PIECE.get(), || work(piece));
    if ALONE.get() || !fills(count, threads) {
        return (0..count).try_for_each(|piece| work(piece).map(&mut take));
    }
    let isa = Isa::current();
    for first in (0..count).step_by(WAITING * threads) {
        let round = first..(first + WAITING * threads).min(count);
        let results: Vec<_> = round
            .into_par_iter()
            .with_max_len(1)
            .map(|piece| held(&ALONE, true, || isa.hold(|| work(piece))))
            .collect();
        results.into_iter().try_for_each(|result| result.map(&mut take))?;
    }
    Ok(())
}

/// Whether `count` pieces keep at least three quarters of some threads busy, and there is more than one.
fn fills(count: usize, threads: usize) -> bool {
    threads > 1 && 4 * count >= 3 * count.next_multiple_of(threads)
}

/// Runs `work` with a switch of this thread set, then puts it back.
fn held<R>(switch: &'static LocalKey<Cell<bool>>, on: bool, work: impl FnOnce() -> R) -> R {
    struct Restore(&'static LocalKey<Cell<bool>>, bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            self.0.set(self.1);
        }
    }
    let _restore = Restore(switch, switch.replace(on));
    work()
}

/// Calls `work` with all numbers below `count`, on the pool's threads when `cost`, the multiply-adds of the whole, is worth it.
pub fn each(count: usize, cost: usize, work: impl Fn(usize) + Sync) {
    if spreads(cost) {
        (0..count).into_par_iter().for_each(&work);
    } else {
        (0..count).for_each(&work);
    }
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

/// Makes the calling thread treat denormal operands as zero and write zero instead of denormal results, from now on.
pub fn flush_denormals() {
    control::set(control::get() | control::FLUSH);
}

/// Runs `work` with denormals flushed on the calling thread, then puts the thread back as it was.
pub fn with_flushed_denormals<R>(work: impl FnOnce() -> R) -> R {
    struct Restore(u64);
    impl Drop for Restore {
        fn drop(&mut self) {
            control::set(self.0);
        }
    }
    let _restore = Restore(control::get());
    flush_denormals();
    work()
}

/// Makes a vector of `len` values chunk by chunk: `work(index, chunk)` gets each chunk of `chunk_len` values zeroed.
///
/// The chunks run on the pool's threads when `cost`, the multiply-adds of the whole, is worth it. A chunk is zeroed by the thread
/// that fills it, just before: the memory is then in that core's cache, and a fresh page is mapped in parallel.
pub fn build<T: Zero>(len: usize, chunk_len: usize, cost: usize, work: impl Fn(usize, &mut [T]) + Sync) -> Vec<T> {
    let mut values = Vec::with_capacity(len);
    let spare = &mut values.spare_capacity_mut()[..len];
    let fill = |(index, chunk): (usize, &mut [MaybeUninit<T>])| work(index, zeroed(chunk));
    if spreads(cost) {
        spare.par_chunks_mut(chunk_len.max(1)).enumerate().for_each(fill);
    } else {
        spare.chunks_mut(chunk_len.max(1)).enumerate().for_each(fill);
    }
    // SAFETY: the chunks cover the first `len` values, and each was zeroed.
    unsafe { values.set_len(len) };
    values
}

/// [`build`] for two vectors that are filled together, such as maxima and where they were found.
///
/// # Panics
/// When the vectors have not the same number of chunks.
pub fn build_pair<T: Zero, U: Zero>(
    len: (usize, usize),
    chunk_len: (usize, usize),
    cost: usize,
    work: impl Fn(usize, &mut [T], &mut [U]) + Sync,
) -> (Vec<T>, Vec<U>) {
    let mut first = Vec::with_capacity(len.0);
    let mut second = Vec::with_capacity(len.1);
    let spare_first = &mut first.spare_capacity_mut()[..len.0];
    let spare_second = &mut second.spare_capacity_mut()[..len.1];
    let (chunk_first, chunk_second) = (chunk_len.0.max(1), chunk_len.1.max(1));
    assert_eq!(
        len.0.div_ceil(chunk_first),
        len.1.div_ceil(chunk_second),
        "both vectors have the same number of chunks"
    );
    let fill = |index, a, b| work(index, zeroed(a), zeroed(b));
    if spreads(cost) {
        spare_first
            .par_chunks_mut(chunk_first)
            .zip(spare_second.par_chunks_mut(chunk_second))
            .enumerate()
            .for_each(|(index, (a, b))| fill(index, a, b));
    } else {
        let chunks = spare_first
            .chunks_mut(chunk_first)
            .zip(spare_second.chunks_mut(chunk_second));
        chunks.enumerate().for_each(|(index, (a, b))| fill(index, a, b));
    }
    // SAFETY: both have the same number of chunks, so zip left none out; they cover both vectors, and each was zeroed.
    unsafe {
        first.set_len(len.0);
        second.set_len(len.1);
    }
    (first, second)
}

/// The sum of `groups` partial results of `len` values each, added in the groups' order: `work(group, partial)` adds into a zeroed
/// partial. `cost` is as in [`build`].
///
/// `groups` must follow from shapes alone, as it decides the order of summation: [`reduction_groups`] chooses it.
pub fn sum_groups(len: usize, groups: usize, cost: usize, work: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    /// Values whose partial results are added by one thread.
    const SUM_CHUNK: usize = 2048;
    if len == 0 {
        return Vec::new();
    }
    let mut partials = build(len * groups.max(1), len, cost, |group, partial| {
        if group < groups {
            work(group, partial);
        }
    });
    let (sum, rest) = partials.split_at_mut(len);
    let add = |(chunk, sum): (usize, &mut [f32])| {
        for partial in rest.chunks_exact(len) {
            for (total, value) in sum.iter_mut().zip(&partial[chunk * SUM_CHUNK..]) {
                *total += value;
            }
        }
    };
    if spreads(rest.len() * 4) {
        sum.par_chunks_mut(SUM_CHUNK).enumerate().for_each(add);
    } else {
        sum.chunks_mut(SUM_CHUNK).enumerate().for_each(add);
    }
    partials.truncate(len);
    partials
}

/// Into how many groups a reduction over `rows` rows with a result of `len` values is cut: enough to feed many threads, few enough
/// that the partial results stay below 16 MB together and are small beside what is summed. The pieces of [`in_order`] feed the threads
/// themselves, and are cut into fewer, on any number of threads.
#[must_use]
pub fn reduction_groups(rows: usize, len: usize) -> usize {
    const MOST_GROUPS: usize = 32;
    const MOST_VALUES: usize = 4 << 20;
    /// A group sums at least so many rows, as it has a result to zero and to add.
    const FEWEST_ROWS: usize = 4;
    const FEWEST_ROWS_OF_A_PIECE: usize = 16;
    let fewest = if PIECE.get() {
        FEWEST_ROWS_OF_A_PIECE
    } else {
        FEWEST_ROWS
    };
    (MOST_VALUES / len.max(1))
        .clamp(1, MOST_GROUPS)
        .min(rows.div_ceil(fewest).max(1))
}

/// The rows of group `group` of `groups`, as even as can be.
#[must_use]
pub fn group_rows(rows: usize, groups: usize, group: usize) -> std::ops::Range<usize> {
    rows * group / groups..rows * (group + 1) / groups
}

/// Lends `work` a thread's own buffer of `len` values, with whatever was left in it, beginning at a cache line: working memory grows
/// with the threads, never with the batch.
pub fn with_scratch<R>(len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    thread_local! {
        static SCRATCH: RefCell<Vec<Aligned>> = const { RefCell::new(Vec::new()) };
    }
    // Taken out while lent, so that nested loans get a buffer of their own.
    let mut buffer = SCRATCH.with_borrow_mut(Vec::pop).unwrap_or_default();
    if buffer.len() < len {
        buffer = Aligned::zeroed(len);
    }
    let result = work(&mut buffer[..len]);
    SCRATCH.with_borrow_mut(|buffers| buffers.push(buffer));
    result
}

/// Values that begin at a cache line: a vector of 64 bytes that straddles two lines takes twice the time to load.
#[derive(Default)]
pub struct Aligned {
    values: Vec<f32>,
    start: usize,
}

impl Aligned {
    /// `len` zeros.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        const LINE_BYTES: usize = 64;
        let mut values = vec![0.0; len + LINE_BYTES / size_of::<f32>()];
        let start = values
            .as_ptr()
            .align_offset(LINE_BYTES)
            .min(LINE_BYTES / size_of::<f32>());
        values.truncate(start + len);
        Self { values, start }
    }
}

impl std::ops::Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[self.start..]
    }
}

impl std::ops::DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[self.start..]
    }
}

/// Plain numbers, whose zero fills fresh memory.
pub trait Zero: Copy + Send + Sync {
    /// Zero.
    const ZERO: Self;
}

impl Zero for f32 {
    const ZERO: Self = 0.0;
}

impl Zero for u8 {
    const ZERO: Self = 0;
}

impl Zero for u32 {
    const ZERO: Self = 0;
}

/// Zeroes fresh memory, which makes it values.
fn zeroed<T: Zero>(fresh: &mut [MaybeUninit<T>]) -> &mut [T] {
    for value in fresh.iter_mut() {
        value.write(T::ZERO);
    }
    // SAFETY: every value has just been written, and `MaybeUninit<T>` lies in memory as `T` does.
    unsafe { &mut *(std::ptr::from_mut(fresh) as *mut [T]) }
}

/// The floating-point control register of a thread.
#[cfg(target_arch = "x86_64")]
mod control {
    use std::arch::asm;

    /// FTZ (bit 15) writes zero instead of a denormal, DAZ (bit 6) reads a denormal as zero.
    pub const FLUSH: u64 = 1 << 15 | 1 << 6;

    pub fn get() -> u64 {
        let mut register = 0_u32;
        // SAFETY: stores the 32 bits of MXCSR, a register that every x86-64 has, to a local variable.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut register, options(nostack, preserves_flags)) };
        u64::from(register)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "only what `get` returned and FLUSH come here: 32 bits"
    )]
    pub fn set(register: u64) {
        let register = register as u32;
        // SAFETY: sets MXCSR to a value that `get` returned, with FTZ and DAZ possibly added: valid bits on every x86-64. Rounding
        // and exceptions stay as they were.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const register, options(nostack, preserves_flags, readonly)) };
    }
}

/// The floating-point control register of a thread.
#[cfg(target_arch = "aarch64")]
mod control {
    use std::arch::asm;

    /// FZ (bit 24): denormal operands and results are zero.
    pub const FLUSH: u64 = 1 << 24;

    pub fn get() -> u64 {
        let register: u64;
        // SAFETY: reads FPCR, which every aarch64 has.
        unsafe { asm!("mrs {}, fpcr", out(reg) register, options(nomem, nostack, preserves_flags)) };
        register
    }

    pub fn set(register: u64) {
        // SAFETY: sets FPCR to a value that `get` returned, with FZ possibly added. Rounding and exceptions stay as they were.
        unsafe { asm!("msr fpcr, {}", in(reg) register, options(nomem, nostack, preserves_flags)) };
    }
}

/// Elsewhere denormals stay: slower, and no less right.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod control {
    pub const FLUSH: u64 = 0;

    pub fn get() -> u64 {
        0
    }

    pub fn set(_register: u64) {}
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::cast_precision_loss,
        clippy::float_cmp,
        reason = "small whole numbers, and sums that must be equal"
    )]

    use std::hint::black_box;

    use super::*;

    /// Half of the smallest normal number: denormal unless flushed.
    fn half_of_the_smallest_normal() -> f32 {
        black_box(f32::MIN_POSITIVE) * black_box(0.5)
    }

    #[test]
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    fn denormals_are_flushed_in_the_pool_and_only_there() {
        let pool = pool(3).unwrap();
        let flushed = pool.broadcast(|_| half_of_the_smallest_normal());
        assert_eq!(flushed, [0.0; 3]);
        assert!(half_of_the_smallest_normal() > 0.0);
    }

    #[test]
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    fn a_thread_is_put_back_as_it_was() {
        assert_eq!(with_flushed_denormals(half_of_the_smallest_normal), 0.0);
        assert!(half_of_the_smallest_normal() > 0.0);
    }

    #[test]
    fn chunks_are_built_in_place_and_the_last_may_be_short() {
        for cost in [0, WORTH_WAKING_THREADS] {
            let built: Vec<u32> = build(7, 3, cost, |index, chunk| {
                assert!(chunk.iter().all(|value| *value == 0));
                chunk.fill(u32::try_from(10 * index + chunk.len()).unwrap());
            });
            assert_eq!(built, [3, 3, 3, 13, 13, 13, 21]);
        }
    }

    #[test]
    fn sums_have_the_same_bytes_on_any_number_of_threads() {
        let sum = || {
            sum_groups(3, 20, WORTH_WAKING_THREADS, |group, partial| {
                for (index, value) in partial.iter_mut().enumerate() {
                    *value = 1.0 / (1.0 + (group * 3 + index) as f32);
                }
            })
        };
        let alone = pool(1).unwrap().install(sum);
        assert!((alone[0] - (0..20).map(|g| 1.0 / (1.0 + 3.0 * g as f32)).sum::<f32>()).abs() < 1e-6);
        for threads in [2, 7] {
            assert_eq!(pool(threads).unwrap().install(sum), alone);
        }
    }

    #[test]
    fn pieces_come_in_their_order_whether_each_has_a_thread_or_all_of_them() {
        for threads in [1, 2, 3, 7] {
            let (sums, taken) = pool(threads).unwrap().install(|| {
                let mut taken = Vec::new();
                let piece = |piece: usize| {
                    let sum = sum_groups(1, 9, WORTH_WAKING_THREADS, |group, sum| {
                        sum[0] += 1.0 / (1 + piece + group) as f32;
                    });
                    Ok::<_, String>((piece, sum[0]))
                };
                in_order(100, piece, |result| taken.push(result)).unwrap();
                (taken.iter().map(|(_, sum)| *sum).collect::<Vec<_>>(), taken)
            });
            assert!(taken.iter().map(|(piece, _)| *piece).eq(0..100));
            for (piece, sum) in sums.iter().enumerate() {
                let expected: f32 = (0..9).map(|group| 1.0 / (1 + piece + group) as f32).sum();
                assert_eq!(*sum, expected);
            }
        }
    }

    #[test]
    fn the_first_error_in_order_ends_the_pieces() {
        for threads in [1, 2] {
            let mut taken = Vec::new();
            let piece = |piece: usize| if piece % 4 == 3 { Err(piece) } else { Ok(piece) };
            let ended = pool(threads)
                .unwrap()
                .install(|| in_order(8, piece, |piece| taken.push(piece)));
            assert_eq!((ended, taken), (Err(3), vec![0, 1, 2]));
        }
    }

    #[test]
    fn kernels_inside_a_piece_keep_to_its_thread() {
        pool(2).unwrap().install(|| {
            assert!(spreads(WORTH_WAKING_THREADS) && !spreads(WORTH_WAKING_THREADS - 1));
            in_order(
                2,
                |_| Ok::<_, ()>(spreads(WORTH_WAKING_THREADS)),
                |spread| assert!(!spread),
            )
            .unwrap();
            in_order(
                1,
                |_| Ok::<_, ()>(spreads(WORTH_WAKING_THREADS)),
                |spread| assert!(spread),
            )
            .unwrap();
            assert!(spreads(WORTH_WAKING_THREADS));
        });
    }

    #[test]
    fn a_piece_is_summed_in_fewer_groups_on_any_number_of_threads() {
        for threads in [1, 2, 7] {
            let groups = |pieces: usize| {
                let mut groups = Vec::new();
                in_order(
                    pieces,
                    |_| Ok::<_, ()>(reduction_groups(32, 100)),
                    |of_piece| groups.push(of_piece),
                )
                .unwrap();
                groups
            };
            let groups = pool(threads).unwrap().install(|| (groups(1), groups(3)));
            assert_eq!(groups, (vec![8], vec![2; 3]));
        }
        assert_eq!(reduction_groups(32, 100), 8);
    }

    #[test]
    fn pieces_that_leave_threads_idle_are_spread_instead() {
        let filling: Vec<usize> = (0..10).filter(|&count| fills(count, 4)).collect();
        assert_eq!(filling, [0, 3, 4, 6, 7, 8, 9]);
        assert!(!fills(8, 1));
    }

    #[test]
    fn groups_cover_every_row_once() {
        for (rows, len) in [(1, 10), (31, 10), (500, 18_432), (7, 9_000_000)] {
            let groups = reduction_groups(rows, len);
            let covered: Vec<usize> = (0..groups).flat_map(|group| group_rows(rows, groups, group)).collect();
            assert_eq!(covered, (0..rows).collect::<Vec<_>>());
        }
    }

    #[test]
    fn aligned_values_begin_at_a_cache_line() {
        for len in [0, 1, 16, 1000] {
            let values = Aligned::zeroed(len);
            assert_eq!((values.len(), values.as_ptr().align_offset(64)), (len, 0));
        }
    }

    #[test]
    fn nested_scratch_is_separate() {
        with_scratch(4, |outer| {
            outer.fill(1.0);
            with_scratch(4, |inner| inner.fill(2.0));
            assert_eq!(outer, [1.0; 4]);
        });
    }
}
