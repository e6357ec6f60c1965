//! The use cases: a workspace folder with its chain, log, objects, index and keys, and everything
//! a creator, curator, trainer, accountant or auditor does with it.

pub mod archive;
mod binding;
mod checkpoint;
mod command;
mod contribute;
mod curate;
pub mod dataset_folder;
pub mod demo;
mod diff;
mod dispute;
mod erase;
mod error;
mod evidence;
mod explain;
mod folder;
mod indexer;
pub mod inference;
mod keyring;
mod lineage;
mod model;
mod permission;
mod revenue;
mod similar;
pub mod simulate;
mod tables;
mod train;
mod workspace;

pub use checkpoint::CheckpointPlan;
pub use command::{CommandPlan, CommandRun, RunReport, RunState, Shown};
pub use contribute::{Contribution, Grounds, Work};
pub use curate::{AbsentWork, DatasetPlan};
pub use diff::{FileChange, Listed, ModelDiff};
pub use dispute::{Challenge, Decision, Reason};
pub use erase::Erased;
pub use error::NodeError;
pub use evidence::audit_bundle;
pub use explain::{Explanation, Subject};
pub use folder::hash_folder;
pub use keyring::{KeyEntry, Keyring};
pub use model::{SignedFolder, sign_folder, verify_folder};
pub use revenue::{Claimed, claimable};
pub use similar::{Similar, SimilarWorks, Sought};
pub use tables::Tables;
pub use train::{ModelPlan, Trained};
pub use workspace::{ChainChoice, Config, LogProof, Published, Workspace};
