//! A rehearsal: opens a data folder as a start would, replays every entry and checks every seal, and answers nobody. For copies, never for the
//! folder of a running broker (its lock says so).

use std::path::Path;
use std::sync::Arc;

use truc_core::registry::Registry;
use truc_core::{Entry, State};
use truc_journal::segment::{SegmentJournal, SegmentOptions};
use truc_journal::{Journal as _, JournalReader};
use truc_ledger::LogSigner;
use truc_signing::statement::Statement;
use truc_signing::{TrustedKey, open_sealed};
use truc_transport::clock;
use truc_types::names::LOOPBACK_AGENCY;
use truc_types::{Position, Reason, Refusal, Timestamp};

use crate::boot::check_genesis;
use crate::glance::key_of;
use crate::published::storage;
use crate::replay::replay;

/// What a rehearsal found. It is the state that a broker on this folder would start with.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Rehearsal {
    /// Entries of the journal.
    pub entries: u64,
    /// Messages that some recipient has not answered.
    pub open_messages: u64,
    /// Agencies of the registry, without the one by which the axis looks at itself.
    pub agencies: u64,
    /// Statements whose seals were verified.
    pub seals: u64,
    /// Leaves of the log.
    pub tree_size: u64,
    /// Root of its tree, in hexadecimal.
    pub root: String,
    /// Time of the last block.
    pub block_time: String,
    /// Time for opening and replaying.
    pub replay_millis: u64,
    /// Time for verifying all seals.
    pub seals_millis: u64,
}

/// Replays the journal of a data folder. With the log key it is checked, too, that this is the key which the genesis names.
///
/// # Errors
/// The first thing that is wrong, with its position.
pub fn rehearse(data: &Path, signer: Option<&LogSigner>) -> Result<Rehearsal, Refusal> {
    let begun = clock::now();
    let opened = SegmentJournal::open(&data.join("journal"), SegmentOptions::new(Arc::new(key_of)));
    let (journal, _) = opened.map_err(|cause| Refusal::new(cause.reason(), cause.to_string()))?;
    let reader = journal.reader();
    let (state, tree) = replay(reader.as_ref(), State::default(), None)?;
    let end = journal.end();
    if tree.size() != end.tree_size || tree.root_at(tree.size()) != Some(end.root) {
        let message = format!("the tree of the entries has another root than the last block at size {}", end.tree_size);
        return Err(Refusal::new(Reason::JournalCorrupt, message).with("size", end.tree_size));
    }
    if let Some(signer) = signer {
        check_genesis(state.registry(), signer, &end.origin)?;
    }
    let replayed = clock::now();
    let seals = check_seals(reader.as_ref(), state.registry())?;
    Ok(Rehearsal {
        entries: end.position.0,
        open_messages: state.open_messages() as u64,
        agencies: state.registry().agencies().iter().filter(|agency| agency.code.as_str() != LOOPBACK_AGENCY).count() as u64,
        seals,
        tree_size: end.tree_size,
        root: end.root.to_hex(),
        block_time: end.time.to_string(),
        replay_millis: replayed.millis_since(begun),
        seals_millis: clock::now().millis_since(replayed),
    })
}

/// Every seal, against the keys that the registry names, at the time of the block.
fn check_seals(reader: &dyn JournalReader, registry: &Registry) -> Result<u64, Refusal> {
    let operator = operator_key(registry)?;
    let mut seals = 0;
    for block in reader.blocks_from(Position(0)) {
        let block = block.map_err(|cause| storage(&cause))?;
        for (position, bytes) in block.positioned() {
            seals +=
                u64::from(check_seal(bytes, block.header.time, registry, &operator).map_err(|cause| {
                    Refusal::new(Reason::JournalCorrupt, format!("entry {position}: {cause}")).with("position", position)
                })?);
        }
    }
    Ok(seals)
}

fn check_seal(bytes: &Arc<[u8]>, at: Timestamp, registry: &Registry, operator: &TrustedKey) -> Result<bool, String> {
    let entry = Entry::parse(bytes.clone()).map_err(|cause| cause.to_string())?;
    let sealed = match entry.statement {
        Statement::Fact(_) => return Ok(false),
        _ => open_sealed(bytes).map_err(|cause| cause.to_string())?,
    };
    let by_operator = matches!(sealed.statement, Statement::Registry(_));
    let verified =
        sealed.verify(at, |keyid| if by_operator { Some(operator).filter(|key| key.keyid == *keyid) } else { registry.keys().key(keyid) });
    verified.map(|()| true).map_err(|cause| cause.to_string())
}

fn operator_key(registry: &Registry) -> Result<TrustedKey, Refusal> {
    let corrupt = |cause: String| Refusal::new(Reason::JournalCorrupt, cause);
    let key = registry.operator_key().ok_or_else(|| corrupt("the journal does not begin with a genesis statement".to_owned()))?;
    key.map_err(|cause| corrupt(format!("operator certificate: {cause}")))
}
