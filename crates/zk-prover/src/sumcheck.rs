//! The sumcheck protocol, prover's side, for batches of products of multilinear extensions.

use ff::Field;
use probity_zk::{field::Fr, transcript::Tag};

use crate::outgoing::Outgoing;

/// `weight · Σ_x Π factors(x)`: two or three factors of equal, power-of-two length.
#[derive(Debug)]
pub(crate) struct Product {
    weight: Fr,
    factors: Vec<Vec<Fr>>,
    sum: Fr,
}

impl Product {
    pub(crate) fn new(weight: Fr, factors: Vec<Vec<Fr>>) -> Self {
        let length = factors.first().map_or(0, Vec::len);
        let product = |i: usize| factors.iter().map(|factor| factor[i]).product::<Fr>();
        let sum = weight * (0..length).map(product).sum::<Fr>();
        Self { weight, factors, sum }
    }

    fn variables(&self) -> usize {
        self.factors.first().map_or(0, |factor| factor.len().trailing_zeros() as usize)
    }

    /// The factors' values, once every variable is bound.
    pub(crate) fn values(&self) -> Vec<Fr> {
        self.factors.iter().filter_map(|factor| factor.first()).copied().collect()
    }

    /// Constant, quadratic and cubic coefficient of the next round.
    fn round(&self) -> [Fr; 3] {
        let half = self.factors.first().map_or(0, Vec::len) / 2;
        let mut sums = [Fr::ZERO; 3];
        let line = |factor: &[Fr], x: usize| (factor[x], factor[x + half] - factor[x]);
        for x in 0..half {
            match self.factors.as_slice() {
                [a, b] => {
                    let ((a, a1), (b, b1)) = (line(a, x), line(b, x));
                    sums[0] += a * b;
                    sums[1] += a1 * b1;
                }
                [a, b, c] => {
                    let ((a, a1), (b, b1), (c, c1)) = (line(a, x), line(b, x), line(c, x));
                    let (ab, ab1, cross) = (a * b, a1 * b1, a * b1 + a1 * b);
                    sums[0] += ab * c;
                    sums[1] += ab1 * c + cross * c1;
                    sums[2] += ab1 * c1;
                }
                _ => {}
            }
        }
        sums.map(|sum| sum * self.weight)
    }

    fn bind(&mut self, challenge: Fr) {
        for factor in &mut self.factors {
            let half = factor.len() / 2;
            let (low, high) = factor.split_at_mut(half);
            for (low, high) in low.iter_mut().zip(high) {
                *low += challenge * (*high - *low);
            }
            factor.truncate(half);
        }
    }
}

/// Proves the sum of all products; each waits for its last variables. Returns the point.
pub(crate) fn prove(outgoing: &mut Outgoing, products: &mut [Product]) -> Vec<Fr> {
    let rounds = products.iter().map(Product::variables).max().unwrap_or(0);
    let degree = products.iter().map(|product| product.factors.len()).max().unwrap_or(0);
    let mut waiting = Fr::ONE;
    let mut point = Vec::with_capacity(rounds);
    for left in (1..=rounds).rev() {
        let mut message = vec![Fr::ZERO; degree];
        for product in products.iter() {
            if product.variables() < left {
                // Its polynomial is linear: the sum times (1 − X).
                message[0] += waiting * product.sum;
            } else {
                for (message, coefficient) in message.iter_mut().zip(product.round()) {
                    *message += coefficient;
                }
            }
        }
        let challenge = outgoing.scalars(Tag::Round, &message);
        waiting *= Fr::ONE - challenge;
        for product in products.iter_mut() {
            if product.variables() >= left {
                product.bind(challenge);
            } else {
                product.weight *= Fr::ONE - challenge;
            }
        }
        point.push(challenge);
    }
    point
}
