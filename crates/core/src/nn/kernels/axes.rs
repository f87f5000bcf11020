//! Moving values between shapes: broadcasting and its sum, axes in another order, pieces side by side.
//!
//! Shapes have the same number of axes on both sides; nothing here knows what an axis means.

/// Repeats values of shape `from` along its axes of size 1 to the shape `to`.
///
/// # Panics
/// When a size is neither 1 nor that of `to`, or `values` is not as long as `from` says.
#[must_use]
pub fn broadcast(values: &[f32], from: &[usize], to: &[usize]) -> Vec<f32> {
    assert_eq!(values.len(), from.iter().product::<usize>(), "values of shape {from:?}");
    let mut repeated = Vec::with_capacity(to.iter().product());
    for_each_run(from, to, |at, len, same| {
        if same {
            repeated.extend(std::iter::repeat_n(values[at], len));
        } else {
            repeated.extend_from_slice(&values[at..at + len]);
        }
    });
    repeated
}

/// The gradient of [`broadcast`]: values of shape `to`, summed over the axes of size 1 of `from`.
///
/// # Panics
/// As [`broadcast`].
#[must_use]
pub fn sum_repeated(values: &[f32], to: &[usize], from: &[usize]) -> Vec<f32> {
    assert_eq!(values.len(), to.iter().product::<usize>(), "values of shape {to:?}");
    // In f64: thousands of rows may come together in one value.
    let mut sums = vec![0.0_f64; from.iter().product()];
    let mut rest = values;
    for_each_run(from, to, |at, len, same| {
        let (run, behind) = rest.split_at(len);
        rest = behind;
        if same {
            sums[at] += run.iter().map(|value| f64::from(*value)).sum::<f64>();
        } else {
            for (sum, value) in sums[at..at + len].iter_mut().zip(run) {
                *sum += f64::from(*value);
            }
        }
    });
    sums.into_iter().map(|sum| sum as f32).collect()
}

/// Calls `visit(at, len, same)` for each run of `len` neighbours in the shape `to`: they come from the values of shape `from` from
/// `at` on, or, if `same`, all from that one.
fn for_each_run(from: &[usize], to: &[usize], mut visit: impl FnMut(usize, usize, bool)) {
    let rank = to.len();
    assert!(
        from.len() == rank && from.iter().zip(to).all(|(from, to)| *from == 1 || from == to),
        "{from:?} can be repeated to {to:?}"
    );
    if to.contains(&0) {
        return;
    }
    // The last axes that are all repeated, or else all as they are, make one run.
    let same = (0..rank)
        .next_back()
        .is_some_and(|axis| from[axis] == 1 && to[axis] > 1);
    let belongs = |axis: usize| to[axis] == 1 || (from[axis] == 1) == same;
    let outer = (0..rank).rev().find(|&axis| !belongs(axis)).map_or(0, |axis| axis + 1);
    let len = to[outer..].iter().product();
    let mut strides = vec![0; outer];
    let mut stride = from[outer..].iter().product();
    for axis in (0..outer).rev() {
        strides[axis] = if from[axis] == 1 { 0 } else { stride };
        stride *= from[axis];
    }
    for_each_place(&to[..outer], &strides, |at| visit(at, len, same));
}

/// The axes of row-major values in the order `axes`: axis `i` of the result is axis `axes[i]` of `values`.
///
/// # Panics
/// When `axes` is not an order of the axes of `shape`.
#[must_use]
pub fn permute(values: &[f32], shape: &[usize], axes: &[usize]) -> Vec<f32> {
    assert_eq!(
        values.len(),
        shape.iter().product::<usize>(),
        "values of shape {shape:?}"
    );
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    let sizes: Vec<usize> = axes.iter().map(|&axis| shape[axis]).collect();
    let from: Vec<usize> = axes.iter().map(|&axis| strides[axis]).collect();
    let mut permuted = Vec::with_capacity(values.len());
    // Last axes that stay last are copied as one piece.
    let kept = (0..shape.len()).rev().take_while(|&axis| axes[axis] == axis).count();
    let outer = shape.len() - kept;
    let run: usize = shape[outer..].iter().product();
    if let (1, Some((size, stride))) = (run, sizes[..outer].last().zip(from[..outer].last())) {
        for_each_place(&sizes[..outer - 1], &from[..outer - 1], |at| {
            permuted.extend((0..*size).map(|index| values[at + index * stride]));
        });
    } else {
        for_each_place(&sizes[..outer], &from[..outer], |at| {
            permuted.extend_from_slice(&values[at..at + run]);
        });
    }
    permuted
}

/// The order that undoes [`permute`] with `axes`.
#[must_use]
pub fn inverse(axes: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; axes.len()];
    for (to, &from) in axes.iter().enumerate() {
        inverse[from] = to;
    }
    inverse
}

