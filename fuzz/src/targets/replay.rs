//! A journal whose blocks are sound and whose entries are hostile: a broker and an edge start from it or say why not. Slower than the others: every
//! round makes a data folder.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use tempfile::TempDir;
use truc::commands::broker::init;
use truc::pki;
use truc_journal::segment::{SegmentJournal, SegmentOptions};
use truc_journal::{Block, BlockHeader, BlockKind, Journal as _};
use truc_ledger::{Frontier, leaf_hash};
use truc_signing::DsseFile;
use truc_types::limits::ENTRY_BYTES_MAX;
use truc_types::names::EDGE_ORIGIN_PREFIX;
use truc_types::{BlockNumber, LeafIndex, Position, Term, Timestamp};
use zeroize::Zeroizing;

/// 2026-11-01, the time of every block.
const NOW: Timestamp = Timestamp::from_millis(1_793_491_200_000);

/// The first entries of an axis with one agency, as `truc broker init` writes them.
static GENESIS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(genesis);

/// A genesis in which one statement, the first byte says which, is another.
pub(super) fn broker(input: &[u8]) -> bool {
    let Some((which, payload)) = input.split_first() else { return false };
    let which = usize::from(*which) % GENESIS.len().max(1);
    let Some(mut changed) = GENESIS.get(which).and_then(|entry| DsseFile::parse(entry).ok()) else { return false };
    changed.payload = payload.to_vec();
    let changed = changed.to_bytes();
    let entries = GENESIS.iter().enumerate().map(|(number, entry)| if number == which { changed.as_slice() } else { entry });
    let Ok(data) = TempDir::with_prefix("truc-fuzz-") else { return false };
    changed.len() <= ENTRY_BYTES_MAX
        && write(data.path(), "truc.example/axis/2026", &entries.collect::<Vec<_>>())
        && truc_broker::rehearse(data.path(), None).is_ok()
}

/// Each statement of the genesis, behind the byte that names it.
pub(super) fn statements() -> Vec<Vec<u8>> {
    let payloads = GENESIS.iter().filter_map(|entry| Some(DsseFile::parse(entry).ok()?.payload));
    (0u8..).zip(payloads).map(|(which, payload)| [&[which], payload.as_slice()].concat()).collect()
}

#[expect(clippy::expect_used, reason = "a fixture that does not stand has nothing to fuzz")]
fn genesis() -> Vec<Vec<u8>> {
    let folder = TempDir::with_prefix("truc-fuzz-").expect("a folder");
    let (pki, data, agencies) = (folder.path().join("pki"), folder.path().join("data"), folder.path().join("agencies.csv"));
    let row = "H53,000.00.13.H53,UBND tỉnh,Province,province,confirmed";
    std::fs::write(&agencies, format!("code,old_code,name_vi,name_en,kind,code_status\n{row}\n")).expect("a file");
    let password = Zeroizing::new(b"fuzz".to_vec());
    pki::init(&pki, "Fuzz", &password, NOW).expect("a development PKI");
    pki::issue(&pki, &"H53".parse().expect("a code"), &password, NOW).expect("certificates of an agency");
    let arguments = init::Arguments {
        data: data.clone(),
        pki,
        agencies,
        organisations: None,
        axis: "Fuzz".to_owned(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        password_file: None,
    };
    let (made, _) = init::prepare(&arguments, password).expect("what an axis begins with");
    truc_broker::init(&data, &made, NOW).expect("a data folder");
    let (journal, _) = SegmentJournal::open(&data.join("journal"), options()).expect("its journal");
    let blocks = journal.reader().blocks_from(Position(0)).collect::<Result<Vec<_>, _>>().expect("its blocks");
    blocks.iter().flat_map(|block| &block.entries).map(|entry| entry.to_vec()).collect()
}

/// Records of one block.
pub(super) fn edge(input: &[u8]) -> bool {
    let Ok(data) = TempDir::with_prefix("truc-fuzz-") else { return false };
    let (Ok(agency), Ok(runtime)) = ("H53".parse(), tokio::runtime::Builder::new_current_thread().enable_all().build()) else {
        return false;
    };
    if input.is_empty() || input.len() > ENTRY_BYTES_MAX || !write(data.path(), &format!("{EDGE_ORIGIN_PREFIX}H53"), &[input]) {
        return false;
    }
    let rehearsed = runtime.block_on(truc_edge::rehearse(data.path(), &agency));
    // It replays on a thread of its own, whose end comes back as an error.
    assert!(!matches!(&rehearsed, Err(truc_edge::EdgeError::Serve(cause)) if cause.contains("panic")), "{rehearsed:?}");
    rehearsed.is_ok()
}

/// One record of every kind: format, kind, and fields of which most are numbers.
pub(super) fn records() -> Vec<Vec<u8>> {
    (0..32u8).map(|kind| vec![1, kind, 7, 0, 0, 0]).chain((0..32u8).map(|kind| vec![1, kind, 7])).collect()
}

fn options() -> SegmentOptions {
    SegmentOptions { packs: false, ..SegmentOptions::new(Arc::new(|_| None)) }
}

fn write(data: &Path, origin: &str, entries: &[&[u8]]) -> bool {
    let Ok((mut journal, _)) = SegmentJournal::open(&data.join("journal"), options()) else { return false };
    let mut frontier = Frontier::new();
    let entries: Vec<Arc<[u8]>> = entries.iter().map(|entry| Arc::from(*entry)).collect();
    for entry in &entries {
        frontier.append(leaf_hash(entry));
    }
    let header = BlockHeader {
        kind: BlockKind::Shard,
        number: BlockNumber(0),
        position: Position(0),
        leaf: LeafIndex(0),
        origin: origin.to_owned(),
        term: Term(1),
        time: NOW,
        tree_size: frontier.size(),
        root: frontier.root(),
    };
    journal.append(Block { header, entries }).is_ok() && Box::new(journal).close().is_ok()
}
