//! The contracts as Rust sees them: bindings, deployment, a typed client and the event reader.
//!
//! The transport comes from outside: the embedded chain's in-process one, or HTTP to any EVM chain.

mod bindings;
mod client;
mod contracts;
mod error;
mod events;
mod proof;

pub use bindings::convert;
pub use bindings::{
    IChallenges as Challenges, IInferences as Inferences, IPayoutVault as PayoutVault,
    IPayouts as Payouts, IRegistry as Registry, IZkKeys as ZkKeys, Token,
};
pub use client::{Client, Receipt};
pub use contracts::{Contracts, DEPLOYMENT_PROXY};
pub use error::{ChainError, Rehearsal};
pub use events::{Event, EventKind, Origin};
pub use proof::{BlockHeader, SlotQuery};
