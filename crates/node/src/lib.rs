//! Probity: node.
