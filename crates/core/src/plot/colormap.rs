//! The colour maps of the form, in matplotlib's colours.
//!
//! Each runs linearly between evenly spaced anchor colours: `ColorBrewer`'s palettes (Greys to Spectral), or the two ends of a gradient
//! (summer, autumn, winter). As in matplotlib a map is a table of 256 colours, of which a value between 0 and 1 takes the one below it.

mod anchors;

use serde::Deserialize;

use super::canvas::Rgb;

/// A colour map of the form's `plot_color`.
///
/// The form writes `Summer` and `Autumn`, matplotlib's names are lower case: both spellings are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum ColorMap {
    /// White to black.
    Greys,
    /// White to purple.
    Purples,
    /// White to blue.
    Blues,
    /// White to green, the form's default.
    #[default]
    Greens,
    /// White to orange.
    Oranges,
    /// White to red.
    Reds,
    /// Green to yellow.
    #[serde(alias = "summer")]
    Summer,
    /// Red to yellow.
    #[serde(alias = "autumn")]
    Autumn,
    /// Red over yellow to green.
    RdYlGn,
    /// Red over yellow and green to blue.
    Spectral,
    /// Blue to green.
    #[serde(rename = "winter", alias = "Winter")]
    Winter,
}

impl ColorMap {
    /// The colour of `value`, 0 being the map's first colour and 1 its last. Values outside take the nearer end, NaN the first.
    #[must_use]
    pub fn color(self, value: f64) -> Rgb {
        let clamped = if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) };
        let step = (clamped * 256.0).floor().min(255.0);
        self.between_anchors(step / 255.0)
    }

    /// The colour at `position`, from 0 at the first anchor to 1 at the last, rounded to 8 bits.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index below a dozen anchors, and channels from 0 to 255"
    )]
    fn between_anchors(self, position: f64) -> Rgb {
        let anchors = self.anchors();
        let along = position * (anchors.len() - 1) as f64;
        let left = (along as usize).min(anchors.len() - 2);
        let share = along - left as f64;
        std::array::from_fn(|channel| {
            let (from, to) = (anchors[left][channel], anchors[left + 1][channel]);
            (from + share * (to - from)).round() as u8
        })
    }

    /// At least two colours, channels from 0 to 255.
    fn anchors(self) -> &'static [[f64; 3]] {
        match self {
            Self::Greys => anchors::GREYS,
            Self::Purples => anchors::PURPLES,
            Self::Blues => anchors::BLUES,
            Self::Greens => anchors::GREENS,
            Self::Oranges => anchors::ORANGES,
            Self::Reds => anchors::REDS,
            Self::Summer => anchors::SUMMER,
            Self::Autumn => anchors::AUTUMN,
            Self::RdYlGn => anchors::RDYLGN,
            Self::Spectral => anchors::SPECTRAL,
            Self::Winter => anchors::WINTER,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Result<ColorMap, serde_json::Error> {
        serde_json::from_value(serde_json::Value::from(name))
    }

    #[test]
    fn every_map_has_matplotlibs_256_colours() {
        let golden = include_str!("colormap/lut.txt");
        let mut maps = 0;
        for line in golden.lines() {
            let (name, hex) = line.split_once(' ').unwrap();
            let map = named(name).unwrap();
            assert_eq!(hex.len(), 256 * 6, "{name}");
            for step in 0..256_usize {
                let ours = map.color((f64::from(u16::try_from(step).unwrap()) + 0.5) / 256.0);
                for (channel, value) in ours.into_iter().enumerate() {
                    let at = step * 6 + channel * 2;
                    let theirs = u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
                    assert!(
                        value.abs_diff(theirs) <= 1,
                        "{name} {step} channel {channel}: {value}, matplotlib {theirs}"
                    );
                }
            }
            maps += 1;
        }
        assert_eq!(maps, 11);
    }

    #[test]
    fn values_outside_take_the_nearer_end() {
        assert_eq!(ColorMap::Greens.color(-3.0), [247, 252, 245]);
        assert_eq!(ColorMap::Greens.color(f64::NAN), [247, 252, 245]);
        assert_eq!(ColorMap::Greens.color(1.0), [0, 68, 27]);
        assert_eq!(ColorMap::Greens.color(7.0), [0, 68, 27]);
    }

    #[test]
    fn the_forms_spellings_and_matplotlibs_are_read() {
        for (form, matplotlib) in [("Summer", "summer"), ("Autumn", "autumn"), ("Winter", "winter")] {
            assert_eq!(named(form).unwrap(), named(matplotlib).unwrap());
        }
        assert_eq!(ColorMap::default(), named("Greens").unwrap());
        let message = named("Pinks").unwrap_err().to_string();
        assert!(message.contains("`Pinks`") && message.contains("`Greens`"), "{message}");
    }
}
