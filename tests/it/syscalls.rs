//! Durable before answered, as the kernel sees it: strace of a broker that takes documents.

use std::collections::{BTreeMap, BTreeSet};

use truc_proto::edge::v1::Stage;
use truc_tests::axis::Axis;
use truc_tests::daemon::Daemon;
use truc_tests::dms::Letter;
use truc_tests::tools::program;

/// Network writes of at least this many bytes are answers: an acceptance has two proofs, a fact and a checkpoint. Acknowledgements of HTTP/2 are far smaller.
const ANSWER_BYTES_MIN: u64 = 700;

/// A system call of the trace: when it began or ended.
#[derive(Debug)]
enum Call {
    /// Bytes for a journal file.
    Write { file: String },
    /// A journal file is on stable storage.
    Synced { file: String },
    /// Bytes for the network.
    Send { bytes: u64 },
}

/// The calls in the order of the kernel. A write counts from its beginning, a sync from its end, a send from its end, when its length
/// is known: no other document is on its way then.
fn calls(trace: &str) -> Vec<Call> {
    let mut unfinished: BTreeMap<String, String> = BTreeMap::new();
    let mut found = Vec::new();
    for line in trace.lines() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        let resumed = rest.starts_with("<... ");
        let call = if resumed { unfinished.remove(pid).unwrap_or_default() } else { rest.to_owned() };
        let begun_only = rest.ends_with("<unfinished ...>");
        if begun_only {
            unfinished.insert(pid.to_owned(), rest.to_owned());
        }
        let name = call.split('(').next().unwrap_or_default();
        let target =
            call.split_once('<').and_then(|(_, after)| after.split_once('>')).map(|(target, _)| target.to_owned()).unwrap_or_default();
        // The lock file holds a process id for people; nothing rests on it.
        let journal = target.contains("/broker/journal/") && !target.ends_with("/lock");
        match name {
            "write" | "pwrite64" | "writev" | "pwritev" if journal && !resumed => found.push(Call::Write { file: target }),
            "fdatasync" | "fsync" if journal && !begun_only => {
                assert!(rest.ends_with("= 0"), "a sync failed: {line}");
                found.push(Call::Synced { file: target });
            }
            "sendto" | "sendmsg" | "write" | "writev" if target.starts_with("TCP") && !begun_only => {
                let bytes = rest.rsplit("= ").next().and_then(|bytes| bytes.trim().parse().ok()).unwrap_or(0);
                found.push(Call::Send { bytes });
            }
            _ => {}
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_written_journal_file_is_synced_before_the_answer_of_its_block() {
    let mut axis = Axis::new();
    let trace = axis.path("strace.txt");
    let inner = axis.broker_command();
    let mut command = program("strace");
    command.args(["-f", "-yy", "-s", "0", "-e", "trace=write,pwrite64,writev,pwritev,fdatasync,fsync,sendto,sendmsg", "-o"]).arg(&trace);
    // Without loopback messages: the trace could not tell what the broker sends as its own client from an answer.
    command.arg(inner.get_program()).args(inner.get_args()).args(["--loopback-idle-seconds", "0"]);
    let broker = Daemon::start(command, &axis.path("broker.log"));
    axis.start_edge("G22");
    let sender = axis.dms("G22");
    // One after another: whatever is answered while a file is not synced is the answer that matters.
    let documents = 12;
    for number in 0..documents {
        let message_id = sender.send(&Letter::new(&format!("traced-{number}"), &["G12"])).await.unwrap();
        sender.watch(&message_id, |status| status.stage() == Stage::Accepted).await.unwrap();
    }
    assert!(broker.terminate_traced().success());

    let (mut dirty, mut synced_blocks, mut answers) = (BTreeSet::new(), 0, 0);
    for call in calls(&std::fs::read_to_string(&trace).unwrap()) {
        match call {
            Call::Write { file } => {
                dirty.insert(file);
            }
            Call::Synced { file } => synced_blocks += u32::from(dirty.remove(&file)),
            Call::Send { bytes } if bytes >= ANSWER_BYTES_MIN => {
                answers += 1;
                assert!(dirty.is_empty(), "{bytes} bytes were sent while {dirty:?} was not synced");
            }
            Call::Send { .. } => {}
        }
    }
    assert!(synced_blocks >= documents, "only {synced_blocks} syncs for {documents} documents");
    assert!(answers >= documents, "only {answers} answers for {documents} documents");
    println!("{synced_blocks} written journal files were synced, {answers} answers came after their sync");
}
