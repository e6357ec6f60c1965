//! The tables of a network being made.

use probity_zk::{Network, Table, table::MAX_TABLE_BITS};

/// The tables every quantised network has while it is made.
pub(super) const CLAMP: u8 = 0;
pub(super) const RELU: u8 = 1;
pub(super) const POSITIVE: u8 = 2;

/// What a listed table makes of an index, in units of its results.
type Listing = Box<dyn Fn(i64) -> f64>;

/// A table, and what it lists if it does.
struct Lookup {
    table: Table,
    listing: Option<Listing>,
}

/// Tables; the first three saturate.
pub(super) struct Tables(Vec<Lookup>);

impl Tables {
    /// Saturation to as many bits below the sign, and differences of such values.
    pub(super) fn new(low: u8) -> Self {
        let saturating = |bits, low, signed| {
            let table = Table::clamp(bits, low, signed);
            Lookup { table, listing: None }
        };
        Self(vec![
            saturating(low + 2, low, true),
            saturating(low + 2, low, false),
            saturating(low + 2, low + 1, false),
        ])
    }

    /// A listed table; what it lists for 0 is 0 whatever the listing says.
    pub(super) fn list(
        &mut self,
        bits: u8,
        signed: bool,
        listing: impl Fn(i64) -> f64 + 'static,
    ) -> u8 {
        let table = Table::Listed { bits, signed };
        self.0.push(Lookup { table, listing: Some(Box::new(listing)) });
        u8::try_from(self.0.len() - 1).unwrap_or(u8::MAX)
    }

    /// The tables alone.
    pub(super) fn tables(&self) -> Vec<Table> {
        self.0.iter().map(|lookup| lookup.table).collect()
    }

    /// What is listed, rounded.
    pub(super) fn listed(&self) -> Vec<Vec<i32>> {
        let entries = |lookup: &Lookup| {
            let Some(listing) = &lookup.listing else { return vec![] };
            let entry = |u: i64| if u == 0 { 0 } else { round(listing(u)) };
            (lookup.table.min()..lookup.table.end()).map(entry).collect()
        };
        self.0.iter().map(entries).collect()
    }

    /// Grows a table until it holds what may be looked up; whether that is possible.
    pub(super) fn grow(&mut self, table: usize, reach: i64, bound: i64) -> bool {
        let Some(Lookup { table, .. }) = self.0.get_mut(table) else { return false };
        if bound != table.end() || reach < bound || table.bits() >= MAX_TABLE_BITS {
            return false;
        }
        while reach >= table.end() && table.bits() < MAX_TABLE_BITS {
            let (Table::Clamp { bits, .. } | Table::Listed { bits, .. }) = table;
            *bits += 1;
        }
        true
    }

    /// Drops the tables that no operation uses.
    pub(super) fn keep_used(&mut self, network: &mut Network) {
        let used = |table: usize| {
            network.operations.iter().any(|op| op.table.map(usize::from) == Some(table))
        };
        let kept: Vec<usize> = (0..self.0.len()).filter(|table| used(*table)).collect();
        for operation in &mut network.operations {
            let own = operation.table.map(usize::from);
            let place = kept.iter().position(|table| Some(*table) == own);
            operation.table = place.and_then(|place| u8::try_from(place).ok());
        }
        let mut index = 0;
        self.0.retain(|_| {
            index += 1;
            kept.contains(&(index - 1))
        });
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a float converted saturates")]
fn round(x: f64) -> i32 {
    x.round() as i32
}
