//! Where axes carry marks and labels: round values on a scale, class labels along the side of a matrix.

use super::canvas::Direction;
use super::points;
use super::text::Font;

/// Steps between ticks, times a power of ten.
const STEPS: [f64; 4] = [1.0, 2.0, 2.5, 5.0];

/// Round values from `low` to `high` with at most `intervals` steps of 1, 2, 2.5 or 5 times a power of ten between them: the smallest
/// such step, as matplotlib's default locator chooses (which uses 9 intervals where there is room). With `whole` only whole numbers.
///
/// Empty if the range is empty or not finite.
#[must_use]
pub fn round_values(low: f64, high: f64, intervals: u8, whole: bool) -> Vec<f64> {
    let least = (high - low) / f64::from(intervals.max(1));
    if !(least.is_finite() && least > 0.0) {
        return Vec::new();
    }
    let magnitude = 10_f64.powf(least.log10().floor());
    // A step a hair too small by rounding would make one interval too many.
    let fits = |step: f64| step >= least * (1.0 - 1e-9) && (!whole || (step >= 1.0 && step.fract().abs() < 1e-9));
    let decades = [1.0, 10.0, 100.0].map(|decade| decade * magnitude.max(if whole { 1.0 } else { 0.0 }));
    let step = decades
        .iter()
        .flat_map(|decade| STEPS.map(|step| step * decade))
        .find(|&step| fits(step));
    let Some(step) = step else {
        return Vec::new();
    };
    let mut values = Vec::new();
    let mut multiple = (low / step - 1e-9).ceil();
    while multiple * step <= high + step * 1e-9 {
        // Adding 0.0 turns -0.0 into 0.0.
        values.push(multiple * step + 0.0);
        multiple += 1.0;
    }
    values
}

/// How the class labels along the two sides of a matrix are written so that they never overlap.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassLabels {
    /// Font size in pixels.
    pub size: f32,
    /// Every how many classes a label is written.
    pub every: u16,
    /// Which way the labels along the horizontal side run.
    pub horizontal_side: Direction,
    /// The labels that are written, shortened where needed, with the number of their class.
    pub texts: Vec<(u16, String)>,
}

impl ClassLabels {
    /// Plans labels for classes that lie `spacing` pixels apart; no label gets longer than `longest` pixels.
    ///
    /// First the font shrinks from 10 to 6 points; where even that is too large for a label at each class, labels of 8 points are left
    /// out between every 2nd, 5th, 10th ... class. Labels along the horizontal side stand upright where they do not fit side by side.
    #[must_use]
    pub fn plan(font: &Font, labels: &[String], spacing: f32, longest: f32) -> Self {
        /// Line height over font size: room between labels above each other.
        const LEADING: f32 = 1.2;
        let crowded = spacing < points(6.0) * LEADING;
        let size = if crowded {
            points(8.0)
        } else {
            (spacing / LEADING).min(points(10.0))
        };
        let every = if crowded { thinned(size * LEADING / spacing) } else { 1 };
        let texts: Vec<(u16, String)> = (0_u16..)
            .zip(labels)
            .step_by(usize::from(every))
            .map(|(class, label)| (class, font.shorten(label, size, longest)))
            .collect();
        let widest = widest(font, &texts, size);
        let side_by_side = widest + size * 0.6 <= spacing * f32::from(every);
        Self {
            size,
            every,
            horizontal_side: if side_by_side { Direction::Right } else { Direction::Up },
            texts,
        }
    }

    /// Width of the widest label in pixels.
    #[must_use]
    pub fn widest(&self, font: &Font) -> f32 {
        widest(font, &self.texts, self.size)
    }
}

fn widest(font: &Font, texts: &[(u16, String)], size: f32) -> f32 {
    texts.iter().map(|(_, text)| font.width(text, size)).fold(0.0, f32::max)
}

/// The smallest of 1, 2, 5, 10, 20, 50 ... that is at least `least`.
fn thinned(least: f32) -> u16 {
    let rounds = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
    rounds
        .into_iter()
        .find(|&every| f32::from(every) >= least)
        .unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(count: u16) -> Vec<String> {
        (0..count).map(|class| class.to_string()).collect()
    }

    #[test]
    fn ticks_are_matplotlibs() {
        // From matplotlib's colour bars of the same ranges.
        assert_eq!(
            round_values(1281.0, 11219.0, 9, true),
            [2000.0, 4000.0, 6000.0, 8000.0, 10_000.0]
        );
        assert_eq!(
            round_values(0.0, 1068.0, 9, true),
            [0.0, 200.0, 400.0, 600.0, 800.0, 1000.0]
        );
        assert_eq!(
            round_values(2.0, 18.0, 9, true),
            [2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0]
        );
        assert_eq!(
            round_values(0.0, 20.0, 9, false),
            [0.0, 2.5, 5.0, 7.5, 10.0, 12.5, 15.0, 17.5, 20.0]
        );
        assert_eq!(
            round_values(-1.0, 1.0, 9, false),
            [-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0]
        );
    }

    #[test]
    fn counts_have_whole_ticks() {
        assert_eq!(round_values(0.0, 2.0, 9, true), [0.0, 1.0, 2.0]);
        assert_eq!(round_values(3.0, 4.0, 9, true), [3.0, 4.0]);
        assert_eq!(
            round_values(0.0, 20.0, 9, true),
            [0.0, 5.0, 10.0, 15.0, 20.0],
            "not 2.5"
        );
        assert_eq!(round_values(0.0, 4_000_000_000.0, 9, true).len(), 9);
    }

    #[test]
    fn an_empty_range_has_no_ticks() {
        assert_eq!(round_values(5.0, 5.0, 9, true), [0.0; 0]);
        assert_eq!(round_values(0.0, f64::INFINITY, 9, false), [0.0; 0]);
        assert_eq!(round_values(f64::NAN, 1.0, 9, false), [0.0; 0]);
    }

    #[test]
    fn few_short_labels_are_written_side_by_side_at_ten_points() {
        let font = Font::embedded().unwrap();
        let plan = ClassLabels::plan(&font, &numbered(10), 68.0, 140.0);
        assert_eq!((plan.every, plan.horizontal_side), (1, Direction::Right));
        assert!((plan.size - points(10.0)).abs() < 0.001);
        assert_eq!(plan.texts.len(), 10);
    }

    #[test]
    fn long_labels_stand_upright_and_are_shortened() {
        let font = Font::embedded().unwrap();
        let labels = ["acute_myeloid_leukaemia_with_maturation", "healthy"].map(str::to_owned);
        let plan = ClassLabels::plan(&font, &labels, 60.0, 140.0);
        assert_eq!(plan.horizontal_side, Direction::Up);
        assert!(plan.widest(&font) <= 140.0);
        assert!(plan.texts[0].1.contains('\u{2026}'));
        assert_eq!(plan.texts[1].1, "healthy");
    }

    #[test]
    fn many_labels_shrink_and_then_thin_out() {
        let font = Font::embedded().unwrap();
        let shrunk = ClassLabels::plan(&font, &numbered(50), 13.6, 140.0);
        assert_eq!(shrunk.every, 1);
        assert!(
            shrunk.size < points(7.0) && shrunk.size * 1.19 < 13.6,
            "{}",
            shrunk.size
        );
        let thinned = ClassLabels::plan(&font, &numbered(100), 6.8, 140.0);
        assert_eq!((thinned.every, thinned.horizontal_side), (5, Direction::Right));
        assert_eq!(thinned.texts.len(), 20);
        assert_eq!(thinned.texts[19], (95, "95".to_owned()));
    }
}
