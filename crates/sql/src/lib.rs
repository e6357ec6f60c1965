//! Datasets built by SQL over Parquet tables: what `probity dataset build` decides in memory, over more
//! works than memory holds, by `DataFusion` in this process or by a Ballista cluster.
//!
//! The statements are in `src/sql`; [`statements`] shows them as they are run. Whatever the engine is, the
//! folder that comes out is the one that a build in memory gives, byte for byte, with the same Merkle root.
//!
//! | Module | Subject |
//! |---|---|
//! | `rules` | a policy as SQL |
//! | `engine` | where the SQL runs, and in how much memory |
//! | `build` | the order of the statements |
//! | `rows` | what comes back, checked |
//! | `folder` | the dataset's files, written as rows come |

mod build;
mod engine;
mod error;
mod folder;
mod rows;
mod rules;

pub use build::{Built, MAX_ROUNDS, build, statements};
pub use engine::{Engine, Settings};
pub use error::SqlError;
