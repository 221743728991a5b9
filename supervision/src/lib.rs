//! Who starts, stops and restarts whom.
