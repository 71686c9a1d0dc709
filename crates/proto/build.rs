//! Compiles the protos with protox: nobody has to install protoc.

use std::path::Path;

const FILES: [&str; 8] = [
    "truc/broker/v1/evidence.proto",
    "truc/broker/v1/submit_service.proto",
    "truc/broker/v1/delivery_service.proto",
    "truc/broker/v1/blob_service.proto",
    "truc/broker/v1/directory_service.proto",
    "truc/broker/v1/log_service.proto",
    "truc/edge/v1/document.proto",
    "truc/edge/v1/document_service.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let descriptors = protox::compile(FILES, [&root])?;
    // Statements and attachment data stay in the buffer they arrived in.
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
