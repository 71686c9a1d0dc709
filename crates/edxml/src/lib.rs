//! The national edXML message format: a hardened, tolerant streaming reader.
