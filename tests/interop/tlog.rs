//! An independent tlog client.
