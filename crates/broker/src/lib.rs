//! The broker: one sequencer over the journal, and the gRPC services around it.
