//! Embedding: rows of a table picked by ids, and back.
//!
//! Ids come as `f32`, as everything that flows through a network does; whole numbers are exact up to 2^24.

/// Why ids cannot be looked up.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum EmbeddingError {
    /// Not a row of the table.
    #[error(
        "embedding: row {row}, column {column} of the batch holds {value}, but ids are whole numbers from 0 to {last}; \
         raise the layer's input_dim ({input_dim}) or correct the data"
    )]
    Id {
        /// Row in the batch, from 1.
        row: usize,
        /// Step, from 1.
        column: usize,
        /// What is there.
        value: f32,
        /// Rows of the table.
        input_dim: usize,
        /// The largest id.
        last: usize,
    },
}

/// The id in `value`, which must be a whole number below `input_dim`.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the result is compared with the value"
)]
#[expect(
    clippy::cast_precision_loss,
    reason = "ids are below 2^24, where f32 is exact; larger ones compare as they were given"
)]
#[expect(clippy::float_cmp, reason = "whether the id is the very number is the question")]
fn id(value: f32, input_dim: usize) -> Option<u32> {
    let id = value as u32;
    (id as f32 == value && (id as usize) < input_dim).then_some(id)
}

/// The id at `at` of `ids`, `[batch, steps]`, as an index into a table of `input_dim` rows.
///
/// # Errors
/// Names the value when it is none.
#[inline]
pub(super) fn index(ids: &[f32], at: usize, steps: usize, input_dim: usize) -> Result<u32, EmbeddingError> {
    let value = ids[at];
    id(value, input_dim).ok_or_else(|| EmbeddingError::Id {
        row: at / steps + 1,
        column: at % steps + 1,
        value,
        input_dim,
        last: input_dim.saturating_sub(1),
    })
}

/// All ids as indices.
fn indices(ids: &[f32], steps: usize, input_dim: usize) -> Result<Vec<u32>, EmbeddingError> {
    (0..ids.len()).map(|at| index(ids, at, steps, input_dim)).collect()
}

/// Looks up `ids`, `[batch, steps]`, in `table`, `[input_dim, dim]`: `[batch, steps, dim]`.
///
/// # Errors
/// When an id is no row of the table: names its row, column and value.
pub fn gather(ids: &[f32], steps: usize, table: &[f32], dim: usize) -> Result<Vec<f32>, EmbeddingError> {
    let indices = indices(ids, steps, table.len().checked_div(dim).unwrap_or(0))?;
    let mut output = Vec::with_capacity(indices.len() * dim);
    for index in indices {
        let at = index as usize * dim;
        output.extend_from_slice(&table[at..at + dim]);
    }
    Ok(output)
}

/// The gradient of the table, `[input_dim, dim]`: rows of `dy`, `[batch, steps, dim]`, summed by id in the order of the batch.
///
/// # Errors
/// When an id is no row of the table: names its row, column and value.
pub fn scatter(
    ids: &[f32],
    steps: usize,
    dy: &[f32],
    input_dim: usize,
    dim: usize,
) -> Result<Vec<f32>, EmbeddingError> {
    let mut table = vec![0.0; input_dim * dim];
    for (index, dy) in indices(ids, steps, input_dim)?
        .into_iter()
        .zip(dy.chunks_exact(dim.max(1)))
    {
        let at = index as usize * dim;
        for (sum, dy) in table[at..at + dim].iter_mut().zip(dy) {
            *sum += dy;
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_pick_rows_and_gradients_return_to_them() {
        let table: Vec<f32> = (0_u8..8).map(f32::from).collect();
        let ids = [3.0, 0.0, 3.0, 1.0];
        assert_eq!(
            gather(&ids, 2, &table, 2).unwrap(),
            [6.0, 7.0, 0.0, 1.0, 6.0, 7.0, 2.0, 3.0]
        );
        let dy = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        assert_eq!(
            scatter(&ids, 2, &dy, 4, 2).unwrap(),
            [3.0, 4.0, 7.0, 8.0, 0.0, 0.0, 6.0, 8.0]
        );
    }

    #[test]
    fn an_id_that_is_no_row_is_named_with_its_place() {
        for value in [4.0, -1.0, 1.5, f32::NAN, f32::INFINITY, 1e30] {
            let error = gather(&[0.0, 1.0, 2.0, 3.0, 0.0, value], 3, &[0.0; 8], 2)
                .unwrap_err()
                .to_string();
            let expected = format!(
                "embedding: row 2, column 3 of the batch holds {value}, but ids are whole numbers from 0 to 3; \
                 raise the layer's input_dim (4) or correct the data"
            );
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn ids_up_to_two_to_the_24_are_told_apart() {
        assert_eq!(
            indices(&[16_777_215.0, 16_777_214.0], 2, 1 << 24).unwrap(),
            [16_777_215, 16_777_214]
        );
    }
}
