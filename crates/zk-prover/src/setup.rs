//! Set-up: padding and committing a model's weights.

use probity_zk::{
    KeyError, Model, ModelKey, NetworkError, Shape, Stage,
    model::{Weights, channel_axes, scaled_bias},
    plan::Plan,
    weights,
};

use crate::{
    ceremony::{blind, commit_small},
    masks::{Secret, Seed, Stream},
};

/// A model, its committed vector and its key.
#[derive(Debug, Clone)]
pub struct ProvingKey {
    pub(crate) model: Model,
    pub(crate) values: Vec<i64>,
    pub(crate) key: ModelKey,
    /// What blinds the rows of a hiding key.
    pub(crate) blinding: Option<Secret>,
}

impl ProvingKey {
    /// Takes the commitments from a model's own key instead of making them; `None` if the key is of
    /// another network, or hides its weights. Proofs by a key of other weights do not verify.
    pub fn with_key(model: Model, key: ModelKey) -> Option<Self> {
        let values = pad(&model).ok()?;
        let own = key.network() == model.network() && key.stage() == Stage::Succinct;
        own.then_some(Self { model, values, key, blinding: None })
    }

    /// The same of a key that hides its weights, with the randomness that it was made with.
    pub fn with_hiding_key(model: Model, key: ModelKey, seed: &Seed) -> Option<Self> {
        let values = pad(&model).ok()?;
        let own = key.network() == model.network() && key.stage() == Stage::Hiding;
        let blinding = Some(blinding(&model, seed, key.rows().len()));
        own.then_some(Self { model, values, key, blinding })
    }

    /// Commits the weights. Deterministic: anyone can do it again and compare keys.
    pub fn new(model: Model) -> Result<Self, KeyError> {
        let values = pad(&model)?;
        let network = model.network();
        let rows = values.chunks(1 << network.row_bits).map(commit_small).collect();
        let key = ModelKey::new(network.clone(), rows)?;
        Ok(Self { model, values, key, blinding: None })
    }

    /// Commits the weights so that the key shows nothing of them but the network. Only who has the
    /// model and the seed can make the key again, and prove with it.
    pub fn hiding(model: Model, seed: &Seed) -> Result<Self, KeyError> {
        let values = pad(&model)?;
        let network = model.network();
        let rows = values.chunks(1 << network.row_bits);
        let blinding = blinding(&model, seed, rows.len());
        let rows = rows.zip(blinding.iter()).map(|(row, b)| blind(commit_small(row), *b)).collect();
        let key = ModelKey::hiding(network.clone(), rows)?;
        Ok(Self { model, values, key, blinding: Some(blinding) })
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

fn blinding(model: &Model, seed: &Seed, rows: usize) -> Secret {
    Stream::new(seed, b"probity-zk/1/hiding key", &[&model.encode()]).take(rows)
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
                let channels = channel_axes(operation).len();
                place(&mut values[offset..], shape.split_at(channels), own, weights)?;
            }
        }
        if let Some(column) = places.bias {
            let offset = plan.key.get(column).offset;
            let sizes = operation.bias_axes().and_then(|a| operation.shape.dimensions().get(a));
            let shape = Shape::new(sizes.unwrap_or_default())?;
            for (at, bias) in shape.padded().iter().zip(scaled_bias(operation, weights)) {
                values[offset + at] = bias;
            }
        }
    }
    for (table, listed) in plan.tables.iter().zip(model.tables()) {
        if let Some(column) = table.values {
            let offset = plan.key.get(column).offset;
            for (value, entry) in values[offset..].iter_mut().zip(listed) {
                *value = i64::from(*entry);
            }
        }
    }
    Ok(values)
}

/// Puts weights times their channel's multiplier where the padded index says.
fn place(
    values: &mut [i64],
    (channels, inner): (&[u32], &[u32]),
    own: &[i8],
    weights: &Weights,
) -> Result<(), NetworkError> {
    let (channels, inner) = (Shape::new(channels)?, Shape::new(inner)?);
    let order = weights::places(&[channels.dimensions(), inner.dimensions()].concat());
    let (places, bits) = (inner.padded(), inner.bits());
    let rows = channels.padded().into_iter().zip(own.chunks(inner.len()));
    for ((channel, row), multiplier) in rows.zip(&weights.multipliers) {
        for (place, weight) in places.iter().zip(row) {
            let place = (channel << bits) + place;
            let place = order.as_ref().map_or(place, |order| order[place]);
            values[place] = i64::from(*weight) * i64::from(*multiplier);
        }
    }
    Ok(())
}
