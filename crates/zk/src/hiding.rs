//! Hiding proofs (reference §8): the checks of §4 to §6 on masked scalars, and the argument that what
//! is under the masks satisfies them.

use ff::Field;

use crate::{
    ModelKey, Network, Rejection, Stage, Statement,
    curve::{self, G1Affine},
    field::{Fr, powers},
    opening::{self, Reduced, RowGroup, weight_polynomial},
    plan::Plan,
    statement::HidingStatement,
    transcript::{Coins, Dialogue, Messages, Tag},
    value::{Form, Value},
    verify,
};

/// Pads of a committed row: as many as the ceremony has powers.
pub const PAD_ROW: usize = 1 << curve::MAX_ROW_BITS;
/// Pads that hide the two cross terms of the products; they come first.
const CROSS_PADS: usize = 2;

/// How many pads a proof uses: two, one for each masked scalar, one more for each factor.
pub fn pad_count(network: &Network, plan: &Plan, batch: u32) -> Result<usize, Rejection> {
    let statement = Statement { batch, ..Statement::default() };
    count_pads(|messages| verify::checks(messages, network, plan, &statement, Fr::ZERO))
}

/// How many pads go with the messages of these checks.
pub(crate) fn count_pads(
    checks: impl FnOnce(&mut Count) -> Result<Reduced<Fr>, Rejection>,
) -> Result<usize, Rejection> {
    let mut count = Count(CROSS_PADS);
    checks(&mut count)?;
    Ok(count.0)
}

/// A dialogue in which nothing is said: it counts.
pub(crate) struct Count(usize);

impl Dialogue for Count {
    type Value = Fr;

    fn scalars(&mut self, tag: Tag, count: usize) -> Result<(Vec<Fr>, Fr), Rejection> {
        self.0 += count * tag.pads();
        Ok((vec![Fr::ZERO; count], Fr::ZERO))
    }

    fn challenge(&mut self, _: Tag) -> Fr {
        Fr::ZERO
    }

    fn zero(&mut self, _: Fr, _: Rejection) -> Result<(), Rejection> {
        Ok(())
    }

    fn nonzero(&mut self, _: [&Fr; 2], _: Rejection) -> Result<(), Rejection> {
        self.scalars(Tag::Inverses, 2).map(|_| ())
    }
}

/// Accepts exactly if the proof shows that the key's model maps the committed inputs to the
/// statement's outputs. Total and deterministic, as [`crate::verify`] is.
pub fn verify_hiding(
    key: &ModelKey,
    statement: &HidingStatement,
    proof: &[u8],
) -> Result<(), Rejection> {
    let body = verify::body(proof, Stage::Hiding)?;
    verify_with_coins(key, statement, body, statement.transcript(key.digest()))
}

/// The interactive verifier: accepts the prover's messages under these coins. Only coins that a
/// prover could not foresee make what is accepted true.
pub fn verify_with_coins<C: Coins>(
    key: &ModelKey,
    statement: &HidingStatement,
    messages: &[u8],
    coins: C,
) -> Result<(), Rejection> {
    let plan = Plan::hiding(key.network(), statement.batch)?;
    let mut masked = Masked::new(Messages::new(coins, messages));
    let (rows, relation) = relation(&mut masked, key, statement, &plan)?;
    masked.verify(&relation, [key.rows(), &rows.witness, &statement.input], &rows.pads)
}

/// The relation that the messages so far leave to be shown: what a prover replays.
pub fn replay<C: Coins>(
    key: &ModelKey,
    statement: &HidingStatement,
    messages: &[u8],
    coins: C,
) -> Result<Relation, Rejection> {
    let plan = Plan::hiding(key.network(), statement.batch)?;
    let mut masked = Masked::new(Messages::new(coins, messages));
    let (_, relation) = relation(&mut masked, key, statement, &plan)?;
    masked.finish()?;
    Ok(relation)
}

