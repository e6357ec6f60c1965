//! An Ethereum chain inside the process: revm executes, one folder keeps everything, and JSON-RPC
//! clients (alloy, `cast`, viem, wallets) use it like any other node.
//!
//! It is the default for a single operator, as `SQLite` is among databases. A transaction is
//! acknowledged once its block is on disk; the block is then final. Where several parties must
//! agree, the same software runs against a public or permissioned network instead.
//!
//! | Module | Subject |
//! |---|---|
//! | `genesis` | block 0, chain id |
//! | `transaction`, `queue` | accepting transactions, nonce gaps |
//! | `execute`, `state` | building blocks with revm |
//! | `trie` | the state root |
//! | `db`, `recent`, `commit`, `records` | tables, one transaction per block |
//! | `sealer`, `journal`, `recovery` | group commit, durability |
//! | `logs`, `filters`, `rpc` | what clients ask |
//! | `transport`, `server` | how they reach it |
//! | `verify` | re-execution of everything |
//!
//! What differs from a public network:
//! - Blocks are sealed when there is something to seal, and may share a second: a timestamp is
//!   never below its parent's, and never ahead of the clock.
//! - Only the latest state can be queried (`eth_call`, balances, proofs); blocks, receipts and
//!   logs are kept from the beginning.
//! - `prevrandao` follows from the parent's hash: whoever runs the chain knows it beforehand.
//! - No blobs, and none of the system contracts that mainnet's consensus layer writes to.
//!
//! ```
//! use std::sync::Arc;
//! use alloy::providers::{Provider, ProviderBuilder};
//! use alloy::rpc::client::RpcClient;
//! use probity_core::SystemClock;
//! use probity_devchain::{DevChain, Genesis};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let dir = dir.path();
//! let chain = DevChain::create(dir, &Genesis::default(), Arc::new(SystemClock))?;
//! let client = RpcClient::new(chain.transport(), true);
//! let provider = ProviderBuilder::new().connect_client(client);
//! assert_eq!(provider.get_chain_id().await?, chain.chain_id());
//! assert_eq!(provider.get_block_number().await?, 0);
//! # Ok(())
//! # }
//! ```

mod chain;
mod commit;
mod db;
mod error;
mod execute;
mod filters;
mod genesis;
mod journal;
mod lock;
mod logs;
mod queue;
mod recent;
mod records;
mod recovery;
mod rpc;
mod sealer;
mod server;
mod state;
mod transaction;
mod transport;
mod trie;
mod verify;

pub use chain::{DevChain, Options};
pub use error::Error;
pub use genesis::{DEPLOYMENT_PROXY, Genesis, GenesisContract};
pub use rpc::{MAX_BATCH, MAX_REQUEST_BYTES};
pub use transport::Transport;
pub use verify::Report;
