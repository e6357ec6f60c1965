//! Probity: chain.
