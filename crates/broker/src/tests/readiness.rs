//! A committer that stands still is seen within the limit, and seen to go on; what it holds back is not counted before it is durable.

use std::time::Duration;

use truc_journal::memory::MemoryJournal;
use truc_transport::clock;
use truc_transport::keys::KeyFiles;
use truc_types::{Reason, Timestamp};

use super::axis::{self, Axis};
use super::engine::{self, Engine};
use super::gate::gate;
use crate::health::probe;
use crate::metrics::TABLE;

/// Long enough that a committer that works answers on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_journal_that_takes_no_block_makes_the_broker_unready_until_it_does() {
    let (axis, views) = (Axis::new(), tempfile::tempdir().unwrap());
    let mut journal = MemoryJournal::new();
    axis.begin(&mut journal);
    let (gate, mut keeper) = gate(journal);
    let mut engine = Engine::start_open(&axis, engine::booted(Box::new(gate), views.path()), || {
        keeper.wait_for_block();
        keeper.pass_one();
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let look = |limit| runtime.block_on(probe(&engine.commands, limit));
    look(PATIENCE).unwrap();
    engine.submit(1, 0, axis.envelope(clock::mint(), 1, "văn bản"));
    keeper.wait_for_block();
    let stopped = look(Duration::from_millis(300)).unwrap_err();
    assert_eq!(stopped.reason, Reason::SequencerStopped);
    let accepted = |engine: &Engine| engine.shown("truc_broker_submissions_total{outcome=\"accepted\"}");
    assert_eq!(accepted(&engine), "2", "both terms, and not what is not durable");
    keeper.pass_all();
    look(PATIENCE).unwrap();
    engine.accepted(1);
    assert_eq!(accepted(&engine), "3");
    assert_eq!(engine.shown("truc_broker_queue_documents{agency=\"H1\",lane=\"flash\"}"), "0.0");
    assert!(TABLE.iter().all(|description| description.name.starts_with("truc_broker_")));
    engine.end().unwrap();
}

#[test]
fn a_certificate_that_ended_and_a_key_that_went_away_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (pem, path, key) = (axis::certificate_pem(), folder.path().join("tls.cert.pem"), folder.path().join("tls.key.pem"));
    std::fs::write(&path, &pem).unwrap();
    std::fs::write(&key, "a key").unwrap();
    let files = KeyFiles::default().certificate("tls", &path).key("tls", &key);
    let at = |time: &str| time.parse::<Timestamp>().unwrap();
    let (before, during, after) = (at("2019-12-31T00:00:00.000Z"), at("2026-11-22T00:00:00.000Z"), at("2120-01-02T00:00:00.000Z"));
    files.check(during).unwrap();
    assert_eq!(files.ends().collect::<Vec<_>>().len(), 1);
    for (time, said) in [(before, "tls.cert.pem is valid from 2020"), (after, "tls.cert.pem ended at 2120")] {
        let refused = files.check(time).unwrap_err();
        assert!(refused.reason == Reason::CertificateEnded && refused.message.contains(said), "{refused}");
    }
    std::fs::write(&path, "no certificate").unwrap();
    assert_eq!(files.check(during).unwrap_err().reason, Reason::KeyUnreadable);
    std::fs::write(&path, &pem).unwrap();
    std::fs::remove_file(&key).unwrap();
    let refused = files.check(during).unwrap_err();
    assert!(refused.reason == Reason::KeyUnreadable && refused.message.contains("tls.key.pem"), "{refused}");
}
