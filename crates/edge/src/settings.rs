//! The settings of an edge: each declared once, with its manual. What is made of them stands in `config`.

use std::net::SocketAddr;
use std::path::PathBuf;

use truc_settings::{existing_file, existing_folder, optional, rule, settings};
use truc_transport::logging::LogSettings;
use truc_types::AgencyCode;
use truc_types::limits::DISK_RESERVE_BYTES;

use crate::config::{check_listen, parse_broker};

settings! {
    /// Settings of an edge.
    pub struct EdgeSettings {
        /// The data folder that `truc edge init` made: keys, journal, attachments. Relative paths are seen from the folder of this file.
        pub data: PathBuf = PathBuf::from("."), AtStart, existing_folder();
        /// Code of the agency that this edge serves; the certificates in the data folder name the same.
        pub agency: String = String::new(), AtStart, rule("a code like \"G22\"", |code: &String| match code.as_str() {
            "" => Err("is not given".to_owned()),
            code => code.parse::<AgencyCode>().map(|_| ()).map_err(|cause| format!("is {code:?}: {cause}")),
        });
        /// Address of the broker.
        pub broker: String = String::new(), AtStart, rule("like \"https://broker.example:7443\"", |url: &String| {
            if url.is_empty() { Err("is not given".to_owned()) } else { parse_broker(url).map(|_| ()) }
        });
        /// Address and port where the document-management system connects, a loopback address; port 0 takes a free one at every start.
        pub listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 0)), AtStart, rule("a loopback address", |listen| check_listen(*listen));
        /// File with the password of the key files, on one line. Without it the environment variable TRUC_KEY_PASSWORD is read.
        pub password_file: Option<PathBuf> = None, AtStart, optional(existing_file());
        /// Address and port where metrics and readiness are read: /metrics, /livez, /readyz; nowhere without it. It has no TLS: a loopback or
        /// management address.
        pub metrics_listen: Option<SocketAddr> = None, AtStart;
        /// Free bytes on the disk of the data folder below which no new document is taken; what is in is still sent and delivered.
        pub disk_reserve_bytes: u64 = DISK_RESERVE_BYTES, AtStart;
        /// Whether the gRPC port describes its services to tools (grpc.reflection v1 and v1alpha).
        pub reflection: bool = true, AtStart;
    }
    sections {
        /// What is logged, and how.
        pub log: LogSettings;
    }
}
