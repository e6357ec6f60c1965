//! The use cases: a workspace folder with its chain, log, objects, index and keys, and everything
//! a creator, curator, trainer, accountant or auditor does with it.

pub mod archive;
mod contribute;
mod curate;
pub mod demo;
mod dispute;
mod error;
mod evidence;
mod explain;
mod indexer;
mod keyring;
mod revenue;
mod train;
mod workspace;

pub use contribute::{Contribution, Grounds, Work};
pub use curate::{AbsentWork, DatasetPlan};
pub use dispute::{Challenge, Decision, Reason};
pub use error::NodeError;
pub use evidence::audit_bundle;
pub use explain::{Explanation, Subject};
pub use keyring::{KeyEntry, Keyring};
pub use revenue::Claimed;
pub use train::{ModelPlan, Trained};
pub use workspace::{ChainChoice, Config, LogProof, Published, Workspace};