/// Calls `visit` with the place of every index of `sizes`, in row-major order, where a step along an axis is `strides` values long.
fn for_each_place(sizes: &[usize], strides: &[usize], mut visit: impl FnMut(usize)) {
    if sizes.contains(&0) {
        return;
    }
    let mut index = vec![0; sizes.len()];
    let mut place = 0;
    loop {
        visit(place);
        let Some(axis) = (0..sizes.len()).rev().find(|&axis| index[axis] + 1 < sizes[axis]) else {
            return;
        };
        index[axis] += 1;
        place += strides[axis];
        for axis in axis + 1..sizes.len() {
            place -= index[axis] * strides[axis];
            index[axis] = 0;
        }
    }
}

/// Pieces side by side along an axis: of each piece its values and how many of them lie together, which is the product of its sizes
/// from that axis on.
///
/// # Panics
/// When the pieces have not the same number of rows before the axis.
#[must_use]
pub fn concatenate(pieces: &[(&[f32], usize)]) -> Vec<f32> {
    let rows = pieces.first().map_or(0, |(values, run)| values.len() / run.max(&1));
    let mut all = Vec::with_capacity(pieces.iter().map(|(values, _)| values.len()).sum());
    for row in 0..rows {
        for (values, run) in pieces {
            all.extend_from_slice(&values[row * run..][..*run]);
        }
    }
    all
}

/// The piece that [`concatenate`] put `before` values behind the beginning of each row of `row` values, `run` values long.
#[must_use]
pub fn piece(all: &[f32], row: usize, before: usize, run: usize) -> Vec<f32> {
    all.chunks_exact(row.max(1))
        .flat_map(|all| &all[before..before + run])
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::values;
    use super::*;

    /// The indices of the `place`-th value of a shape.
    fn index_of(mut place: usize, shape: &[usize]) -> Vec<usize> {
        let mut index = vec![0; shape.len()];
        for axis in (0..shape.len()).rev() {
            index[axis] = place % shape[axis];
            place /= shape[axis];
        }
        index
    }

    fn place_of(index: &[usize], shape: &[usize]) -> usize {
        index
            .iter()
            .zip(shape)
            .fold(0, |place, (index, size)| place * size + index)
    }

    proptest! {
        #[test]
        fn broadcasting_repeats_along_axes_of_one(axes in prop::collection::vec((1_usize..5, any::<bool>()), 1..5)) {
            let to: Vec<usize> = axes.iter().map(|axis| axis.0).collect();
            let from: Vec<usize> = axes.iter().map(|axis| if axis.1 { 1 } else { axis.0 }).collect();
            let x = values(from.iter().product(), 1);
            let source = |place: usize| {
                let index: Vec<usize> = index_of(place, &to).iter().zip(&from).map(|(i, size)| i % size).collect();
                place_of(&index, &from)
            };
            let total: usize = to.iter().product();
            let want: Vec<f32> = (0..total).map(|place| x[source(place)]).collect();
            prop_assert_eq!(&broadcast(&x, &from, &to), &want);
            let dy = values(total, 2);
            let mut sums = vec![0.0_f64; x.len()];
            (0..total).for_each(|place| sums[source(place)] += f64::from(dy[place]));
            for (got, want) in sum_repeated(&dy, &to, &from).iter().zip(sums) {
                prop_assert!((f64::from(*got) - want).abs() < 1e-5);
            }
        }

        #[test]
        fn axes_come_in_the_order_asked_for(
            (shape, axes) in prop::collection::vec(1_usize..5, 1..5)
                .prop_flat_map(|shape| (Just(shape.clone()), Just((0..shape.len()).collect::<Vec<_>>()).prop_shuffle()))
        ) {
            let x = values(shape.iter().product(), 1);
            let y = permute(&x, &shape, &axes);
            let to: Vec<usize> = axes.iter().map(|&axis| shape[axis]).collect();
            for (place, value) in y.iter().enumerate() {
                let mut from = vec![0; shape.len()];
                for (index, &axis) in index_of(place, &to).iter().zip(&axes) {
                    from[axis] = *index;
                }
                prop_assert_eq!(*value, x[place_of(&from, &shape)]);
            }
            prop_assert_eq!(permute(&y, &to, &inverse(&axes)), x);
        }
    }

    #[test]
    fn pieces_lie_side_by_side_and_are_found_again() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0], [5.0, 6.0]);
        let all = concatenate(&[(&a, 2), (&b, 1)]);
        assert_eq!(all, [1.0, 2.0, 5.0, 3.0, 4.0, 6.0]);
        assert_eq!(piece(&all, 3, 0, 2), a);
        assert_eq!(piece(&all, 3, 2, 1), b);
    }

    #[test]
    fn nothing_stays_nothing() {
        assert!(broadcast(&[], &[0, 1], &[0, 3]).is_empty());
        assert!(permute(&[], &[0, 2], &[1, 0]).is_empty());
    }
}