/// Commitments that a proof starts with.
pub(crate) struct Rows {
    pub(crate) pads: Vec<G1Affine>,
    pub(crate) witness: Vec<G1Affine>,
}

fn relation<C: Coins>(
    masked: &mut Masked<'_, C>,
    key: &ModelKey,
    statement: &HidingStatement,
    plan: &Plan,
) -> Result<(Rows, Relation), Rejection> {
    let network = key.network();
    statement.check(network, plan)?;
    let pads = pad_count(network, plan, statement.batch)?;
    let (rows, gamma) = masked.rows(pads, plan.witness.rows(network.row_bits))?;
    let reduced = verify::checks(masked, network, plan, &statement.outputs(), gamma)?;
    Ok((rows, Relation::new(masked, reduced)?))
}

/// The messages of a hiding proof, their scalars as forms in the pads; checks are collected.
pub(crate) struct Masked<'a, C> {
    messages: Messages<'a, C>,
    pads: usize,
    limit: usize,
    factors: Vec<usize>,
    checks: Vec<Form>,
}

impl<'a, C: Coins> Masked<'a, C> {
    pub(crate) fn new(messages: Messages<'a, C>) -> Self {
        Self { messages, pads: CROSS_PADS, limit: 0, factors: vec![], checks: vec![] }
    }

    /// The commitments of so many pads and of so many rows of the witness, and what answers them.
    pub(crate) fn rows(&mut self, pads: usize, witness: usize) -> Result<(Rows, Fr), Rejection> {
        self.limit = pads;
        let (pads, _) = self.messages.points(Tag::Pads, pads.div_ceil(PAD_ROW))?;
        let (witness, gamma) = self.messages.points(Tag::Witness, witness)?;
        Ok((Rows { pads, witness }, gamma))
    }

    /// Verifies what is left to be shown by the rest of the messages.
    pub(crate) fn verify(
        mut self,
        relation: &Relation,
        vectors: [&[G1Affine]; 3],
        pads: &[G1Affine],
    ) -> Result<(), Rejection> {
        let opened = open(&mut self.messages, relation)?;
        opened.verify(&mut self.messages, relation, vectors, pads)?;
        self.finish()
    }

    /// Fails unless everything was read.
    pub(crate) fn finish(self) -> Result<(), Rejection> {
        self.messages.finish()
    }
}

impl<C: Coins> Dialogue for Masked<'_, C> {
    type Value = Form;

    fn scalars(&mut self, tag: Tag, count: usize) -> Result<(Vec<Form>, Fr), Rejection> {
        let (values, challenge) = self.messages.scalars(tag, count)?;
        let mut forms = Vec::with_capacity(values.len());
        for value in values {
            forms.push(Form::unmasked(value, self.pads));
            if tag.is_factor() {
                self.factors.push(self.pads);
            }
            self.pads += tag.pads();
        }
        if self.pads > self.limit { Err(Rejection::ProofLength) } else { Ok((forms, challenge)) }
    }

    fn challenge(&mut self, tag: Tag) -> Fr {
        self.messages.challenge(tag)
    }

    fn zero(&mut self, value: Form, otherwise: Rejection) -> Result<(), Rejection> {
        if !value.is_quadratic() {
            return Err(otherwise);
        }
        self.checks.push(value);
        Ok(())
    }

    fn nonzero(&mut self, values: [&Form; 2], otherwise: Rejection) -> Result<(), Rejection> {
        let (inverses, _) = self.array::<2>(Tag::Inverses)?;
        for (value, inverse) in values.into_iter().zip(&inverses) {
            self.zero(value.times(inverse) - Form::from(Fr::ONE), otherwise.clone())?;
        }
        Ok(())
    }
}

/// What is left to be shown of the pads and the committed rows: one quadratic equation of the pads,
/// and each group's value.
#[derive(Debug, Clone)]
pub struct Relation {
    /// The groups of rows, whose values at the point are in `values`.
    pub groups: Vec<RowGroup>,
    /// Sumcheck C's point.
    pub point: Vec<Fr>,
    /// Pads of the scalars that are multiplied with each other; each one's second pad follows it.
    pub factors: Vec<usize>,
    /// Products of two pads in the equation, and their coefficients.
    pub products: Vec<([usize; 2], Fr)>,
    values: Vec<Form>,
    constant: Fr,
    linear: Vec<Fr>,
}

