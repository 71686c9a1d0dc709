//! Follows the axis' log and registry: newest checkpoint, consistency proof from the last one that was recorded, registry statements as they come.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use truc_proto::broker::v1 as pb;
use truc_transport::clock;
use truc_types::Timestamp;
use truc_types::limits::CLOCK_SKEW_MILLIS_MAX;

use crate::node::{LinkError, Node};
use crate::record::{COMMAND_RECORDS_MAX, Record};
use crate::session::Link;
use crate::state::Meta;
use crate::trust::Trust;

/// How often the newest checkpoint is proved and recorded: one record of 300 bytes each time the log grew.
const PROVE_EVERY: Duration = Duration::from_secs(5);
/// How often checkpoint, clock and registry are asked for when nothing else brings them.
const ASK_EVERY_ROUNDS: u32 = 6;
/// Registry statements of one answer; the broker keeps the answer below the message limit.
const REGISTRY_PAGE: u32 = 100;

/// Asks for the newest checkpoint and proves that it extends what this edge has recorded.
pub(crate) async fn catch_up(node: &Arc<Node>, link: &Link) -> Result<(), LinkError> {
    // Before the question: what other streams show while the answer is on its way may be newer than the answer.
    let shown_before = node.trust.observed().largest_size();
    let answer = link.log().get_checkpoint(pb::GetCheckpointRequest {}).await?.into_inner();
    let newest = node.trust.open_checkpoint(&answer.checkpoint)?;
    Trust::check_newest(&newest.checkpoint, shown_before)?;
    compare_clocks(node, &answer.now);
    prove(node, link).await
}

/// Proves and records the largest checkpoint that was seen, if it is larger than the recorded one. The first one ever is taken on its signature.
async fn prove(node: &Arc<Node>, link: &Link) -> Result<(), LinkError> {
    let Some(largest) = node.trust.observed().to_prove() else { return Ok(()) };
    if let Some(old) = node.trust.observed().proved().filter(|old| old.size > 0) {
        let request = pb::GetConsistencyProofRequest { old_size: old.size, new_size: largest.checkpoint.size };
        let proof = link.log().get_consistency_proof(request).await?.into_inner();
        node.trust.check_extension(&old, &largest.checkpoint, &proof.path)?;
    }
    let checkpoint = largest.text.clone();
    node.store.record_later(|_| Ok((vec![Record::CheckpointSeen { checkpoint }], ()))).await?;
    node.trust.observed().recorded(&largest.checkpoint);
    Ok(())
}

/// Goes on proving, and asks for what is new.
pub(crate) async fn watch(node: Arc<Node>, link: Link) -> Result<Infallible, LinkError> {
    let mut round = 0u32;
    loop {
        tokio::time::sleep(PROVE_EVERY).await;
        round = round.wrapping_add(1);
        if round.is_multiple_of(ASK_EVERY_ROUNDS) {
            catch_up(&node, &link).await?;
            read_registry(&node, &link).await?;
        } else {
            prove(&node, &link).await?;
        }
    }
}

/// Reads the registry from where this edge stands to its end; each statement is verified and recorded.
pub(crate) async fn read_registry(node: &Arc<Node>, link: &Link) -> Result<(), LinkError> {
    let _one_reader = node.registry.lock().await;
    loop {
        let Meta { registry_version, registry_next_leaf, .. } = node.store.read(|state| state.meta()).await?;
        let request = pb::ListRegistryEntriesRequest { from_leaf: registry_next_leaf, page_size: REGISTRY_PAGE };
        let page = link.directory().list_registry_entries(request).await?.into_inner();
        let entries = node.trust.check_registry_entries(registry_version, &page.entries, &page.checkpoint)?;
        let progress = !entries.is_empty();
        for entry in &entries {
            // Before it is recorded: a certificate that does not parse must not be.
            node.trust.adopt(entry.leaf.index, &entry.statement)?;
        }
        let record =
            |entry: crate::trust::VerifiedEntry| Record::RegistryEntry { version: entry.version, leaf: entry.leaf, file: entry.file };
        let mut records = entries.into_iter().map(record).peekable();
        while records.peek().is_some() {
            node.store.record_all(records.by_ref().take(COMMAND_RECORDS_MAX).collect()).await?;
        }
        if page.next_from_leaf == 0 || !progress {
            return Ok(());
        }
    }
}

/// Agencies synchronise their clocks with the axis (Decision 28/2018 art. 14.4).
fn compare_clocks(node: &Node, axis: &str) {
    let Ok(axis) = axis.parse::<Timestamp>() else { return };
    let own = clock::now();
    let signed = |millis: u64| i64::try_from(millis).unwrap_or(i64::MAX);
    node.meters.compared(signed(own.millis_since(axis)).saturating_sub(signed(axis.millis_since(own))));
    let apart = own.millis_since(axis).max(axis.millis_since(own));
    if apart > CLOCK_SKEW_MILLIS_MAX / 2 {
        tracing::warn!(%own, %axis, apart_millis = apart, "this machine's clock and the axis' are apart: documents from the future are refused");
    }
}
