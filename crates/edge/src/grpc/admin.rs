//! `EdgeAdminService`: what the operator of this edge sees: the local steps of a message, and what alarms rest on. Reads only.

use std::net::SocketAddr;
use std::sync::Arc;

use tonic::{Request, Response, Status};
use truc_proto::admin::v1 as pb;
use truc_proto::admin::v1::edge_admin_service_server::EdgeAdminService;
use truc_signing::statement::Statement;
use truc_signing::{Certificate, open_sealed};
use truc_transport::status::status as status_of;
use truc_transport::{checks, clock, last_backup};
use truc_types::limits::PAGE_ITEMS_MAX;
use truc_types::{Position, Reason, Refusal};

use super::{message_id, unknown};
use crate::node::Node;
use crate::record::{Answer, Record};
use crate::state::{InboxRow, OutboxRow, Visibility};

pub(super) struct Admin {
    pub(super) node: Arc<Node>,
}

#[tonic::async_trait]
impl EdgeAdminService for Admin {
    async fn trace_local_message(
        &self,
        request: Request<pb::TraceLocalMessageRequest>,
    ) -> Result<Response<pb::TraceLocalMessageResponse>, Status> {
        let request = allowed(request)?;
        super::answer(trace(&self.node, &request.message_id).await)
    }

    async fn get_edge_health(&self, request: Request<pb::GetEdgeHealthRequest>) -> Result<Response<pb::GetEdgeHealthResponse>, Status> {
        allowed(request)?;
        super::answer(health(&self.node).await)
    }
}

/// The one check of this service: whoever is on this machine, as for documents.
fn allowed<T>(request: Request<T>) -> Result<T, Status> {
    match request.remote_addr() {
        Some(address) if !address.ip().is_loopback() => Err(status_of(&not_local(address))),
        _ => Ok(request.into_inner()),
    }
}

fn not_local(address: SocketAddr) -> Refusal {
    Refusal::new(Reason::OperatorOnly, format!("{address} is not on this machine")).with("address", address)
}

async fn trace(node: &Node, id: &str) -> Result<pb::TraceLocalMessageResponse, Refusal> {
    let id = message_id(id)?;
    let (sent, arrived) = node.store.search(move |state| Ok((state.outbox(&id)?, state.arrivals_of(&id)?))).await?;
    if sent.is_none() && arrived.is_empty() {
        return Err(unknown(&id));
    }
    let mut steps = Vec::new();
    if let Some(row) = sent {
        sent_steps(node, &row, &mut steps).await?;
    }
    for (recipient, row) in arrived {
        arrived_steps(node, recipient.as_str(), &row, &mut steps).await?;
    }
    steps.sort_by_key(|step: &pb::LocalStep| step.position);
    Ok(pb::TraceLocalMessageResponse { steps, now: clock::now().to_string() })
}

async fn step(node: &Node, name: &str, position: Position) -> Result<pb::LocalStep, Refusal> {
    let at = node.store.time_at(position).await?.to_string();
    Ok(pb::LocalStep { step: name.to_owned(), at, position: position.0, leaf: None, recipient: String::new(), detail: String::new() })
}

async fn sent_steps(node: &Node, row: &OutboxRow, steps: &mut Vec<pb::LocalStep>) -> Result<(), Refusal> {
    steps.push(step(node, "stored", row.drafted).await?);
    if let Some(sealed) = row.sealed {
        steps.push(pb::LocalStep { detail: format!("edge term {}", sealed.term), ..step(node, "sealed", sealed.position).await? });
    }
    if let Some(accepted) = row.accepted {
        steps.push(pb::LocalStep { leaf: Some(accepted.leaf.0), ..step(node, "accepted", accepted.position).await? });
    }
    if let (Some((reason, _)), Some(position)) = (&row.refusal, row.refused_at) {
        let known: Option<Reason> = reason.parse().ok();
        let detail = known.map_or_else(|| reason.clone(), |known| known.code().to_owned());
        steps.push(pb::LocalStep { detail, ..step(node, "refused_by_axis", Position(position)).await? });
    }
    for recipient in &row.recipients {
        for position in &recipient.receipts {
            let (leaf, detail) = match node.store.record_at(Position(*position)).await? {
                Record::FeedReceipt { leaf, file, .. } => (Some(leaf.index.0), event_of(&file)),
                _ => (None, String::new()),
            };
            let told = step(node, "receipt", Position(*position)).await?;
            steps.push(pb::LocalStep { leaf, detail, recipient: recipient.code.to_string(), ..told });
        }
    }
    Ok(())
}

