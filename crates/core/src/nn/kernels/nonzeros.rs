//! Sums of rows of which each is taken times a value, by the values that are not zero: in lists, and summed from lists.

use super::conv::tile::store;
use super::simd::Simd;

/// Vectors of a long run whose sums are in registers together.
const VECTORS: usize = 12;
/// The same for the rest of a run.
const REST: usize = 4;

/// Values, and for each where the row begins that it is taken times, bit by bit: bits can be chosen and moved as the values are, whatever
/// number they would make.
#[derive(Clone, Copy)]
pub struct List<'a> {
    pub values: &'a [f32],
    pub places: &'a [f32],
}

impl<'a> List<'a> {
    /// Its values and places.
    pub fn each(self) -> Each<'a> {
        Each(self.values.iter().zip(self.places))
    }
}

/// The values and places of a [`List`].
#[derive(Clone)]
pub struct Each<'a>(std::iter::Zip<std::slice::Iter<'a, f32>, std::slice::Iter<'a, f32>>);

impl Iterator for Each<'_> {
    type Item = (f32, usize);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let (value, place) = self.0.next()?;
        Some((*value, place.to_bits() as usize))
    }
}

/// Those values and places of a list that a bit is set for.
#[derive(Clone)]
pub struct Chosen<'a> {
    list: List<'a>,
    /// The bits of places that count.
    place_bits: u32,
    /// The bits that come behind `bits`, of 64 entries each; the first of `bits` is for the entry `first`.
    behind: std::slice::Iter<'a, u64>,
    bits: u64,
    first: usize,
}

impl<'a> Chosen<'a> {
    /// Those that `chosen` has a bit for, the first one's lowest; of places only some bits count.
    pub fn new(list: List<'a>, place_bits: u32, chosen: &'a [u64]) -> Self {
        let mut behind = chosen.iter();
        Self {
            list,
            place_bits,
            bits: behind.next().copied().unwrap_or(0),
            behind,
            first: 0,
        }
    }
}

impl Iterator for Chosen<'_> {
    type Item = (f32, usize);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        while self.bits == 0 {
            self.bits = *self.behind.next()?;
            self.first += u64::BITS as usize;
        }
        let at = self.first + self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        let (value, place) = (self.list.values.get(at)?, self.list.places.get(at)?);
        Some((*value, (place.to_bits() & self.place_bits) as usize))
    }
}

/// Room for lists side by side.
pub struct Lists<'a> {
    pub values: &'a mut [f32],
    pub places: &'a mut [f32],
}

impl Lists<'_> {
    /// Writes the chosen of `values` and `places` side by side from `at` on, and returns where they end; up to a vector behind that is
    /// written.
    ///
    /// # Panics
    /// When there is no room for a vector.
    #[inline(always)]
    pub fn push<S: Simd>(&mut self, s: S, at: usize, chosen: S::Mask, values: S::Vector, places: S::Vector) -> usize {
        let (to_values, to_places) = (&mut self.values[at..][..S::LANES], &mut self.places[at..][..S::LANES]);
        // SAFETY: both are a vector long.
        unsafe {
            s.store_chosen(to_values.as_mut_ptr(), chosen, values);
            at + s.store_chosen(to_places.as_mut_ptr(), chosen, places)
        }
    }

    /// The list in `range`.
    pub fn list(&self, range: std::ops::Range<usize>) -> List<'_> {
        List {
            values: &self.values[range.clone()],
            places: &self.places[range],
        }
    }
}

/// A place as it is kept in lists.
///
/// # Panics
/// Beyond 2^32: one row of a batch, or a kernel, of 16 GB.
pub fn bits(place: usize) -> f32 {
    let place = u32::try_from(place).expect("rows and kernels have fewer than 2^32 values");
    f32::from_bits(place)
}

/// Adds `value rows[place]`, for each value and place, over a run of `len` values to `sum`.
///
/// # Safety
/// The run can be read from each row and `sum`, and written to `sum`.
#[inline(always)]
pub unsafe fn add_run<S: Simd, I>(s: S, rows: *const f32, each: &I, sum: *mut f32, len: usize)
where
    I: Iterator<Item = (f32, usize)> + Clone,
{
    let mut at = 0;
    while at < len {
        // SAFETY: `at` lies inside the run, and `add_rows` stops at its end.
        unsafe {
            if len - at >= VECTORS * S::LANES {
                add_rows::<S, VECTORS, I>(s, rows.add(at), each.clone(), sum.add(at), len - at);
                at += VECTORS * S::LANES;
            } else {
                add_rows::<S, REST, I>(s, rows.add(at), each.clone(), sum.add(at), len - at);
                at += REST * S::LANES;
            }
        }
    }
}

/// [`add_run`] for `V` vectors, of which `left` values exist.
///
/// # Safety
/// `left` values, or `V` vectors if that is less, can be read from each row and `sum`, and written to `sum`.
#[inline(always)]
pub unsafe fn add_rows<S: Simd, const V: usize, I>(s: S, rows: *const f32, each: I, sum: *mut f32, left: usize)
where
    I: Iterator<Item = (f32, usize)> + Clone,
{
    if left >= V * S::LANES {
        let mut acc = [s.splat(0.0); V];
        // SAFETY: all of the `V` vectors exist.
        unsafe {
            for (v, acc) in acc.iter_mut().enumerate() {
                *acc = s.load(sum.add(v * S::LANES));
            }
            for (value, place) in each {
                let (value, row) = (s.splat(value), rows.add(place));
                for (v, acc) in acc.iter_mut().enumerate() {
                    *acc = s.mul_add(value, s.load(row.add(v * S::LANES)), *acc);
                }
            }
            for (v, acc) in acc.iter().enumerate() {
                s.store(sum.add(v * S::LANES), *acc);
            }
        }
        return;
    }
    for v in 0..left.div_ceil(S::LANES) {
        let (at, left) = (v * S::LANES, left - v * S::LANES);
        // SAFETY: only values before `left` are read and written.
        unsafe {
            let mut acc = s.load_up_to(sum.add(at), left);
            for (value, place) in each.clone() {
                let row = s.load_up_to(rows.add(place + at), left);
                acc = s.mul_add(s.splat(value), row, acc);
            }
            store(s, sum.add(at), left, &[acc]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_chosen_by_their_bits_and_places_lose_theirs() {
        let values: Vec<f32> = (0_u8..130).map(f32::from).collect();
        let places: Vec<f32> = (0..130).map(|at| bits(at | 1 << 23)).collect();
        let list = List {
            values: &values,
            places: &places,
        };
        let chosen = |words: &[u64]| Chosen::new(list, (1 << 23) - 1, words).collect::<Vec<_>>();
        assert_eq!(
            chosen(&[0b101, 0, 0b11]),
            [(0.0, 0), (2.0, 2), (128.0, 128), (129.0, 129)]
        );
        assert_eq!(chosen(&[0, 1 << 63]), [(127.0, 127)]);
        assert_eq!(chosen(&[]), []);
        let all: Vec<_> = list.each().map(|(_, place)| place & !(1 << 23)).collect();
        assert!(all.into_iter().eq(0..130));
    }
}
