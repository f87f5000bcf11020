//! Numbers in cells, read as pandas reads them: as doubles, then rounded to single precision.

use super::error::CellFault;

/// What stands for a missing value, as in pandas' `read_csv`.
const MISSING: [&str; 17] = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "N/A", "NA", "NULL",
    "NaN", "n/a", "nan", "null",
];

/// How much of a cell a message shows, in characters.
const SHOWN: usize = 40;

/// Whether a cell stands for a missing value.
pub(crate) fn is_missing(cell: &str) -> bool {
    MISSING.contains(&cell.trim())
}

/// The number in a cell. Spaces around it do not count; the words true and false are 1 and 0.
pub(super) fn parse(cell: &str) -> Result<f32, CellFault> {
    let trimmed = cell.trim();
    if is_missing(trimmed) {
        return Err(CellFault::Missing(trimmed.to_owned()));
    }
    match trimmed.parse::<f64>() {
        Ok(number) => {
            let single = single(number);
            if single.is_finite() {
                Ok(single)
            } else {
                Err(CellFault::TooLarge(shown(trimmed)))
            }
        }
        Err(_) => match trimmed {
            "True" | "TRUE" | "true" => Ok(1.0),
            "False" | "FALSE" | "false" => Ok(0.0),
            _ => Err(fault_of(trimmed)),
        },
    }
}

fn fault_of(text: &str) -> CellFault {
    let numeric = |part: &str| part.trim().parse::<f64>().is_ok();
    match text.split(',').count() {
        0 | 1 => CellFault::Text(shown(text)),
        2 if text.split(',').all(numeric) => CellFault::DecimalComma(shown(text)),
        _ if text.split(',').any(numeric) => CellFault::CommaSeparated(shown(text)),
        _ => CellFault::Text(shown(text)),
    }
}

/// A cell, short enough for a message.
pub(super) fn shown(cell: &str) -> String {
    let mut start: String = cell.chars().take(SHOWN).collect();
    if start.len() < cell.len() {
        start.push_str("...");
    }
    start
}

/// A double rounded to single precision; beyond its range, infinity.
#[expect(clippy::cast_possible_truncation, reason = "networks compute in single precision")]
pub(super) fn single(number: f64) -> f32 {
    number as f32
}

/// The unsigned integer of one to seven digits that `bytes` starts with, and its number of digits. Needs eight bytes to look at.
///
/// All digits are looked at in one word, without a branch for each: pixel and count tables are made of such cells. Up to seven
/// digits, single precision is exact.
#[inline]
pub(super) fn short_integer(bytes: &[u8]) -> Option<(u32, usize)> {
    let word = u64::from_le_bytes(*bytes.first_chunk::<8>()?);
    // A digit's byte becomes 0 to 9. Adding 0x76 then sets the top bit of every byte above 9; a carry can only reach bytes behind the
    // first such byte, which do not matter.
    let values = word ^ 0x3030_3030_3030_3030;
    let others = (values.wrapping_add(0x7676_7676_7676_7676) | values) & 0x8080_8080_8080_8080;
    let digits = (others.trailing_zeros() / 8) as usize;
    if digits == 0 || digits == 8 {
        return None;
    }
    // Shifted up, the missing digits in front are zeros. Then pairs, fours and all eight digits are joined.
    let aligned = values << (64 - 8 * digits);
    let pairs = (aligned.wrapping_mul(10) + (aligned >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100) + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    let all = (fours.wrapping_mul(10_000) + (fours >> 32)) & 0xffff_ffff;
    Some((all as u32, digits))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_read_as_pandas_reads_them() {
        for (cell, number) in [
            ("0", 0.0),
            (" 7 ", 7.0),
            ("-1.5", -1.5),
            ("+2", 2.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e-3", 0.001),
            ("1E3", 1000.0),
            ("16777217", 16_777_216.0),
            ("0.926829268292683", 0.926_829_3),
            ("1e-50", 0.0),
            ("True", 1.0),
            ("FALSE", 0.0),
        ] {
            assert_eq!(parse(cell), Ok(number), "{cell}");
        }
    }

    #[test]
    fn a_double_is_rounded_once() {
        // Just above the middle between two singles: read straight to single precision it is the same as through a double, which
        // is where the original's values went through.
        assert_eq!(
            parse("1.00000005960464477539062500001").map(f32::to_bits),
            Ok(1.0_f32.to_bits())
        );
    }

    #[test]
    fn what_is_no_number_says_why() {
        for missing in ["", "  ", "NA", "NaN", "nan", "null", "N/A"] {
            assert_eq!(
                parse(missing),
                Err(CellFault::Missing(missing.trim().into())),
                "{missing}"
            );
        }
        for large in ["inf", "-inf", "Infinity", "1e39", "1e999"] {
            assert_eq!(parse(large), Err(CellFault::TooLarge(large.into())), "{large}");
        }
        assert_eq!(parse("gene_1"), Err(CellFault::Text("gene_1".into())));
        assert_eq!(parse("1 2"), Err(CellFault::Text("1 2".into())));
        assert_eq!(parse("0,5"), Err(CellFault::DecimalComma("0,5".into())));
        assert_eq!(parse("1,2,3"), Err(CellFault::CommaSeparated("1,2,3".into())));
        assert_eq!(
            parse(&"x".repeat(99)),
            Err(CellFault::Text(format!("{}...", "x".repeat(40))))
        );
    }

    #[test]
    fn short_integers_end_at_the_first_other_byte() {
        assert_eq!(short_integer(b"0\t12\t345"), Some((0, 1)));
        assert_eq!(short_integer(b"255\n0000"), Some((255, 3)));
        assert_eq!(short_integer(b"1234567\t"), Some((1_234_567, 7)));
        assert_eq!(short_integer(b"12\xff\xff\xff\xff\xff\xff"), Some((12, 2)));
        assert_eq!(short_integer(b"12345678"), None);
        assert_eq!(short_integer(b"-1\t00000"), None);
        assert_eq!(short_integer(b"/1\t00000"), None);
        assert_eq!(short_integer(b":1\t00000"), None);
        assert_eq!(short_integer(b"1\t"), None);
    }

    proptest! {
        #[test]
        fn short_integers_agree_with_the_standard_library(number in 0_u32..10_000_000, behind in "[^0-9].{8}") {
            let text = format!("{number}{behind}");
            prop_assert_eq!(short_integer(text.as_bytes()), Some((number, number.to_string().len())));
        }
    }
}
