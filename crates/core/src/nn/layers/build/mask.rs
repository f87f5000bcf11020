//! Where masks go, known before anything runs.

use super::Place;
use crate::keras::layers::MaskRule;

/// For each layer, whether its output may have a mask.
pub(super) fn masked(places: &[Place<'_>]) -> Vec<bool> {
    let mut masked = Vec::with_capacity(places.len());
    for place in places {
        masked.push(match place.layer.kind.mask_rule() {
            MaskRule::Makes => true,
            MaskRule::Keeps => {
                let sources = place.layer.kind.masked_inputs(place.sources);
                sources.iter().any(|source| source.output == 0 && masked[source.layer])
            }
            MaskRule::Uses | MaskRule::Refuses => false,
        });
    }
    masked
}

/// Whether a layer hands the mask of its input on.
pub(super) fn keeps(place: &Place<'_>) -> bool {
    place.layer.kind.mask_rule() == MaskRule::Keeps
}
