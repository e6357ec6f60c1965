//! Set-up: padding and committing a model's weights.

use probity_zk::{
    KeyError, Model, ModelKey,
    network::{Shape, bits},
    plan::Plan,
};

use crate::ceremony::commit_small;

/// A model, its committed vector and its key.
#[derive(Debug, Clone)]
pub struct ProvingKey {
    pub(crate) model: Model,
    pub(crate) values: Vec<i64>,
    pub(crate) key: ModelKey,
}

impl ProvingKey {
    /// Takes the commitments from a model's own key instead of making them; `None` if the key is of
    /// another network. Proofs by a key of other weights do not verify.
    pub fn with_key(model: Model, key: ModelKey) -> Option<Self> {
        let values = pad(&model).ok()?;
        (key.network() == model.network()).then_some(Self { model, values, key })
    }

    /// Commits the weights. Deterministic: anyone can do it again and compare keys.
    pub fn new(model: Model) -> Result<Self, KeyError> {
        let values = pad(&model)?;
        let network = model.network();
        let rows = values.chunks(1 << network.row_bits).map(commit_small).collect();
        let key = ModelKey::new(network.clone(), rows)?;
        Ok(Self { model, values, key })
    }

    /// What a verifier needs.
    pub fn model_key(&self) -> &ModelKey {
        &self.key
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }
}

/// The key's vector: every column in its place.
fn pad(model: &Model) -> Result<Vec<i64>, KeyError> {
    let network = model.network();
    network.check()?;
    let plan = Plan::new(network, 1)?;
    let row = 1usize << network.row_bits;
    let mut values = vec![0i64; plan.key.rows(network.row_bits) * row];
    for (index, (operation, weights)) in network.operations.iter().zip(model.weights()).enumerate()
    {
        let Some(places) = plan.operations.get(index) else { continue };
        for ((term, own), column) in operation.terms.iter().zip(&weights.terms).zip(&places.weights)
        {
            let shape = term.weights(&operation.shape, network.tensor(term.input()));
            if let (Some(column), Some(shape)) = (column, shape) {
                let offset = plan.key.get(*column).offset;
                place(&mut values[offset..], &shape, own, &weights.multipliers);
            }
        }
        if let Some(column) = places.bias {
            let offset = plan.key.get(column).offset;
            let scaled = weights.bias.iter().enumerate().map(|(channel, bias)| {
                let multiplier = weights.multipliers.get(channel).copied().unwrap_or(1);
                i64::from(*bias) * i64::from(multiplier)
            });
            for (value, bias) in values[offset..].iter_mut().zip(scaled) {
                *value = bias;
            }
        }
    }
    Ok(values)
}

/// Puts weights times their channel's multiplier where the padded index says.
fn place(values: &mut [i64], shape: &[u32], weights: &[i8], multipliers: &[i32]) {
    let Some((channels, inner)) = shape.split_first() else { return };
    let Ok(inner) = Shape::new(inner) else { return };
    let (places, stride) = (inner.padded(), 1usize << inner.bits());
    debug_assert!(bits(*channels) < 32);
    for ((row, own), multiplier) in
        values.chunks_mut(stride).zip(weights.chunks(inner.len())).zip(multipliers)
    {
        for (place, weight) in places.iter().zip(own) {
            row[*place] = i64::from(*weight) * i64::from(*multiplier);
        }
    }
}
