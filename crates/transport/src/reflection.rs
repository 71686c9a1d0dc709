//! gRPC reflection: a port describes its own services to tools such as grpcurl, in both versions that tools speak.

use tonic_reflection::server::v1::{ServerReflection, ServerReflectionServer};
use tonic_reflection::server::{Builder, v1alpha};
use truc_proto::FILE_DESCRIPTOR_SET;
use truc_types::{Reason, Refusal};

/// The two services that describe the services `names`.
///
/// # Errors
/// [`Reason::ConfigInvalid`] when a name is in no proto file; that is a defect.
pub fn services(
    names: &[&'static str],
) -> Result<(ServerReflectionServer<impl ServerReflection>, v1alpha::ServerReflectionServer<impl v1alpha::ServerReflection>), Refusal> {
    let builder = || {
        let sets = [FILE_DESCRIPTOR_SET, tonic_health::pb::FILE_DESCRIPTOR_SET];
        let builder = sets.into_iter().fold(Builder::configure(), Builder::register_encoded_file_descriptor_set);
        names.iter().fold(builder, |builder, name| builder.with_service_name(*name))
    };
    let failed = |cause: tonic_reflection::server::Error| Refusal::new(Reason::ConfigInvalid, format!("reflection: {cause}"));
    Ok((builder().build_v1().map_err(failed)?, builder().build_v1alpha().map_err(failed)?))
}
