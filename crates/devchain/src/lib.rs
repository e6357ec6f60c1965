//! Probity: devchain.
