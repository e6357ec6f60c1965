//! Manifests in media files: written, read, tampered with, and by other people's library.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops")]

mod credentials;
mod hostile;
mod peer;
mod world;
mod written;
