//! The settings of a broker: each declared once, with its manual. What is made of them stands in `config`.

use std::net::SocketAddr;
use std::path::PathBuf;

use truc_settings::{existing_file, existing_folder, optional, rule, settings};
use truc_transport::logging::LogSettings;

settings! {
    /// Settings of a broker.
    pub struct BrokerSettings {
        /// The data folder that `truc broker init` made: keys, journal, attachments. Relative paths are seen from the folder of this file.
        pub data: PathBuf = PathBuf::from("."), AtStart, existing_folder();
        /// Address and port where edges connect, over mutual TLS; port 0 takes a free one at every start.
        pub listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 0)), AtStart;
        /// Origin of the log and name of its key. It was fixed when the log was made; another one is another log.
        pub log_origin: String = String::new(), AtStart, rule("like \"truc.example/axis/2026\"", |origin: &String| {
            if origin.is_empty() { Err("is not given; `truc broker init` writes it".to_owned()) } else { Ok(()) }
        });
        /// File with the password of the key files, on one line. Without it the environment variable TRUC_KEY_PASSWORD is read.
        pub password_file: Option<PathBuf> = None, AtStart, optional(existing_file());
        /// Whether the gRPC port describes its services to tools (grpc.reflection v1 and v1alpha).
        pub reflection: bool = true, AtStart;
    }
    sections {
        /// What is logged, and how.
        pub log: LogSettings;
    }
}
