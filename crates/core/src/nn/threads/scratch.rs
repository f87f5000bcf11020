//! Working memory that is a thread's own.

use std::cell::RefCell;

use super::build::fill;
use super::unset::Unset;

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

/// Lends `work` a thread's own empty list, with the room that it has grown to: what is listed row by row costs no visit to the allocator,
/// where threads wait for each other.
pub fn with_list<T: Listed, R>(work: impl FnOnce(&mut Vec<T>) -> R) -> R {
    with_kept(|list| {
        list.clear();
        work(list)
    })
}

/// Lends `work` `len` entries of a thread's own list, with whatever was left in them.
pub fn with_room<T: Listed + Clone + Default, R>(len: usize, work: impl FnOnce(&mut [T]) -> R) -> R {
    with_kept(|list| {
        if list.len() < len {
            list.resize(len, T::default());
        }
        work(&mut list[..len])
    })
}

/// Lends `work` a thread's own list as it was left.
fn with_kept<T: Listed, R>(work: impl FnOnce(&mut Vec<T>) -> R) -> R {
    // Taken out while lent, as above.
    let mut list = T::kept(|lists| lists.borrow_mut().pop()).unwrap_or_default();
    let result = work(&mut list);
    T::kept(|lists| lists.borrow_mut().push(list));
    result
}

/// What lists are lent of: `listed!` makes it so.
pub trait Listed: Sized {
    /// Calls `work` with the thread's lists that are not lent.
    fn kept<R>(work: impl FnOnce(&RefCell<Vec<Vec<Self>>>) -> R) -> R;
}

/// Makes a type one of which each thread keeps lists.
macro_rules! listed {
    ($of:ty) => {
        impl $crate::nn::threads::Listed for $of {
            fn kept<R>(work: impl FnOnce(&std::cell::RefCell<Vec<Vec<Self>>>) -> R) -> R {
                thread_local! {
                    static LISTS: std::cell::RefCell<Vec<Vec<$of>>> = const { std::cell::RefCell::new(Vec::new()) };
                }
                LISTS.with(work)
            }
        }
    };
}

listed!(bool);
listed!(u8);
listed!(u16);
listed!(u64);
listed!(usize);

/// Values that begin at a cache line: a vector of 64 bytes that straddles two lines takes twice the time to load.
#[derive(Debug, Default)]
pub struct Aligned {
    values: Vec<f32>,
    start: usize,
}

impl Aligned {
    /// `len` zeros.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        let mut values = vec![0.0; len + LINE];
        let start = line_start(values.as_ptr());
        values.truncate(start + len);
        Self { values, start }
    }

    /// `len` values that are made chunk by chunk, on the pool's threads when `cost`, the multiply-adds of the whole, is worth it.
    ///
    /// # Safety
    /// `work` writes every value of its chunk.
    pub unsafe fn build_unset(
        len: usize,
        chunk_len: usize,
        cost: usize,
        work: impl Fn(usize, Unset<'_, f32>) + Sync,
    ) -> Self {
        let mut built = Self::with_room(len);
        fill(built.room(len), chunk_len, cost, work);
        // SAFETY: `work` wrote each value.
        unsafe { built.set_len(len) };
        built
    }

    /// None yet, and room for `len` values.
    #[must_use]
    pub fn with_room(len: usize) -> Self {
        let mut values = Vec::with_capacity(len + LINE);
        let start = line_start(values.as_ptr());
        values.resize(start, 0.0);
        Self { values, start }
    }

    /// The room that [`Self::with_room`] has made.
    ///
    /// # Panics
    /// When it is smaller.
    pub fn room(&mut self, len: usize) -> Unset<'_, f32> {
        Unset::room_of(&mut self.values, len)
    }

    /// Makes the first `len` values of the room values.
    ///
    /// # Safety
    /// They have been written.
    pub unsafe fn set_len(&mut self, len: usize) {
        // SAFETY: as the caller says; those before `start` are there.
        unsafe { self.values.set_len(self.start + len) };
    }
}

/// Whether these values begin at a cache line.
#[must_use]
pub fn begins_line(values: &[f32]) -> bool {
    line_start(values.as_ptr()) == 0
}

/// Values of a cache line.
const LINE: usize = 64 / size_of::<f32>();

/// The first of these values that begins at a cache line.
fn line_start(values: *const f32) -> usize {
    values.align_offset(LINE * size_of::<f32>()).min(LINE)
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

#[cfg(test)]
mod tests {
    use super::super::WORTH_WAKING_THREADS;
    use super::*;

    #[test]
    fn aligned_values_begin_at_a_cache_line() {
        for len in [0, 1, 16, 1000] {
            let values = Aligned::zeroed(len);
            assert_eq!((values.len(), values.as_ptr().align_offset(64)), (len, 0));
            // SAFETY: each chunk is written.
            let built = unsafe {
                Aligned::build_unset(len, 7, WORTH_WAKING_THREADS, |index, mut chunk| {
                    let first = u16::try_from(7 * index).unwrap();
                    chunk.write((first..).map(f32::from));
                })
            };
            assert_eq!((built.len(), built.as_ptr().align_offset(64)), (len, 0));
            assert!(built.iter().copied().eq((0_u16..).map(f32::from).take(len)));
        }
    }

    #[test]
    fn lists_are_lent_empty_and_apart() {
        for _ in 0..2 {
            with_list(|outer: &mut Vec<usize>| {
                outer.push(1);
                with_list(|inner: &mut Vec<usize>| {
                    assert!(inner.is_empty());
                    inner.push(2);
                });
                assert_eq!(*outer, [1]);
            });
        }
    }

    #[test]
    fn room_is_as_long_as_it_is_asked_for() {
        for len in [5, 2, 9] {
            with_room(len, |room: &mut [bool]| {
                assert_eq!(room.len(), len);
                room.fill(true);
            });
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
