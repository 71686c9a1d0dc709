//! Generated gRPC code of `proto/`; the protocol is described there. The one member that does not opt in to the workspace lints.

#![allow(clippy::all)] // generated: what clippy finds here cannot be mended here

/// All files of `proto/` as a serialized `FileDescriptorSet`, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("truc");

/// Between edges and the broker.
pub mod broker {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("truc.broker.v1");
    }
}

/// The directory, as broker and edges show it.
pub mod directory {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("truc.directory.v1");
    }
}

/// Between a document-management system and its edge.
pub mod edge {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("truc.edge.v1");
    }
}

/// What operators look with.
pub mod admin {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("truc.admin.v1");
    }
}
