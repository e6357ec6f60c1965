//! The scalar field of BLS12-381 and multilinear extensions over it.
//!
//! Points list the coordinate of the index's most significant bit first.

use ff::Field;

/// An element of the scalar field of BLS12-381.
pub use blstrs::Scalar as Fr;

/// Bytes of an encoded element.
pub const SCALAR_BYTES: usize = 32;

/// The element that stands for a signed integer.
pub fn from_i64(value: i64) -> Fr {
    let magnitude = Fr::from(value.unsigned_abs());
    if value < 0 { -magnitude } else { magnitude }
}

/// Reads a big-endian element; `None` unless it is below the order.
pub fn decode(bytes: &[u8]) -> Option<Fr> {
    let bytes: &[u8; SCALAR_BYTES] = bytes.try_into().ok()?;
    Fr::from_bytes_be(bytes).into_option()
}

/// A 256-bit big-endian integer modulo the order.
pub fn reduce(bytes: &[u8; 32]) -> Fr {
    let shift = Fr::from(1 << 32).square();
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().fold(Fr::ZERO, |sum, word| sum * shift + Fr::from(u64::from_be_bytes(*word)))
}

/// `eq(point, ·)` for every index of as many bits as the point has coordinates.
pub fn eq_table(point: &[Fr]) -> Vec<Fr> {
    let mut table = vec![Fr::ONE];
    for coordinate in point {
        table = table
            .iter()
            .flat_map(|value| {
                let high = value * coordinate;
                [value - high, high]
            })
            .collect();
    }
    table
}

/// `eq(a, b)` of two points of equal length.
pub fn eq(a: &[Fr], b: &[Fr]) -> Fr {
    a.iter().zip(b).fold(Fr::ONE, |product, (a, b)| {
        let both = a * b;
        product * (both.double() + Fr::ONE - a - b)
    })
}

/// `eq(point, index)`, the index written in as many bits as the point has coordinates.
pub fn eq_index(point: &[Fr], index: usize) -> Fr {
    point.iter().rev().enumerate().fold(Fr::ONE, |product, (bit, coordinate)| {
        product * if index >> bit & 1 == 1 { *coordinate } else { Fr::ONE - coordinate }
    })
}

/// `Σ eq(point, i)` over `i < count`: the extension of a tensor's valid positions.
pub fn less_than(point: &[Fr], count: usize) -> Fr {
    if count >> point.len() > 0 {
        return Fr::ONE;
    }
    let (mut sum, mut prefix) = (Fr::ZERO, Fr::ONE);
    for (place, coordinate) in point.iter().enumerate() {
        if count >> (point.len() - 1 - place) & 1 == 1 {
            let high = prefix * coordinate;
            sum += prefix - high;
            prefix = high;
        } else {
            prefix *= Fr::ONE - coordinate;
        }
    }
    sum
}

/// `1, x, x², …`, as many as asked for.
pub fn powers(x: Fr, count: usize) -> Vec<Fr> {
    std::iter::successors(Some(Fr::ONE), |power| Some(power * x)).take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_indices_and_masks_agree() {
        let point: Vec<Fr> = [3, 5, 7].map(Fr::from).to_vec();
        let table = eq_table(&point);
        for (index, value) in table.iter().enumerate() {
            assert_eq!(*value, eq_index(&point, index));
            let bits: Vec<Fr> = (0..3).rev().map(|b| Fr::from((index >> b & 1) as u64)).collect();
            assert_eq!(*value, eq(&point, &bits));
        }
        for count in 0..=8 {
            assert_eq!(less_than(&point, count), table.iter().take(count).sum::<Fr>());
        }
        assert_eq!(less_than(&[], 1), Fr::ONE);
    }

    #[test]
    fn integers_and_encodings() {
        assert_eq!(from_i64(-3) + Fr::from(3), Fr::ZERO);
        assert_eq!(from_i64(i64::MIN) + Fr::from(1 << 63), Fr::ZERO);
        assert_eq!(decode(&(-Fr::ONE).to_bytes_be()), Some(-Fr::ONE));
        assert_eq!(decode(&[0xff; 32]), None);
        assert_eq!(decode(&[0; 31]), None);
        // The order itself is not canonical, and reduces to zero.
        let mut order = (-Fr::ONE).to_bytes_be();
        order[31] += 1;
        assert_eq!(decode(&order), None);
        assert_eq!(reduce(&order), Fr::ZERO);
    }
}
