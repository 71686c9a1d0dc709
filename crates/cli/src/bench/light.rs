//! Light edges of all agencies in this process: connected, with the contents that documents name stored at the axis. Not what is sent through them.

use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use truc_edge::light::{Done, LightEdge, Manner};
use truc_signing::sha256;
use truc_types::{MessageId, Refusal};

use super::axis::Axis;
use super::edges;
use super::figures::defect;
use crate::failure::Failure;

/// What keeps the edges going. Nothing arrives after it is gone.
pub(super) struct Loops(JoinSet<Refusal>);

/// Connects an edge of every agency and stores the contents under each. Receipts gather for `gathering`. What `told` makes for an agency is told of every
/// document of it that is back.
pub(super) async fn connect<T: Fn(MessageId) + Send + Sync + 'static>(
    axis: &Axis,
    contents: &[Bytes],
    gathering: Duration,
    told: impl Fn() -> T,
) -> Result<(Vec<LightEdge>, Loops), Failure> {
    let (mut edges, mut loops) = (Vec::with_capacity(axis.agencies.len()), JoinSet::new());
    for agency in &axis.agencies {
        let config = edges::open(axis, &agency.code)?;
        let (edge, running) = LightEdge::connect(&config, Manner::Registers, told()).await.map_err(Failure::Refused)?;
        for content in contents {
            let uploaded = edge.upload(sha256(content), content.len() as u64, std::iter::once(content.clone()));
            uploaded.await.map_err(Failure::Refused)?;
        }
        loops.spawn(running.gathering(gathering).run());
        edges.push(edge);
    }
    Ok((edges, Loops(loops)))
}

impl Loops {
    /// What a load comes to, or the first thing that is wrong at an edge meanwhile.
    pub(super) async fn beside<T>(&mut self, load: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        tokio::select! {
            done = load => done,
            Some(ended) = self.0.join_next() => Err(ended.map_or_else(|cause| defect(&cause.to_string()), Failure::Refused)),
        }
    }
}

/// Holds the edges' own counts against what was sent: each document accepted once, each delivery verified once and in two receipts. And every edge
/// demands proof that the log it sees extends the one that it saw at the beginning.
pub(super) async fn check(edges: &[LightEdge], documents: u64, deliveries: u64) -> Result<Done, Failure> {
    let mut all = Done { accepted: 0, arrived: 0, receipts_logged: 0, items_logged: 0, receipts_verified: 0 };
    for edge in edges {
        edge.witness().await.map_err(Failure::Refused)?;
        let done = edge.done();
        all.accepted += done.accepted;
        all.arrived += done.arrived;
        all.receipts_logged += done.receipts_logged;
        all.items_logged += done.items_logged;
        all.receipts_verified += done.receipts_verified;
    }
    if (all.accepted, all.arrived, all.items_logged) == (documents, deliveries, 2 * deliveries) {
        return Ok(all);
    }
    let Done { accepted, arrived, items_logged, .. } = all;
    let counts = format!("{accepted} accepted, {arrived} delivered, {items_logged} receipt items");
    Err(Failure::BadAnswer(format!("of {documents} documents with {deliveries} deliveries: {counts}")))
}
