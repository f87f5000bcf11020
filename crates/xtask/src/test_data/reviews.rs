//! Film reviews as word numbers, made up: common words, and words that praise or condemn.

use super::random::Random;
use super::{Tutorial, line};

/// Words of a row, and the number that fills it in front.
const WORDS: usize = 500;
const PADDING: usize = 0;
/// Reviews say nothing by their most common words: these numbers occur in both kinds.
const COMMON: (usize, usize) = (50, 9_900);
/// Where the words that condemn and the words that praise begin, and how many there are of each.
const TELLING: [usize; 2] = [100, 300];
const TELLING_WORDS: usize = 10;

/// The tables of the recurrent network's tutorial, without headers.
pub fn tables() -> Tutorial {
    let mut random = Random::new(0x696d_6462);
    let (train_features, train_labels) = reviews(&mut random, 900);
    let (test_features, test_labels) = reviews(&mut random, 128);
    Tutorial {
        train_features,
        train_labels,
        test_features,
        test_labels,
    }
}

/// So many reviews, half of them bad (0) and half good (1).
fn reviews(random: &mut Random, count: usize) -> (String, String) {
    let mut opinions: Vec<usize> = (0..count).map(|review| review % 2).collect();
    random.shuffle(&mut opinions);
    let features = opinions.iter().map(|&opinion| line(review(random, opinion))).collect();
    (features, opinions.iter().map(|opinion| line([opinion])).collect())
}

fn review(random: &mut Random, opinion: usize) -> Vec<usize> {
    let length = 20 + random.below(40);
    let mut words = vec![PADDING; WORDS - length];
    for _ in 0..length {
        words.push(if random.chance(0.8) {
            // One telling word in twenty says the opposite, as in "not bad".
            let side = if random.chance(0.05) { 1 - opinion } else { opinion };
            TELLING[side] + random.below(TELLING_WORDS)
        } else {
            COMMON.0 + random.below(COMMON.1 - COMMON.0)
        });
    }
    words
}
