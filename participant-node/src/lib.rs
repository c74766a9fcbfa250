//! participant-node
