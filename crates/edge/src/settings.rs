//! The settings of an edge: each declared once, with its manual. What is made of them stands in `config`.

use std::net::SocketAddr;
use std::path::PathBuf;

use truc_settings::{existing_file, existing_folder, optional, range, rule, settings};
use truc_transport::logging::LogSettings;
use truc_types::AgencyCode;
use truc_types::limits::DISK_RESERVE_BYTES;

use crate::config::parse_broker;
use crate::watch;

settings! {
    /// A folder for a document-management system that can only drop and pick up national edXML files.
    pub struct WatchSettings {
        /// The folder: what is dropped into `in/` is sent, what arrives is written to `out/`. Nothing is watched without it.
        pub folder: Option<PathBuf> = None, AtStart;
        /// Secrecy mark of every document that is dropped, because edXML has no field for it: say "none" with `folder`. Only that travels on this axis.
        pub declare_secrecy: String = String::new(), AtStart;
        /// Pause between two scans of `in/`.
        pub poll_millis: u64 = watch::POLL_MILLIS, AtStart, range(1..=60_000);
        /// How long a dropped file must not have changed before it is taken up.
        pub settle_millis: u64 = watch::SETTLE_MILLIS, AtStart, range(1..=600_000);
        /// How long a file that does not end like an edXML file may stay unchanged before it is refused.
        pub patience_millis: u64 = watch::PATIENCE_MILLIS, AtStart, range(1..=86_400_000);
    }
    sections {}
}

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
        /// Address and port where the document-management system connects; port 0 takes a free one at every start. Anything but a loopback address needs
        /// dms_tls_cert and dms_tls_key, and token_file or dms_client_ca.
        pub listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 0)), AtStart;
        /// File with one `name token` a line, mode 0600: every call of the document-management system must carry a token of it. The file is read again
        /// within two seconds of a change.
        pub token_file: Option<PathBuf> = None, AtStart, optional(existing_file());
        /// Certificate chain that the document-management system sees, PEM: serves TLS.
        pub dms_tls_cert: Option<PathBuf> = None, AtStart, optional(existing_file());
        /// Key of that certificate, PKCS#8 PEM.
        pub dms_tls_key: Option<PathBuf> = None, AtStart, optional(existing_file());
        /// Authority of the client certificates that a document-management system must show, PEM.
        pub dms_client_ca: Option<PathBuf> = None, AtStart, optional(existing_file());
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
        /// National edXML files in a folder.
        pub watch: WatchSettings;
    }
}
