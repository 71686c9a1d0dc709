//! The settings of a broker: each declared once, with its manual. What is made of them stands in `config`.

use std::net::SocketAddr;
use std::path::PathBuf;

use truc_settings::{existing_file, existing_folder, optional, rule, settings};
use truc_transport::logging::LogSettings;
use truc_types::limits::{DISK_RESERVE_BYTES, ENVELOPE_CODES_MAX, LOOPBACK_IDLE_SECONDS, OPEN_DELIVERIES_MAX};

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
        /// Address and port where metrics and readiness are read: /metrics, /livez, /readyz; nowhere without it. It has no TLS: a loopback or
        /// management address.
        pub metrics_listen: Option<SocketAddr> = None, AtStart;
        /// Free bytes on the disk of the data folder below which no new document or attachment is taken in; what is in is still delivered.
        pub disk_reserve_bytes: u64 = DISK_RESERVE_BYTES, AtStart;
        /// Deliveries of open documents beyond which no new document is taken in: each costs about 200 bytes of memory until its recipient has
        /// answered.
        pub open_deliveries_max: u64 = OPEN_DELIVERIES_MAX, AtStart, rule("at least 200", |max: &u64| {
            if *max < ENVELOPE_CODES_MAX as u64 { Err(format!("is below {ENVELOPE_CODES_MAX}, the recipients of one document")) } else { Ok(()) }
        });
        /// Seconds without a real document through the whole path after which the broker sends a signed message to itself; 0 turns that off.
        pub loopback_idle_seconds: u64 = LOOPBACK_IDLE_SECONDS, AtStart;
        /// Whether the gRPC port describes its services to tools (grpc.reflection v1 and v1alpha).
        pub reflection: bool = true, AtStart;
    }
    sections {
        /// What is logged, and how.
        pub log: LogSettings;
    }
}
