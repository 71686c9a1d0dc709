//! `truc bench submit` as a process: it starts a real broker, verifies every answer and reports. Says nothing about speed.

#[cfg(test)]
mod bench {
    use std::process::Command;

    use serde_json::Value;

    #[test]
    fn a_short_run_verifies_its_answers_and_reports_figures() {
        let arguments = ["--json", "bench", "submit", "--agencies", "2", "--documents", "200", "--rate", "100", "--seconds", "1"];
        let output = Command::new(env!("CARGO_BIN_EXE_truc")).args(arguments).output().unwrap();
        let talk = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{talk}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
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
    fn more_recipients_than_other_agencies_are_a_usage_error() {
        let output =
            Command::new(env!("CARGO_BIN_EXE_truc")).args(["bench", "submit", "--agencies", "2", "--recipients", "2"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
    }
}
