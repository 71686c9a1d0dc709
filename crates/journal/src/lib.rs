//! The durable journal: its contract, its conformance suite and its engines.
