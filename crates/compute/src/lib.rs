//! Probity: compute.
