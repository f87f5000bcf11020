//! The order of the layers of a functional model: Keras's, which its weights files follow.

/// Why connections do not make a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The layer takes, by way of others, its own output.
    Cycle(usize),
    /// No output depends on the layer.
    Loose(usize),
}

/// The layers, from the inputs to the outputs, as Keras orders them: by their distance from the outputs, the longest way counting, and
/// layers with the same distance as they are met on the way back from the outputs. Each comes behind all whose outputs it takes.
///
/// `connections` has for each layer the layers whose outputs it takes.
pub(super) fn ordered(connections: &[Vec<usize>], outputs: &[usize]) -> Result<Vec<usize>, Fault> {
    let mut met = vec![None; connections.len()];
    let mut finished = Vec::with_capacity(connections.len());
    let mut done = vec![false; connections.len()];
    let mut seen = 0;
    for &output in outputs {
        // A depth-first walk; each step of the way holds the layer and how many of its connections were followed.
        let mut way: Vec<(usize, usize)> = Vec::new();
        let mut next = Some(output);
        while let Some(layer) = next.take() {
            if met[layer].is_none() {
                met[layer] = Some(seen);
                seen += 1;
                way.push((layer, 0));
            } else if !done[layer] {
                return Err(Fault::Cycle(layer));
            }
            while let Some((layer, followed)) = way.last_mut() {
                if let Some(&before) = connections[*layer].get(*followed) {
                    *followed += 1;
                    next = Some(before);
                    break;
                }
                done[*layer] = true;
                finished.push(*layer);
                way.pop();
            }
        }
    }
    if let Some(loose) = met.iter().position(Option::is_none) {
        return Err(Fault::Loose(loose));
    }
    let mut depths = vec![0_usize; connections.len()];
    for &layer in finished.iter().rev() {
        for &before in &connections[layer] {
            depths[before] = depths[before].max(depths[layer] + 1);
        }
    }
    let mut order: Vec<usize> = (0..connections.len()).collect();
    order.sort_by_key(|&layer| (std::cmp::Reverse(depths[layer]), met[layer]));
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_ordered_by_their_distance_from_the_outputs() {
        // Two inputs, of which the second joins late: Keras lists it where it is needed.
        let connections = [vec![], vec![0], vec![1], vec![2], vec![], vec![3, 4], vec![5], vec![6]];
        assert_eq!(ordered(&connections, &[3, 7]), Ok(vec![0, 1, 2, 3, 4, 5, 6, 7]));
        // The order in which the layers were made does not matter.
        let turned = [vec![1], vec![2], vec![], vec![0, 1]];
        assert_eq!(ordered(&turned, &[3]), Ok(vec![2, 1, 0, 3]));
    }

    #[test]
    fn cycles_and_loose_layers_are_found() {
        assert_eq!(ordered(&[vec![], vec![0, 2], vec![1]], &[2]), Err(Fault::Cycle(2)));
        assert_eq!(ordered(&[vec![0]], &[0]), Err(Fault::Cycle(0)));
        assert_eq!(ordered(&[vec![], vec![0], vec![0]], &[2]), Err(Fault::Loose(1)));
    }

    #[test]
    fn a_long_chain_needs_no_deep_stack() {
        let connections: Vec<Vec<usize>> = (0..10_000_usize)
            .map(|layer| layer.checked_sub(1).into_iter().collect())
            .collect();
        assert_eq!(ordered(&connections, &[9_999]), Ok((0..10_000).collect()));
    }
}
