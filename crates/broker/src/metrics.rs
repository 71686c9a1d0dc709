//! The metrics of the broker: one table. docs/metrics.md says the same, and a test holds the two together. How they are counted is `meters`.

use truc_transport::metrics::{Description, Kind};

macro_rules! table {
    ($($constant:ident $name:literal $kind:ident $unit:literal [$($label:literal),*] $help:literal)*) => {
        $(pub(crate) const $constant: Description = Description {
            name: concat!("truc_broker_", $name), kind: Kind::$kind, unit: $unit, labels: &[$($label),*], help: $help,
        };)*

        /// Every metric of the broker.
        pub const TABLE: &[&Description] = &[$(&$constant),*];
    };
}

table! {
    BUILD_INFO "build_info" Gauge "1" ["version"] "Release of this process"
    READY "ready" Gauge "1 or 0" [] "Whether the broker is ready, as /readyz says"
    CHECK "check_passing" Gauge "1 or 0" ["check"] "Whether a check of readiness passes; one that is off passes"
    SUBMISSIONS "submissions_total" Counter "statements" ["outcome"] "Statements that were answered: accepted, repeated (the original acceptance) or refused"
    REFUSALS "refusals_total" Counter "statements" ["reason"] "Statements that were refused, by reason"
    SUBMIT "submit_seconds" Latency "seconds" [] "From the reading of a statement to its answer"
    COMMIT "commit_seconds" Latency "seconds" [] "Append of one block, until it is durable"
    DELIVERY "delivery_seconds" Wait "seconds" [] "From the acceptance of a document to the fetched receipt of a recipient"
    BLOCKS "blocks_total" Counter "blocks" [] "Blocks that became durable"
    ENTRIES "block_entries_total" Counter "entries" [] "Entries of these blocks"
    BLOCK_BYTES "block_bytes_total" Counter "bytes" [] "Bytes of these entries"
    POSITION "journal_position_entries" Gauge "entries" [] "Durable entries of the journal"
    DURABLE_LAG "durable_lag_entries" Gauge "entries" [] "Entries that are decided and not durable yet"
    VIEWS_LAG "views_lag_entries" Gauge "entries" [] "Durable entries that the views do not have yet"
    BLOCK_AHEAD "block_time_ahead_seconds" Gauge "seconds" [] "Time of the newest block less the clock when it became durable; above zero after a backward step"
    OPEN "open_messages" Gauge "documents" [] "Documents that some recipient has neither acknowledged nor refused"
    QUEUE "queue_documents" Gauge "documents" ["agency", "lane"] "Documents that wait for the edge of an agency, by lane"
    QUEUE_OLDEST "queue_oldest_seconds" Gauge "seconds" ["agency", "lane"] "Age of the oldest of them since its acceptance; 0 without any"
    LEASES "leases" Gauge "deliveries" [] "Deliveries that are leased to edges now"
    DELIVERIES "deliveries_total" Counter "deliveries" [] "Deliveries that were offered to edges, repetitions included"
    REDELIVERIES "redeliveries_total" Counter "deliveries" [] "Deliveries that had been offered before"
    FETCHED "fetched_total" Counter "deliveries" [] "Deliveries whose fetched receipt became durable"
    CONNECTIONS "connections" Gauge "connections" [] "Connections of edges"
    STREAMS "streams" Gauge "streams" ["kind"] "Open streams of edges: submit and deliver"
    BLOB_RECEIVED "blob_received_bytes_total" Counter "bytes" [] "Bytes of attachments that edges uploaded"
    BLOB_SENT "blob_sent_bytes_total" Counter "bytes" [] "Bytes of attachments that edges downloaded"
    BLOB_STORED "blob_stored_bytes" Gauge "bytes" [] "Bytes of attachments that are stored: counted at the start and every hour"
    UPLOADS "uploads_open" Gauge "uploads" [] "Uploads that are not finished"
    CERTIFICATE "certificate_expiry_seconds" Gauge "seconds" ["role"] "Time until a certificate ends, below zero after it: tls, authority, operator, loopback, and seal for the first of the registry's to end"
    DISK_FREE "disk_free_bytes" Gauge "bytes" [] "Free bytes on the disk of the data folder"
    DISK_SIZE "disk_size_bytes" Gauge "bytes" [] "Size of that disk"
    DISK_RESERVE "disk_reserve_bytes" Gauge "bytes" [] "Free bytes below which nothing new is taken in"
    CLOCK_JUMPS "clock_jumps_total" Counter "jumps" [] "Jumps of the clock against the clock that only counts"
    LOOPBACK "loopback_total" Counter "messages" ["outcome"] "Signed loopback messages: passed or failed. They stand in no other metric but those of blocks, positions, connections and bytes of attachments"
    LOOPBACK_SECONDS "loopback_seconds" Latency "seconds" [] "From the connection to the receipt in the feed, of loopback messages that came back"
}

#[cfg(test)]
mod tests {
    use truc_transport::metrics::markdown;
    use truc_transport::process;

    use super::TABLE;

    #[test]
    fn the_documentation_has_this_table() {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md")).unwrap();
        for table in [TABLE, process::TABLE] {
            let table = markdown(table);
            assert!(page.contains(&table), "docs/metrics.md has not exactly\n{table}");
        }
    }
}
