//! How weights lie in their column: dimensions in another order than their tensor's (reference §2).

use crate::{
    field::Fr,
    network::{bits, bits_of},
    operations::cut,
};

/// A weight tensor's dimensions in the order in which its column has them: the most padded first,
/// ties as in the tensor. Padding then fills whole rows, which cost a verifier nothing.
pub fn order(shape: &[u32]) -> Vec<usize> {
    let size = |i: usize| shape.get(i).copied().unwrap_or(1);
    let mut order: Vec<usize> = (0..shape.len()).collect();
    order.sort_by_key(|i| (u64::from(size(*i)) << 32) >> bits(size(*i)));
    order
}

/// A point of a weight tensor, its coordinates in the column's order.
pub fn point(shape: &[u32], point: &[Fr]) -> Vec<Fr> {
    let (_, parts) = cut(point, shape);
    let parts = order(shape).into_iter().filter_map(|i| parts.get(i).copied());
    parts.flatten().copied().collect()
}

/// Where each place of the padded tensor lies in the column; `None` if at the same.
pub fn places(shape: &[u32]) -> Option<Vec<usize>> {
    let order = order(shape);
    if order.is_sorted() {
        return None;
    }
    let mut shifts = vec![0; shape.len()];
    let mut shift = bits_of(shape);
    for i in order {
        if let (Some(own), Some(size)) = (shifts.get_mut(i), shape.get(i)) {
            shift -= bits(*size);
            *own = shift;
        }
    }
    let places = shape.iter().zip(shifts).fold(vec![0usize], |places, (size, shift)| {
        let spread = |place: &usize| {
            let place = *place;
            (0..1usize << bits(*size)).map(move |i| place | i << shift)
        };
        places.iter().flat_map(spread).collect()
    });
    Some(places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::eq_table;

    #[test]
    fn points_and_places_are_in_the_same_order() {
        // Filled by 5/8, 1, 3/4 and 5/8.
        let shape = [5, 4, 3, 5];
        assert_eq!(order(&shape), [0, 3, 2, 1]);
        let at: Vec<Fr> = (2..12).map(Fr::from).collect();
        let (tensor, column) = (eq_table(&at[..]), eq_table(&point(&shape, &at)));
        let places = places(&shape).unwrap();
        assert_eq!(places.len(), 1 << 10);
        for (own, place) in tensor.iter().zip(places) {
            assert_eq!(column[place], *own);
        }
        assert!(super::places(&[120, 60]).is_none());
        assert_eq!(order(&[120, 16, 5, 5]), [2, 3, 0, 1]);
    }
}
