//! Opens this edge's term: one per start of the process, so that an edge that runs on a copy of the data never seals under a number that was used.
//!
//! The statement is journalled before it is submitted and accepted before anything is sealed in the term. An open term lasts over reconnections.

use std::sync::Arc;
use std::time::Duration;

use truc_proto::broker::v1 as pb;
use truc_proto::broker::v1::submit_response::Outcome;
use truc_transport::status;
use truc_types::{EdgeTerm, Reason, Refusal};

use crate::backoff::Backoff;
use crate::error::EdgeError;
use crate::node::{LinkError, Node};
use crate::record::Record;
use crate::store::refusal_of;
use crate::submit::Submitter;

/// Longest pause between two tries: a ghost of the old connection is gone within a minute.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// The term of this process, opened if it is not yet.
pub(crate) async fn open(node: &Arc<Node>, submitter: &Submitter) -> Result<EdgeTerm, LinkError> {
    let opened = *node.term.lock();
    if let Some(term) = opened {
        return Ok(term);
    }
    let mut backoff = Backoff::up_to(PAUSE_MAX);
    let mut known = EdgeTerm(0);
    loop {
        let (term, file) = record_opening(node, known).await?;
        match submit(node, submitter, &file, &mut backoff).await? {
            Ok(acceptance) => {
                let accepted = node.trust.check_acceptance(&file, &acceptance)?;
                node.store.record_all(vec![Record::TermOpened { term, leaf: accepted.leaf, checkpoint: accepted.checkpoint }]).await?;
                *node.term.lock() = Some(term);
                return Ok(term);
            }
            Err(open) => known = known.max(open).max(term),
        }
        backoff.wait().await;
    }
}

/// Seals the statement that opens the term after all that are known, and journals it.
async fn record_opening(node: &Arc<Node>, known: EdgeTerm) -> Result<(EdgeTerm, Vec<u8>), LinkError> {
    let sealer = node.sealer.clone();
    let observed = node.trust.observed().for_statements();
    let opening = node.store.record(move |state| {
        let meta = state.meta().map_err(refusal_of)?;
        let previous = known.max(meta.term);
        let term = previous.next();
        let file = sealer.term_opened(term, previous, meta.registry_version, observed);
        Ok((vec![Record::TermOpening { term, file: file.clone() }], (term, file)))
    });
    Ok(opening.await?)
}

/// Submits the same bytes until they are accepted, or until the axis says which higher term is open.
async fn submit(
    node: &Node,
    submitter: &Submitter,
    file: &[u8],
    backoff: &mut Backoff,
) -> Result<Result<pb::Acceptance, EdgeTerm>, LinkError> {
    loop {
        let refusal = match submitter.submit(file.to_vec(), node.config.take_over).await? {
            Outcome::Accepted(acceptance) => return Ok(Ok(acceptance)),
            Outcome::Refused(refusal) => refusal,
        };
        let open = EdgeTerm(refusal.values.get("open").and_then(|open| open.parse().ok()).unwrap_or(0));
        let message = refusal.message.clone();
        match status::from_proto(&refusal).map(|refusal| refusal.reason) {
            Some(Reason::TermSuperseded) => return Ok(Err(open)),
            Some(Reason::TermConnected) => tracing::warn!(
                %open, %message,
                "another edge of this agency is connected; waiting until it goes (it may be this edge's last connection), or start with take-over"
            ),
            Some(Reason::IdentityMismatch | Reason::SenderUnknown | Reason::SealForeign) => {
                let cause = format!("the axis does not know this edge: {message}");
                return Err(LinkError::Refused(Refusal::new(Reason::IdentityMismatch, cause)));
            }
            // Time passes, clocks and certificates are put right: the statement is sealed anew.
            Some(Reason::SealExpiredReseal | Reason::MessageFromFuture | Reason::SealRevoked) => {
                tracing::error!(%message, "the axis refuses this edge's seal");
                return Ok(Err(open));
            }
            _ => tracing::warn!(reason = %refusal.reason, %message, "the axis did not open the term; trying again"),
        }
        backoff.wait().await;
    }
}

/// What a refusal for the term of a statement means: an older statement is sealed anew, one of this term means that another edge took over.
pub(crate) fn superseded(sealed_in: EdgeTerm, own: EdgeTerm, refusal: &pb::Refusal) -> Result<(), LinkError> {
    if sealed_in < own {
        return Ok(());
    }
    let open = EdgeTerm(refusal.values.get("open").and_then(|open| open.parse().ok()).unwrap_or(0));
    Err(LinkError::Fatal(EdgeError::TermSuperseded { own, open }))
}
