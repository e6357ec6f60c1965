//! The statement log as files: RFC 6962 tree, C2SP tlog-tiles layout.
//!
//! ```text
//! checkpoint              the last signed checkpoint                        public
//! tile/<L>/<N>[.p/<W>]    hashes                                            public
//! tile/entries/<N>[.p/W]  entries                                           public
//! journal                 entries that are not in a full bundle yet         private
//! lock                    held by the one writer                            private
//! ```
//!
//! The public files are what any tlog client reads, so a plain web server can serve them. An append
//! is one synced write to the journal: it is on disk, as a whole, before it is acknowledged. Full
//! bundles and tiles follow from the journal and are never written twice; partial ones are written
//! with each checkpoint.
//!
//! ```
//! use probity_core::log::{SignerKey, leaf_hash};
//! use probity_store::log::LogStore;
//!
//! let dir = tempfile::tempdir()?;
//! let mut log = LogStore::open(dir.path(), "log.example/statements")?;
//! let added = log.append(&["a statement", "another"])?;
//! assert_eq!(added, 0..2);
//! log.prove_inclusion(1, 2)?.verify(&leaf_hash(b"another"), &log.root())?;
//!
//! let key = SignerKey::from_seed("log.example/statements", &[7; 32])?;
//! log.checkpoint(&key)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod folder;
mod journal;
mod store;

pub use error::LogError;
pub use folder::{LogFolder, LogReport};
pub use store::{LogStore, MAX_BATCH_BYTES};
