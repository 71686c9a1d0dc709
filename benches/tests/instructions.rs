//! The hot path takes no more instructions than recorded: what a noisy machine cannot show in time.

use std::process::Command;

#[test]
fn no_stage_takes_more_instructions_than_recorded() {
    let output = Command::new(env!("CARGO_BIN_EXE_instructions")).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}
