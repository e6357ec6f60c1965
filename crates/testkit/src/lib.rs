//! Probity: testkit.
