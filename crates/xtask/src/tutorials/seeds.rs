//! Several runs of the same tutorial, which differ in their seed.

/// Seeds, both ends included.
pub type Range = std::ops::RangeInclusive<u64>;

/// Reads `A..B`.
pub fn parse_range(text: &str) -> Result<Range, String> {
    let wanted = || format!("{text:?} is not a range of seeds like 1..5");
    let (first, last) = text.split_once("..").ok_or_else(wanted)?;
    let first: u64 = first.parse().map_err(|_| wanted())?;
    let last: u64 = last.trim_start_matches('=').parse().map_err(|_| wanted())?;
    if first > last {
        return Err(format!("the range {text:?} is empty"));
    }
    Ok(first..=last)
}

/// The middle value, or the mean of the two middle ones; not a number if there are none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        even if even % 2 == 0 => f64::midpoint(sorted[half - 1], sorted[half]),
        _ => sorted[half],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_a_range_count() {
        assert_eq!(parse_range("3..5").unwrap().collect::<Vec<_>>(), [3, 4, 5]);
        assert!(parse_range("5..3").is_err() && parse_range("5").is_err() && parse_range("a..b").is_err());
    }

    #[test]
    fn the_median_of_an_even_number_is_between() {
        assert!((median(&[4.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!(median(&[]).is_nan());
    }
}
