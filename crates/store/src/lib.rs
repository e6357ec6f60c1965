//! Probity: store.