/// What a receipt says, in one word.
fn event_of(file: &[u8]) -> String {
    match open_sealed(file).map(|sealed| sealed.statement) {
        Ok(Statement::Receipt(receipt)) => receipt.event.as_str().to_owned(),
        _ => String::new(),
    }
}

async fn arrived_steps(node: &Node, recipient: &str, row: &InboxRow, steps: &mut Vec<pb::LocalStep>) -> Result<(), Refusal> {
    let leaf = match node.store.record_at(row.arrived_at).await? {
        Record::Arrived { envelope_leaf, .. } => Some(envelope_leaf.index.0),
        _ => None,
    };
    let arrived =
        pb::LocalStep { leaf, detail: format!("queue position {}", row.queue_position), ..step(node, "arrived", row.arrived_at).await? };
    let mut told = vec![arrived];
    let (name, detail) = match row.visibility {
        Visibility::Stored => ("waits_for_fetched", "its fetched receipt is not in the log yet".to_owned()),
        Visibility::Shown(cursor) => ("shown", format!("cursor {cursor}")),
        Visibility::Discarded => ("discarded", "its fetched receipt was refused".to_owned()),
    };
    told.push(match row.visible_at {
        Some(position) => pb::LocalStep { detail, ..step(node, name, Position(position)).await? },
        // It has not happened: there is no record, and no time.
        None => pb::LocalStep { step: name.to_owned(), position: row.arrived_at.0, detail, ..pb::LocalStep::default() },
    });
    if let (Some(answer), Some(position)) = (&row.answer, row.answer_at) {
        let detail = match answer {
            Answer::Acknowledged { .. } => "acknowledged".to_owned(),
            Answer::Refused(reason) => format!("refused: {}", reason.code),
        };
        told.push(pb::LocalStep { detail, ..step(node, "answered", Position(position)).await? });
    }
    if let Some(position) = row.answer_logged_at {
        told.push(step(node, "answer_logged", Position(position)).await?);
    }
    steps.extend(told.into_iter().map(|step| pb::LocalStep { recipient: recipient.to_owned(), ..step }));
    Ok(())
}

async fn health(node: &Node) -> Result<pb::GetEdgeHealthResponse, Refusal> {
    let read = node.store.search(|state| {
        let (open, _) = state.open_documents(None, PAGE_ITEMS_MAX)?;
        // Ids are ordered by the time at which the DMS handed the document in.
        let oldest = match open.iter().min() {
            Some(id) => state.outbox(id)?.map(|row| row.drafted),
            None => None,
        };
        Ok((state.meta()?, open.len(), oldest, state.waiting_receipts(PAGE_ITEMS_MAX)?.len(), state.applied()))
    });
    let (meta, open, oldest, receipts, applied) = read.await?;
    let oldest_waiting_at = match oldest {
        Some(position) => node.store.time_at(position).await?.to_string(),
        None => String::new(),
    };
    let data = node.config.data.clone();
    let last_backup_at = tokio::task::spawn_blocking(move || last_backup::last_backup(&data)).await.unwrap_or_default();
    let space = node.checks.values().space;
    let tls = Certificate::from_pem(&node.config.tls.certificate_pem()).ok();
    Ok(pb::GetEdgeHealthResponse {
        release: env!("CARGO_PKG_VERSION").to_owned(),
        now: clock::now().to_string(),
        agency: node.agency().to_string(),
        edge_term: node.term.lock().map_or(0, |term| term.0),
        connected: node.connected.load(std::sync::atomic::Ordering::Relaxed),
        durable_position: applied.0,
        documents_waiting: open as u64,
        oldest_waiting_at,
        receipts_waiting: receipts as u64,
        observed_log_size: meta.checkpoint.map_or(0, |checkpoint| checkpoint.size),
        disk_free_bytes: space.map_or(0, |space| space.free_bytes),
        disk_bytes: space.map_or(0, |space| space.total_bytes),
        seal_not_after: node.config.seal_certificate.not_after().to_string(),
        tls_not_after: tls.map(|certificate| certificate.not_after().to_string()).unwrap_or_default(),
        last_backup_at,
        ready: node.checks.is_ready(),
        checks: checks::shown(&node.checks),
    })
}
