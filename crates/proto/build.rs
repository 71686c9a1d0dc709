//! Compiles the protos with protox: no protoc is needed.
fn main() {}
