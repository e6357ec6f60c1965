//! Probity: core.
