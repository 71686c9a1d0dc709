//! `truc bench submit` as a process: it starts a real broker, verifies every answer and reports. Says nothing about speed.

#[cfg(test)]
mod bench {
    use std::process::Command;

    use serde_json::Value;

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
    fn documents_to_all_agencies_are_queue_entries_of_each() {
        let report = found(&["fanout", "--agencies", "3", "--recipients", "1,3", "--documents", "150", "--seconds", "1"]);
        for (row, recipients) in [(&report["rows"][0], 1.0), (&report["rows"][1], 3.0)] {
            assert_eq!((row["verified"].as_u64(), row["recipients"].as_f64()), (Some(150), Some(recipients)), "{report}");
            let (documents, entries) = (row["documents_per_second"].as_f64().unwrap(), row["queue_entries_per_second"].as_f64().unwrap());
            assert!((entries - documents * recipients).abs() < 1e-3, "{report}");
        }
    }

    #[test]
    fn more_recipients_than_other_agencies_are_a_usage_error() {
        let output =
            Command::new(env!("CARGO_BIN_EXE_truc")).args(["bench", "submit", "--agencies", "2", "--recipients", "2"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
    }
}
