//! Start: journal, views, state, tree. Ends with a state that equals a replay from the first entry, or with the reason why there is none.

use std::path::Path;
use std::sync::Arc;

use truc_core::State;
use truc_core::registry::Registry;
use truc_journal::segment::{SegmentJournal, SegmentOptions};
use truc_journal::{Journal, JournalReader};
use truc_ledger::{Checkpoint, LogSigner, TreeStore, checkpoint};
use truc_types::{Position, Reason, Refusal};
use truc_views::{Opened, ViewStore};

use crate::block::Tail;
use crate::glance::key_of;
use crate::published::{Checkpointed, Published};
use crate::replay::replay;
use crate::rows;

/// Everything a broker starts from.
pub(crate) struct Booted {
    pub(crate) journal: Box<dyn Journal>,
    pub(crate) state: State,
    pub(crate) tail: Tail,
    pub(crate) tree: TreeStore,
    pub(crate) views: Arc<ViewStore>,
    pub(crate) published: Arc<Published>,
}

/// Opens a data folder.
pub(crate) fn boot(data: &Path, signer: &LogSigner) -> Result<Booted, Refusal> {
    let options = SegmentOptions::new(Arc::new(key_of));
    let (journal, report) =
        SegmentJournal::open(&data.join("journal"), options).map_err(|cause| Refusal::new(cause.reason(), cause.to_string()))?;
    if let Some(dropped) = &report.dropped {
        tracing::warn!(position = dropped.position.0, bytes = dropped.bytes, "an unfinished block at the end of the journal was dropped");
    }
    let end = journal.end();
    if end.position == Position(0) {
        return Err(Refusal::new(Reason::ConfigInvalid, "the journal is empty: run `truc broker init` first"));
    }
    let reader = journal.reader();
    let (views, state, tree) = restore(&data.join("views"), reader.as_ref())?;
    if tree.size() != end.tree_size || tree.root_at(tree.size()) != Some(end.root) {
        let message = format!("the tree of the entries has another root than the last block at size {}", end.tree_size);
        return Err(Refusal::new(Reason::JournalCorrupt, message).with("size", end.tree_size));
    }
    let tail = Tail {
        number: end.number,
        position: end.position,
        shard_start: Position(end.position.0 - end.tree_size),
        origin: end.origin.clone(),
        term: end.term,
        time: end.time,
    };
    check_genesis(state.registry(), signer, &tail.origin)?;
    let newest = Checkpoint { origin: end.origin, size: end.tree_size, root: end.root };
    let note = checkpoint::sign(&newest, signer).map_err(|cause| Refusal::new(Reason::KeyUnreadable, cause.to_string()))?;
    let checkpointed = Checkpointed { note: note.into(), size: newest.size };
    let published = Published::new(reader, tail.shard_start, tree.clone(), checkpointed, state.registry().clone());
    tracing::info!(position = tail.position.0, open = state.open_messages(), segments = report.segments, "the journal is open");
    Ok(Booted { journal: Box::new(journal), state, tail, tree, views: Arc::new(views), published: Arc::new(published) })
}

/// Views, state and tree. Views that open but whose rows make no state are deleted: rows of messages that have closed since would come back to life.
fn restore(folder: &Path, reader: &dyn JournalReader) -> Result<(ViewStore, State, TreeStore), Refusal> {
    let views = open_views(folder, reader)?;
    let (views, state) = match rows::restore(&views, reader) {
        Ok(state) => (views, state),
        Err(cause) => {
            tracing::warn!(%cause, "the views do not restore; they are deleted and rebuilt from the journal");
            drop(views);
            std::fs::remove_dir_all(folder)
                .map_err(|cause| Refusal::new(Reason::ConfigInvalid, format!("cannot delete {}: {cause}", folder.display())))?;
            (open_views(folder, reader)?, State::default())
        }
    };
    let (state, tree) = replay(reader, state, Some(&views))?;
    Ok((views, state, tree))
}

fn open_views(folder: &Path, reader: &dyn JournalReader) -> Result<ViewStore, Refusal> {
    let opened = ViewStore::open(folder, rows::FORMAT, reader.durable_end().position);
    let (views, opened) = opened.map_err(|cause| Refusal::new(cause.reason(), cause.to_string()))?;
    if let Opened::Rebuilt { why } = &opened {
        tracing::warn!(why, "the views are rebuilt from the journal");
    }
    Ok(views)
}

/// The log key must be the one that the genesis names: another one would sign a second history.
pub(crate) fn check_genesis(registry: &Registry, signer: &LogSigner, origin: &str) -> Result<(), Refusal> {
    let genesis =
        registry.genesis().ok_or_else(|| Refusal::new(Reason::JournalCorrupt, "the journal does not begin with a genesis statement"))?;
    let vkey = signer.verifier().to_string();
    if genesis.log_vkey != vkey || genesis.log_origin != origin {
        let message = format!("the log key is {vkey}, the genesis of this journal names {}", genesis.log_vkey);
        return Err(Refusal::new(Reason::KeyUnreadable, message).with("found", vkey).with("expected", &genesis.log_vkey));
    }
    Ok(())
}
