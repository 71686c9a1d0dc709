//! The metrics of an edge: one table. docs/metrics.md says the same, and a test holds the two together. How they are counted is `meters`.
//!
//! Every one has the label `agency`: one process may host many edges.

use truc_transport::metrics::{Description, Kind, Metrics};
use truc_transport::process;

macro_rules! table {
    ($($constant:ident $name:literal $kind:ident $unit:literal [$($label:literal),*] $help:literal)*) => {
        $(pub(crate) const $constant: Description = Description {
            name: concat!("truc_edge_", $name), kind: Kind::$kind, unit: $unit, labels: &["agency" $(, $label)*], help: $help,
        };)*

        /// Every metric of an edge.
        pub const TABLE: &[&Description] = &[$(&$constant),*];
    };
}

table! {
    BUILD_INFO "build_info" Gauge "1" ["version"] "Release of this process"
    READY "ready" Gauge "1 or 0" [] "Whether the edge is ready, as /readyz says; it is without the axis"
    CHECK "check_passing" Gauge "1 or 0" ["check"] "Whether a check passes; `link` is shown and does not decide on readiness"
    OUTBOX "outbox_documents" Gauge "documents" ["stage"] "Documents that have not reached the axis: stored or sealed; at most 10,000 are looked at"
    OUTBOX_OLDEST "outbox_oldest_seconds" Gauge "seconds" [] "Age of the oldest of them; 0 without any"
    INBOX "inbox_unconfirmed_documents" Gauge "documents" [] "Documents that are shown to the document-management system and not confirmed by it"
    RECEIPTS "receipts_pending" Gauge "receipts" [] "Events that are not in the log yet as a receipt; at most 10,000 are looked at"
    FEED "feed_cursor_receipts" Gauge "receipts" [] "Receipts of recipients that are stored"
    LINK "link_connected" Gauge "1 or 0" [] "Whether the edge is connected to the axis with its term open"
    LINK_AWAY "link_disconnected_seconds" Gauge "seconds" [] "Time since the last connection, or since the start; 0 while connected"
    CONNECTED "link_connections_total" Counter "connections" [] "Connections that came about"
    ACCEPTED "accepted_total" Counter "statements" [] "Statements that the axis accepted: documents, receipts, terms"
    REFUSALS "refusals_total" Counter "statements" ["reason"] "Statements that the axis refused, by reason"
    DELIVERED "deliveries_total" Counter "deliveries" ["outcome"] "Deliveries that came: taken, or given back"
    UPLOADED "uploaded_bytes_total" Counter "bytes" [] "Bytes of attachments to the axis"
    DOWNLOADED "downloaded_bytes_total" Counter "bytes" [] "Bytes of attachments from the axis"
    WITNESS "witness_size_leaves" Gauge "leaves" [] "Size of the axis' log that is proved to extend all that was seen before"
    ALARMS "witness_alarms_total" Counter "alarms" ["kind"] "Proofs and seals of the axis that do not hold: fork (two histories; the edge ends) or invalid"
    CERTIFICATE "certificate_expiry_seconds" Gauge "seconds" ["role"] "Time until a certificate ends, below zero after it: tls, seal, operator, authority"
    DISK_FREE "disk_free_bytes" Gauge "bytes" [] "Free bytes on the disk of the data folder"
    DISK_SIZE "disk_size_bytes" Gauge "bytes" [] "Size of that disk"
    DISK_RESERVE "disk_reserve_bytes" Gauge "bytes" [] "Free bytes below which no new document is taken from the document-management system"
    CLOCK_SKEW "clock_skew_seconds" Gauge "seconds" [] "How far this machine's clock is ahead of the axis', at the last comparison"
    CLOCK_JUMPS "clock_jumps_total" Counter "jumps" [] "Jumps of the clock against the clock that only counts"
}

/// Metrics with this table, for one edge or for all edges of a process.
#[must_use]
pub fn new() -> Metrics {
    Metrics::new(&[TABLE, process::TABLE])
}

#[cfg(test)]
mod tests {
    use truc_transport::metrics::markdown;

    use super::TABLE;

    #[test]
    fn the_documentation_has_this_table() {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md")).unwrap();
        let table = markdown(TABLE);
        assert!(page.contains(&table), "docs/metrics.md has not exactly\n{table}");
    }
}
