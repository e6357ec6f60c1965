//! What a Probity node keeps: blobs by digest, a metadata index that can be rebuilt, and the
//! append-only statement log.
//!
//! | Module | Subject | Truth or derived |
//! |---|---|---|
//! | [`objects`] | content-addressed blobs in a folder or an S3 bucket | truth, checked at every read |
//! | [`log`] | the RFC 6962 statement log as C2SP tlog-tiles files | truth, signed |
//! | [`index`] | what the chain and the log say, for queries | derived from both |
//!
//! An acknowledged write survives a kill and a power cut: files are synced before they get their
//! name, folders after.

mod files;
pub mod index;
pub mod log;
pub mod objects;

pub use files::{replace_all, replace_all_with_secrets};
