//! `truc bench` as a process: it starts real daemons, verifies every answer and reports. Says nothing about speed.

#[cfg(test)]
mod bench {
    use std::process::Command;

    use serde_json::Value;

    /// Runs a bench; what it reported.
    fn found(arguments: &[&str]) -> Value {
        let output = Command::new(env!("CARGO_BIN_EXE_truc")).args(["--json", "bench"]).args(arguments).output().unwrap();
        let talk = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{talk}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    #[test]
    fn a_short_run_verifies_its_answers_and_reports_figures() {
        let folder = tempfile::tempdir().unwrap();
        let (out, plot) = (folder.path().join("found.json"), folder.path().join("found.svg"));
        let files = ["--out", out.to_str().unwrap(), "--plot", plot.to_str().unwrap()];
        let load = ["submit", "--agencies", "2", "--documents", "200", "--rate", "100", "--seconds", "1", "--size", "3000"];
        let report = found(&[&load[..], &files[..]].concat());
        let written: Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
        assert_eq!(written, report);
        let plot = std::fs::read_to_string(&plot).unwrap();
        assert!(plot.contains("documents/s, verified") && plot.contains("open 100/s"), "{plot}");
        let bytes = report["settings"]["envelope_bytes"].as_u64().unwrap();
        assert!((3_000..4_000).contains(&bytes), "{report}");
        let (machine, closed, open) = (&report["machine"], &report["rows"][0], &report["rows"][1]);
        assert_eq!(closed["verified"], 200, "{report}");
        // One and a half seconds of 100 a second.
        assert_eq!(open["verified"], 150, "{report}");
        assert!(open["latency"]["p99_ms"].as_f64().unwrap() > 0.0, "{report}");
        assert!(closed["cost"]["broker_bytes_written_per_document"].as_f64().unwrap() > 1_000.0, "{report}");
        let syncs = closed["cost"]["broker_syncs_per_document"].as_f64().unwrap();
        assert!(syncs > 0.0 && syncs <= 1.0, "{report}");
        assert!(machine["durability"].as_str().unwrap().starts_with("fdatasync per block"), "{report}");
        assert!(machine["verify_strict_per_second"].as_f64().unwrap() > 1.0, "{report}");
    }

    #[test]
    fn documents_go_the_whole_way_with_light_and_with_real_edges() {
        let report = found(&["loop", "--agencies", "3", "--partners", "2", "--in-flight", "30", "--seconds", "1"]);
        for (row, driver) in report["rows"].as_array().unwrap().iter().zip(["light", "edge"]) {
            assert_eq!(row["driver"], driver, "{report}");
            // Those that were on their way at the same time, at least: all of them are back.
            assert!(row["verified"].as_u64().unwrap() >= 30, "{report}");
        }
        // More than one sync and two seals take.
        assert!(report["rows"][0]["latency"]["p50_ms"].as_f64().is_some_and(|p50| p50 > 0.1), "{report}");
        assert!(report["rows"][0]["documents_per_receipt"].as_f64().unwrap() >= 1.0, "{report}");
        assert!(report["rows"][1]["edge_cpu_us_per_document"].as_f64().unwrap() > 0.0, "{report}");
    }

    #[test]
    fn every_stage_of_a_steady_rate_has_latencies_in_their_order() {
        let report = found(&["steady", "--agencies", "2", "--rate", "20", "--seconds", "2", "--pool", "2"]);
        let rows = report["rows"].as_array().unwrap();
        let stages: Vec<_> = rows.iter().map(|row| row["stage"].as_str().unwrap()).collect();
        assert_eq!(stages, ["stored", "accepted", "shown", "fetched receipt", "acknowledged receipt"]);
        // Two seconds of 20 a second.
        assert!(rows.iter().all(|row| row["latency"]["count"] == 40), "{report}");
        assert!(rows.iter().all(|row| row["p99_ms_by_second"].as_array().is_some_and(|seconds| seconds.len() == 2)), "{report}");
        let p50 = |row: usize| rows[row]["latency"]["p50_ms"].as_f64().unwrap();
        // The sender's DMS may hear of the acceptance after the recipient's sees the document: it is recorded along with what comes next.
        assert!(p50(0) < p50(2) && p50(1) < p50(4) && p50(2) < p50(4), "{report}");
    }

    #[test]
    fn a_large_document_comes_out_as_it_went_in() {
        let report = found(&["blobs", "--mib", "52"]);
        let legs: Vec<_> = report["rows"].as_array().unwrap().iter().map(|row| row["leg"].as_str().unwrap()).collect();
        let through_edges = ["handed in at the edge", "from the edge up", "down to the edge", "read by the DMS"];
        assert_eq!(legs, [&["up to the broker", "down from the broker"][..], &through_edges].concat());
        assert_eq!(report["settings"]["attachments"], 2, "{report}");
        // A process that kept an attachment in memory would grow by 50.
        for row in report["rows"].as_array().unwrap() {
            assert!(
                row["broker_growth_mib"].as_f64().unwrap() < 40.0 && row["edges_growth_mib"].as_f64().is_none_or(|mib| mib < 40.0),
                "{report}"
            );
        }
    }

    #[test]
    fn the_others_are_measured_beside_recipients_that_take_nothing() {
        let report = found(&["isolation", "--agencies", "2", "--rate", "24", "--seconds", "1", "--rounds", "1"]);
        let row = &report["rows"][0];
        // Of 24 documents a second, 3 go to the three recipients.
        for turn in ["well", "badly"] {
            assert_eq!(row[turn]["count"], 21, "{report}");
            assert!(row[turn]["p50_ms"].as_f64().unwrap() > 0.1, "{report}");
        }
    }

    #[test]
    fn documents_to_all_agencies_are_queue_entries_of_each() {
        let report = found(&["fanout", "--agencies", "3", "--recipients", "1,3", "--documents", "150", "--seconds", "1"]);
        for (row, recipients) in [(&report["rows"][0], 1.0), (&report["rows"][1], 3.0)] {
            assert_eq!((row["verified"].as_u64(), row["recipients"].as_f64()), (Some(150), Some(recipients)), "{report}");
            let (documents, entries) = (row["documents_per_second"].as_f64().unwrap(), row["queue_entries_per_second"].as_f64().unwrap());
            assert!((entries - documents * recipients).abs() < 1e-3, "{report}");
        }
    }

    #[test]
    fn the_engine_alone_answers_with_the_same_proofs() {
        let load = ["--agencies", "3", "--recipients", "1,3", "--documents", "150", "--in-flight", "16", "--seconds", "2"];
        let report = found(&[&["inprocess"][..], &load].concat());
        for (row, recipients) in report["rows"].as_array().unwrap().iter().zip([1, 3]) {
            assert_eq!((&row["verified"], &row["recipients"]), (&150.into(), &recipients.into()), "{report}");
            // The envelope at least is written, and signed.
            assert!(row["bytes_written_per_document"].as_f64().unwrap() > 1_000.0, "{report}");
            assert!(row["cpu_us_per_document"].as_f64().unwrap() > 10.0, "{report}");
        }
        let machine = |name: &str| report["machine"][name].as_f64().unwrap();
        assert!(machine("verify_strict_per_second_all_cores") > 0.5 * machine("verify_strict_per_second"), "{report}");
    }

    #[test]
    fn a_broker_with_full_queues_refuses_one_more_and_opens_again() {
        let report = found(&["open", "--deliveries", "302", "--agencies", "3"]);
        let row = &report["rows"][0];
        assert_eq!((&row["documents"], &row["open_deliveries"]), (&100.into(), &300.into()), "{report}");
        assert_eq!(row["refusal"], "busy.queues", "{report}");
        assert!(row["resident_bytes_reopened"].as_u64().unwrap() > 1 << 20, "{report}");
    }

    #[test]
    fn a_soak_counts_every_document_and_judges_what_may_not_grow() {
        let folder = tempfile::tempdir().unwrap();
        let plot = folder.path().join("soak.svg");
        let load = ["soak", "--seconds", "4", "--every", "1", "--rate", "40", "--agencies", "3", "--plot", plot.to_str().unwrap()];
        let output = Command::new(env!("CARGO_BIN_EXE_truc")).args(["--json", "bench"]).args(load).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        assert_eq!(report["settings"]["documents_verified"], 160, "{report}");
        let rows = report["rows"].as_array().unwrap();
        assert!(rows.iter().all(|row| row["values"].as_array().unwrap().len() == 4), "{report}");
        // Whether four seconds are flat says nothing; that the exit code says the same does.
        let flat = rows.iter().all(|row| row["is_flat"] != false);
        assert_eq!(output.status.code(), Some(if flat { 0 } else { 1 }), "{report}");
        assert_eq!(rows.iter().filter(|row| row["is_flat"].is_boolean()).count(), 5, "{report}");
        assert!(std::fs::read_to_string(&plot).unwrap().contains("descriptors"));
    }

    #[test]
    fn more_recipients_than_other_agencies_are_a_usage_error() {
        let output =
            Command::new(env!("CARGO_BIN_EXE_truc")).args(["bench", "submit", "--agencies", "2", "--recipients", "2"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
    }

    #[test]
    fn a_small_replay_loses_nothing_and_verifies_its_sample() {
        let report = found(&["replay", "--deliveries", "150", "--agencies", "3", "--sample", "50", "--gather-ms", "20"]);
        let row = &report["rows"][0];
        assert_eq!((&row["deliveries"], &row["sample_verified"]), (&150.into(), &50.into()), "{report}");
        // An envelope and its fact per document, and receipts.
        assert!(row["entries"].as_u64().unwrap() > 2 * row["documents"].as_u64().unwrap(), "{report}");
        assert!(row["reopen_seconds"].as_f64().unwrap() > 0.0 && row["rebuild_seconds"].as_f64().unwrap() > 0.0, "{report}");
    }
}