impl Relation {
    pub(crate) fn new<C>(
        masked: &Masked<'_, C>,
        reduced: Reduced<Form>,
    ) -> Result<Self, Rejection> {
        let weights = powers(reduced.challenge, masked.checks.len());
        let (mut constant, mut products) = (Fr::ZERO, vec![]);
        let mut linear = vec![Fr::ZERO; masked.limit];
        for (check, weight) in masked.checks.iter().zip(&weights) {
            constant += check.constant * weight;
            for (pad, coefficient) in &check.linear {
                let sum = linear.get_mut(*pad).ok_or(Rejection::Relation)?;
                *sum += coefficient * weight;
            }
            products.extend(check.products.iter().map(|(pads, c)| (*pads, c * weight)));
        }
        let factors = masked.factors.clone();
        let known = |pad: &usize| factors.binary_search(pad).is_ok();
        if !products.iter().all(|([i, j], _)| known(i) && known(j)) {
            return Err(Rejection::Relation);
        }
        let Reduced { groups, point, values, .. } = reduced;
        Ok(Self { groups, point, factors, products, values, constant, linear })
    }

    /// How many pads there are.
    pub fn pads(&self) -> usize {
        self.linear.len()
    }

    /// The equation's products, bilinear: at one vector twice, or at two.
    fn quadratic(&self, at: impl Fn(usize) -> Fr) -> Fr {
        self.products.iter().map(|([i, j], c)| at(*i) * at(*j) * c).sum()
    }

    /// The inner product that all is reduced to: `Σ θ^g ⟨f_g, eq⟩ + ⟨pads, weights⟩ = value`.
    pub fn inner_product(&self, answers: &Answers) -> InnerProduct {
        let Answers { cross, opener, factors, batching } = answers;
        let batching = powers(*batching, self.groups.len() + self.factors.len() + 1);
        let (of_groups, rest) = batching.split_at(self.groups.len());
        let (of_factors, of_equation) = rest.split_at(self.factors.len());
        let mut weights = vec![Fr::ZERO; self.linear.len()];
        let mut value = Fr::ZERO;
        let mut add = |pad: usize, coefficient: Fr| {
            if let Some(weight) = weights.get_mut(pad) {
                *weight += coefficient;
            }
        };
        for (form, theta) in self.values.iter().zip(of_groups) {
            value += form.constant * theta;
            form.linear.iter().for_each(|(pad, coefficient)| add(*pad, -theta * coefficient));
        }
        // s + e r = w for each factor.
        let mut at = vec![Fr::ZERO; self.linear.len()];
        for ((pad, factor), theta) in self.factors.iter().zip(factors).zip(of_factors) {
            add(pad + 1, *theta);
            add(*pad, theta * opener);
            value += theta * factor;
            if let Some(at) = at.get_mut(*pad) {
                *at = *factor;
            }
        }
        // u0 + e u1 + e² linear = T0 + e T1 − e² constant − products(w).
        let theta = of_equation.first().copied().unwrap_or(Fr::ZERO);
        let square = opener.square();
        add(0, theta);
        add(1, theta * opener);
        self.linear.iter().enumerate().for_each(|(pad, c)| add(pad, theta * square * c));
        let products = self.quadratic(|pad| at.get(pad).copied().unwrap_or(Fr::ZERO));
        let [zeroth, first] = cross;
        value += theta * (zeroth + opener * first - square * self.constant - products);
        InnerProduct { rows: of_groups.to_vec(), weights, value }
    }
}

