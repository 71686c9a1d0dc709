//! What the machine runs out of, for real: bytes that the disk takes, file descriptors, sound blocks. The broker says why it ends or goes on; nothing
//! that was acknowledged is lost. Not what clients do wrong (`refusals`).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio::net::TcpStream;
use truc_tests::bare::Bare;
use truc_tests::peer::Peer;
use truc_tests::tools::{PASSWORD, program};
use truc_types::Reason;

/// The command with limits of the kernel. SIGXFSZ is ignored, so that a write over the limit fails as it does on a full disk (EFBIG for ENOSPC).
fn limited(command: &Command, limit: &str) -> Command {
    let mut shell = program("prlimit");
    shell.arg(limit).args(["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(command.get_program()).args(command.get_args());
    shell
}

/// The files of a folder whose names end so, in order.
fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.to_str().unwrap().ends_with(end));
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_takes_no_more_ends_the_broker_with_its_reason_and_loses_nothing_acknowledged() {
    let mut bare = Bare::new();
    bare.start(limited(&bare.command(), "--fsize=1000000"));
    let mut acknowledged = Vec::new();
    let sender = Peer::open(&bare.url(), bare.keys("H1"), 1).await;
    let refusal = loop {
        assert!(acknowledged.len() < 1_000, "the limit of the file size does not hold");
        let mut envelope = sender.envelope(&["H2"]);
        envelope.doc.subject = Some("Về việc ".repeat(120));
        envelope.doc.content = Some("a".repeat(1_500));
        let file = sender.sealed(&envelope.to_json());
        match sender.submit_or_lost(file.clone()).await {
            Ok(acceptance) => acknowledged.push((file, acceptance)),
            Err(refusal) => break refusal,
        }
    };
    // The submitter cannot know, the operator does.
    assert!(refusal.is_none_or(|refusal| refusal.reason == Reason::OutcomeUnknown));
    assert!(!bare.take_broker().wait().success());
    assert!(bare.log().contains(Reason::DiskFull.code()), "{}", bare.log());
    assert!(acknowledged.len() > 10, "{} documents fitted", acknowledged.len());

    bare.start(bare.command());
    let again = Peer::open(&bare.url(), bare.keys("H1"), 2).await;
    for (file, acceptance) in acknowledged {
        let leaf = |acceptance: &truc_proto::broker::v1::Acceptance| acceptance.statement.as_ref().map(|statement| statement.leaf);
        assert_eq!(leaf(&again.submit(file).await.unwrap()), leaf(&acceptance));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_connections_leaves_descriptors_for_the_journal_and_those_that_are_connected() {
    let mut bare = Bare::new();
    bare.start(limited(&bare.command(), "--nofile=128"));
    let honest = Peer::open(&bare.url(), bare.keys("H2"), 1).await;
    // More than the process may have open at all; none of them says a word.
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(bare.broker().address()).await.unwrap());
    }
    for number in 0..20u8 {
        let content = [number; 100];
        let digest = truc_signing::sha256(&content);
        assert!(honest.upload(digest, 100, 0, &content).await.unwrap().complete);
        honest.submit(honest.sealed(&honest.envelope(&["H1"]).to_json())).await.unwrap();
    }
    drop(silent);
    // The places are free again as soon as the broker has seen the ends.
    let reconnected = async {
        while truc_tests::peer::connect(&bare.url(), &bare.keys("H1").tls).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reconnected).await.expect("places become free");
    assert!(!bare.log().contains("panicked"), "{}", bare.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_in_the_journal_stops_the_start_with_its_position_and_nothing_is_overwritten() {
    let mut bare = Bare::running();
    let sender = Peer::open(&bare.url(), bare.keys("H1"), 1).await;
    for _ in 0..3 {
        sender.submit(sender.sealed(&sender.envelope(&["H2"]).to_json())).await.unwrap();
    }
    drop(sender);
    assert!(bare.take_broker().terminate().success(), "{}", bare.log());
    let segments = files(&bare.data().join("journal"), ".seg");
    let segment = segments.first().expect("a segment file");
    let mut bytes = std::fs::read(segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(segment, &bytes).unwrap();
    let output = bare.command().env("TRUC_KEY_PASSWORD", PASSWORD).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains(Reason::JournalCorrupt.code()) && said.contains("position"), "{said}");
    assert_eq!(std::fs::read(segment).unwrap(), bytes, "the damaged segment was changed");
}
