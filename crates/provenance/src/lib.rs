//! Probity: provenance.
