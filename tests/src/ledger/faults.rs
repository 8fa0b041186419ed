//! Faults at every write.
