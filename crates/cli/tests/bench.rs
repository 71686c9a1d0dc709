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
        assert_eq!(report["maximum"]["verified"], 200, "{report}");
        // One and a half seconds of 100 a second.
        assert_eq!(report["paced"]["verified"], 150, "{report}");
        assert!(report["paced"]["p99_ms"].as_f64().unwrap() > 0.0, "{report}");
        assert!(report["maximum"]["broker_bytes_written"].as_u64().unwrap() > 200 * 1_000, "{report}");
        assert!(report["durability"].as_str().unwrap().starts_with("fdatasync per block"), "{report}");
    }

    #[test]
    fn more_recipients_than_other_agencies_are_a_usage_error() {
        let output =
            Command::new(env!("CARGO_BIN_EXE_truc")).args(["bench", "submit", "--agencies", "2", "--recipients", "2"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
    }
}