/// What the prover answers about the factors, and the challenges between.
#[derive(Debug, Clone)]
pub struct Answers {
    /// `T0` and `T1`: the products of the second pads, and the mixed ones, masked.
    pub cross: [Fr; 2],
    /// `e`, which answers them.
    pub opener: Fr,
    /// `w`: each factor's `s + e r`.
    pub factors: Vec<Fr>,
    /// `θ`, which answers them.
    pub batching: Fr,
}

/// `Σ rows_g · ⟨f_g, eq(point, ·)⟩ + ⟨pads, weights⟩ = value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InnerProduct {
    /// Each group's factor.
    pub rows: Vec<Fr>,
    /// Each pad's.
    pub weights: Vec<Fr>,
    /// The value.
    pub value: Fr,
}

fn open<C: Coins>(
    messages: &mut Messages<'_, C>,
    relation: &Relation,
) -> Result<InnerProduct, Rejection> {
    let (cross, opener) = messages.array::<2>(Tag::Products)?;
    let (factors, batching) = Dialogue::scalars(messages, Tag::Factors, relation.factors.len())?;
    Ok(relation.inner_product(&Answers { cross, opener, factors, batching }))
}

fn evaluate(polynomial: &[Fr], x: Fr) -> Fr {
    polynomial.iter().rev().fold(Fr::ZERO, |sum, coefficient| sum * x + coefficient)
}

impl InnerProduct {
    /// Verifies the inner product, with fresh vectors added to rows and pads, at two points.
    fn verify<C: Coins>(
        &self,
        messages: &mut Messages<'_, C>,
        relation: &Relation,
        vectors: [&[G1Affine]; 3],
        pads: &[G1Affine],
    ) -> Result<(), Rejection> {
        let (fresh, _) = messages.points(Tag::Fresh, 1 + pads.len())?;
        let ([fresh_value], xi) = messages.array::<1>(Tag::FreshValue)?;
        let value = self.value + xi * fresh_value;
        let (symmetric, beta) = messages.points(Tag::Symmetric, 1)?;
        let (ends, mu) = Dialogue::scalars(messages, Tag::Ends, 4 + 2 * pads.len())?;
        let ([blinding], _) = messages.array::<1>(Tag::Blinding)?;
        let (quotient, _) = messages.points(Tag::Quotient, 1)?;
        let inverse = beta.invert().into_option().ok_or(Rejection::Relation)?;

        // f, S, then the pads' rows, each at β and 1/β.
        let (ends, _) = ends.as_chunks::<2>();
        let weighted = |at: Fr| {
            let rows = self.weights.chunks(PAD_ROW).map(move |row| evaluate(row, at));
            std::iter::once(weight_polynomial(&relation.point, at)).chain(rows)
        };
        let opened = ends.iter().take(1).chain(ends.iter().skip(2));
        let products = opened.zip(weighted(beta).zip(weighted(inverse)));
        let left: Fr =
            products.map(|([f, f_inverse], (w, w_inverse))| f * w_inverse + f_inverse * w).sum();
        let [s, s_inverse] = ends.get(1).copied().ok_or(Rejection::ProofLength)?;
        if left != value.double() + beta * s + inverse * s_inverse {
            return Err(Rejection::Relation);
        }

        let mixing = powers(mu, ends.len());
        let mut terms = opening::fold_rows(&relation.groups, &self.rows, vectors);
        terms.extend(symmetric.into_iter().map(|point| (point, mu)));
        let of_pads = mixing.get(2..).unwrap_or_default();
        terms.extend(pads.iter().copied().zip(of_pads.iter().copied()));
        let of_fresh = std::iter::once(&Fr::ONE).chain(of_pads);
        terms.extend(fresh.into_iter().zip(of_fresh).map(|(point, mix)| (point, xi * mix)));
        terms.push((curve::blinding_base(), -blinding));
        let combined = |side: usize| -> Fr {
            ends.iter().zip(&mixing).filter_map(|(end, mix)| Some(mix * end.get(side)?)).sum()
        };
        opening::pairing(&terms, &quotient, [beta, inverse], [combined(0), combined(1)])
    }
}
