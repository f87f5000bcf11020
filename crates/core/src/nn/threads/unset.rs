//! Memory of a result that holds nothing yet.
#![allow(
    clippy::inline_always,
    reason = "only what is inlined into a kernel's entry is compiled for its instruction set"
)]

use std::mem::MaybeUninit;
use std::ops::Range;

use super::Zero;

/// Values that are only ever written, be it that they hold nothing yet or something that is to be replaced.
pub struct Unset<'a, T>(&'a mut [MaybeUninit<T>]);

impl<'a, T: Copy> Unset<'a, T> {
    /// Memory that holds nothing yet. With debug assertions it is filled with bits that are NaN, so that tests find what is not written.
    pub(super) fn fresh(values: &'a mut [MaybeUninit<T>]) -> Self {
        if cfg!(debug_assertions) {
            let bytes = size_of_val(values);
            // SAFETY: all of it lies in `values`, where any bytes may be.
            unsafe { values.as_mut_ptr().cast::<u8>().write_bytes(u8::MAX, bytes) };
        }
        Self(values)
    }

    /// The room behind the values of a vector, which has it for `len` more.
    ///
    /// # Panics
    /// When it has not.
    pub fn room_of(values: &'a mut Vec<T>, len: usize) -> Self {
        Self::fresh(&mut values.spare_capacity_mut()[..len])
    }

    /// Values that are to be replaced.
    pub fn replacing(values: &'a mut [T]) -> Self {
        // SAFETY: `MaybeUninit<T>` lies in memory as `T` does, and nothing but values of `T` is ever written through this.
        Self(unsafe { &mut *(std::ptr::from_mut(values) as *mut [MaybeUninit<T>]) })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first, to write from there on.
    #[inline(always)]
    pub fn as_mut_ptr(&mut self) -> *mut T {
        self.0.as_mut_ptr().cast()
    }

    /// All of them, for a while.
    #[inline(always)]
    pub fn reborrow(&mut self) -> Unset<'_, T> {
        Unset(self.0)
    }

    /// Some of them, for a while.
    ///
    /// # Panics
    /// When there are not so many.
    #[inline(always)]
    pub fn part(&mut self, range: Range<usize>) -> Unset<'_, T> {
        Unset(&mut self.0[range])
    }

    /// All of them, `len` at a time, without a rest shorter than that.
    ///
    /// # Panics
    /// When `len` is 0.
    #[inline(always)]
    pub fn chunks_exact(self, len: usize) -> impl Iterator<Item = Unset<'a, T>> {
        self.0.chunks_exact_mut(len).map(Unset)
    }

    /// All of them, `len` at a time; the last may be fewer.
    ///
    /// # Panics
    /// When `len` is 0.
    pub fn chunks(self, len: usize) -> impl Iterator<Item = Unset<'a, T>> {
        self.0.chunks_mut(len).map(Unset)
    }

    /// Writes `values` from the first on, as many as there are of both.
    #[inline(always)]
    pub fn write(&mut self, values: impl Iterator<Item = T>) {
        for (to, value) in self.0.iter_mut().zip(values) {
            to.write(value);
        }
    }

    /// Writes `values`.
    ///
    /// # Panics
    /// When there are more or fewer of them.
    #[inline(always)]
    pub fn copy_from_slice(&mut self, values: &[T]) {
        assert_eq!(self.len(), values.len(), "as many values as there is room for");
        // SAFETY: there is room for so many, which no one else borrows.
        unsafe {
            self.as_mut_ptr()
                .copy_from_nonoverlapping(values.as_ptr(), values.len());
        };
    }

    /// What has been written.
    ///
    /// # Safety
    /// Every value has been.
    #[must_use]
    pub unsafe fn written(self) -> &'a [T] {
        // SAFETY: as the caller says, and `MaybeUninit<T>` lies in memory as `T` does.
        unsafe { &*(std::ptr::from_ref(self.0) as *const [T]) }
    }

    /// Writes zeros, which makes it values.
    pub fn zeroed(self) -> &'a mut [T]
    where
        T: Zero,
    {
        for value in self.0.iter_mut() {
            value.write(T::ZERO);
        }
        // SAFETY: every value has just been written, and `MaybeUninit<T>` lies in memory as `T` does.
        unsafe { &mut *(std::ptr::from_mut(self.0) as *mut [T]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_chunks_and_zeros_write_where_they_say() {
        let mut values = [9_u32; 7];
        let mut unset = Unset::replacing(&mut values);
        unset.part(1..3).write([1, 2, 3].into_iter());
        assert_eq!(unset.len(), 7);
        let lengths: Vec<usize> = unset.chunks(3).map(|chunk| chunk.len()).collect();
        assert_eq!(lengths, [3, 3, 1]);
        assert_eq!(values, [9, 1, 2, 9, 9, 9, 9]);
        for chunk in Unset::replacing(&mut values).chunks_exact(3).skip(1) {
            assert_eq!(chunk.zeroed(), [0; 3]);
        }
        assert_eq!(values, [9, 1, 2, 0, 0, 0, 9]);
    }
}
