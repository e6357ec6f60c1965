//! What the verifier computes with: a proof's scalars themselves, or forms in what hides them.

use std::ops::{Add, Mul, Sub};

use ff::Field;

use crate::field::Fr;

/// A scalar of a message as the verifier's checks see it.
pub trait Value:
    Clone + From<Fr> + Add<Output = Self> + Sub<Output = Self> + Mul<Fr, Output = Self>
{
    /// The product with another.
    #[must_use]
    fn times(&self, other: &Self) -> Self;

    /// The sum of all.
    #[must_use]
    fn total(values: impl Iterator<Item = Self>) -> Self {
        values.fold(Self::from(Fr::ZERO), |sum, value| sum + value)
    }
}

impl Value for Fr {
    fn times(&self, other: &Self) -> Self {
        self * other
    }
}

/// A polynomial in the pads of a hiding proof (reference §8): a constant, and monomials of degree 1
/// and 2.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    /// The constant.
    pub constant: Fr,
    /// Pads and their coefficients; a pad may stand there several times.
    pub linear: Vec<(usize, Fr)>,
    /// Products of two pads and their coefficients.
    pub products: Vec<([usize; 2], Fr)>,
    degree: u8,
}

impl Form {
    /// What a scalar stood for before a pad was added to it.
    pub fn unmasked(masked: Fr, pad: usize) -> Self {
        Self { constant: masked, linear: vec![(pad, -Fr::ONE)], products: vec![], degree: 1 }
    }

    /// Whether nothing was lost: monomials of a higher degree have no place here.
    pub fn is_quadratic(&self) -> bool {
        self.degree <= 2
    }
}

impl From<Fr> for Form {
    fn from(constant: Fr) -> Self {
        Self { constant, ..Self::default() }
    }
}

impl Add for Form {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self.constant += other.constant;
        self.linear.extend(other.linear);
        self.products.extend(other.products);
        self.degree = self.degree.max(other.degree);
        self
    }
}

impl Sub for Form {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + other * -Fr::ONE
    }
}

impl Mul<Fr> for Form {
    type Output = Self;

    fn mul(mut self, factor: Fr) -> Self {
        self.constant *= factor;
        self.linear.iter_mut().for_each(|(_, coefficient)| *coefficient *= factor);
        self.products.iter_mut().for_each(|(_, coefficient)| *coefficient *= factor);
        self
    }
}

impl Value for Form {
    fn times(&self, other: &Self) -> Self {
        let own = self.linear.iter().map(|(i, c)| (*i, c * other.constant));
        let others = other.linear.iter().map(|(i, c)| (*i, c * self.constant));
        let pairs = self
            .linear
            .iter()
            .flat_map(|(i, a)| other.linear.iter().map(move |(j, b)| ([*i, *j], a * b)));
        Self {
            constant: self.constant * other.constant,
            linear: own.chain(others).collect(),
            products: pairs.collect(),
            degree: self.degree.saturating_add(other.degree),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_the_polynomials_they_stand_for() {
        let pads = [3, 5, 7].map(Fr::from);
        let at = |form: &Form| {
            let linear: Fr = form.linear.iter().map(|(i, c)| pads[*i] * c).sum();
            let products: Fr =
                form.products.iter().map(|([i, j], c)| pads[*i] * pads[*j] * c).sum();
            form.constant + linear + products
        };
        let [a, b, c] = [0, 1, 2].map(|i| Form::unmasked(Fr::from(100 + i), i.try_into().unwrap()));
        let [x, y, z] = [97, 96, 95].map(Fr::from);
        assert_eq!([at(&a), at(&b), at(&c)], [x, y, z]);
        let mixed = a.times(&b) * Fr::from(9) - c.clone() + Form::from(Fr::from(4));
        assert_eq!(at(&mixed), x * y * Fr::from(9) - z + Fr::from(4));
        assert!(mixed.is_quadratic());
        assert!(!mixed.times(&c).is_quadratic());
    }
}
