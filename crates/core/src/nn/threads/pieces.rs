//! Pieces of work, each of which is one thread's from beginning to end.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::LocalKey;

use rayon::prelude::*;

use super::{WORTH_WAKING_THREADS, group_rows};
use crate::nn::kernels::simd::Isa;

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

/// How many of `rows` rows, all of which cost `cost` multiply-adds, are one thread's share: all of them if the work does not spread.
#[must_use]
pub fn share(rows: usize, cost: usize) -> usize {
    if spreads(cost) {
        rows.div_ceil(rayon::current_num_threads())
    } else {
        rows
    }
}

/// Whether the calling thread works on one of several pieces of [`in_order`].
pub(super) fn is_piece() -> bool {
    PIECE.get()
}

/// Computes `count` pieces of work and hands each result to `take`, in the pieces' order, on whichever thread it is its turn.
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
    mut take: impl FnMut(R) + Send,
) -> Result<(), E> {
    /// Pieces for each thread whose results may wait to be taken.
    const WAITING: usize = 16;
    let threads = rayon::current_num_threads();
    let work = |piece| held(&PIECE, count > 1 || PIECE.get(), || work(piece));
    if ALONE.get() || !fills(count, threads) {
        return (0..count).try_for_each(|piece| work(piece).map(&mut take));
    }
    let isa = Isa::current();
    for first in (0..count).step_by(WAITING * threads) {
        let last = (first + WAITING * threads).min(count);
        let claimed = AtomicUsize::new(first);
        let queue = Mutex::new(Queue {
            next: first,
            waiting: BTreeMap::new(),
            take: &mut take,
            failed: None,
        });
        rayon::broadcast(|_| {
            // Begun in their order by whichever thread is free: few results wait, and no thread has others of its own to come to.
            loop {
                let piece = claimed.fetch_add(1, Ordering::Relaxed);
                if piece >= last {
                    return;
                }
                let result = held(&ALONE, true, || isa.hold(|| work(piece)));
                let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
                queue.arrived(piece, result);
                if queue.failed.is_some() {
                    return;
                }
            }
        });
        let queue = queue.into_inner().unwrap_or_else(PoisonError::into_inner);
        queue.failed.map_or(Ok(()), Err)?;
    }
    Ok(())
}

/// Computes work on each of `items`, and gives back the results in the items' order.
///
/// Items are begun in their order, each by the next thread that is free. If the largest are first, all threads come to an end at
/// nearly the same time; dealt out beforehand, some would wait for the one that was dealt more.
pub fn begun_in_order<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let threads = rayon::current_num_threads().min(items.len());
    if threads <= 1 {
        return items.into_iter().map(work).collect();
    }
    let left = Mutex::new(items.into_iter().enumerate());
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
    let one_thread = |_| -> Vec<(usize, R)> {
        std::iter::from_fn(next)
            .map(|(index, item)| (index, work(item)))
            .collect()
    };
    let mut done: Vec<(usize, R)> = (0..threads)
        .into_par_iter()
        .with_max_len(1)
        .flat_map_iter(one_thread)
        .collect();
    done.sort_unstable_by_key(|&(index, _)| index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Results on their way to `take`, which wait for those of the pieces before theirs.
struct Queue<'a, R, E, T> {
    next: usize,
    waiting: BTreeMap<usize, Result<R, E>>,
    take: &'a mut T,
    failed: Option<E>,
}

impl<R, E, T: FnMut(R)> Queue<'_, R, E, T> {
    /// Takes this result and those that waited for it, up to an error.
    fn arrived(&mut self, piece: usize, result: Result<R, E>) {
        self.waiting.insert(piece, result);
        while self.failed.is_none()
            && let Some(result) = self.waiting.remove(&self.next)
        {
            self.next += 1;
            match result {
                Ok(result) => (self.take)(result),
                Err(error) => self.failed = Some(error),
            }
        }
    }
}

/// Cuts `rows` rows into pieces of at most `most`: an even number, as threads mostly are, and as alike as can be, so that no thread
/// waits long for another's last piece. One piece is not cut for that.
#[must_use]
pub fn even_pieces(rows: usize, most: usize) -> Vec<Range<usize>> {
    let count = match rows.div_ceil(most.max(1)) {
        1 => 1,
        count => count.next_multiple_of(2),
    };
    (0..count).map(|piece| group_rows(rows, count, piece)).collect()
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

#[cfg(test)]
mod tests {
    #![allow(
        clippy::cast_precision_loss,
        clippy::float_cmp,
        reason = "small whole numbers, and sums that must be equal"
    )]

    use super::super::{pool, reduction_groups, sum_groups};
    use super::*;

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
    fn results_come_in_the_order_of_the_items_whichever_thread_is_free() {
        for threads in [1, 2, 7] {
            pool(threads).unwrap().install(|| {
                for count in [0, 1, 5, 100] {
                    let mut numbers = vec![0; count];
                    let items: Vec<(usize, &mut usize)> = numbers.iter_mut().enumerate().collect();
                    let results = begun_in_order(items, |(index, number)| {
                        *number = index * index;
                        index
                    });
                    assert!(results.into_iter().eq(0..count));
                    assert!(numbers.into_iter().eq((0..count).map(|index| index * index)));
                }
            });
        }
    }

    #[test]
    fn a_thread_that_is_free_takes_what_another_is_too_busy_for() {
        pool(2).unwrap().install(|| {
            // The first item ends only when all others have been computed.
            let others = AtomicUsize::new(0);
            begun_in_order((0..9).collect(), |item| {
                if item == 0 {
                    while others.load(Ordering::Relaxed) < 8 {
                        std::thread::yield_now();
                    }
                } else {
                    others.fetch_add(1, Ordering::Relaxed);
                }
            });
        });
    }

    #[test]
    fn threads_share_rows_where_work_spreads() {
        pool(3).unwrap().install(|| {
            assert_eq!(share(16, WORTH_WAKING_THREADS), 6);
            assert_eq!(share(16, WORTH_WAKING_THREADS - 1), 16);
            in_order(
                3,
                |_| Ok::<_, String>(share(16, WORTH_WAKING_THREADS)),
                |rows| assert_eq!(rows, 16),
            )
            .unwrap();
        });
    }

    #[test]
    fn pieces_are_even_in_number_and_alike_in_size() {
        assert_eq!(even_pieces(7, 3), [0..1, 1..3, 3..5, 5..7]);
        assert_eq!(even_pieces(3, 3).len(), 1);
        assert_eq!(even_pieces(4, 3), [0..2, 2..4]);
        assert!(even_pieces(0, 3).is_empty());
        let of_digits: Vec<usize> = even_pieces(500, 34).into_iter().map(|piece| piece.len()).collect();
        assert_eq!(of_digits.len(), 16);
        assert!(of_digits.iter().all(|rows| (31..=32).contains(rows)), "{of_digits:?}");
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
}
