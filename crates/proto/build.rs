//! Compiles the protos with protox: nobody has to install protoc.

use std::path::Path;

use prost::Message as _;

const FILES: [&str; 13] = [
    "truc/broker/v1/evidence.proto",
    "truc/broker/v1/submit_service.proto",
    "truc/broker/v1/delivery_service.proto",
    "truc/broker/v1/blob_service.proto",
    "truc/broker/v1/directory_service.proto",
    "truc/broker/v1/log_service.proto",
    "truc/directory/v1/directory.proto",
    "truc/edge/v1/document.proto",
    "truc/edge/v1/document_service.proto",
    "truc/edge/v1/directory_service.proto",
    "truc/admin/v1/check.proto",
    "truc/admin/v1/broker_admin_service.proto",
    "truc/admin/v1/edge_admin_service.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let descriptors = protox::compile(FILES, [&root])?;
    // For reflection: tools on the gRPC ports see what the services look like.
    let out = std::env::var_os("OUT_DIR").ok_or("cargo names OUT_DIR")?;
    std::fs::write(Path::new(&out).join("truc.bin"), descriptors.encode_to_vec())?;
    // Statements and attachment data stay in the buffer they arrived in.
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
