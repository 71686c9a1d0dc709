//! `BrokerAdminService`: what the operator sees, and the registry statements that the operator brings. Who may ask is checked in one place, at the start of every call.

mod health;
mod registry;
mod trace;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::{mpsc, oneshot};
use tonic::{Request, Response, Status};
use truc_blobs::BlobStore;
use truc_core::registry::{Agency, Registry};
use truc_proto::admin::v1 as pb;
use truc_proto::admin::v1::broker_admin_service_server::BrokerAdminService;
use truc_transport::checks::Checks;
use truc_transport::{clock, status, tls};
use truc_types::limits::PAGE_ITEMS_MAX;
use truc_types::{Digest, Lane, Reason, Refusal, Timestamp};
use truc_views::ViewStore;

use super::ending;
use crate::meters::Meters;
use crate::published::Published;
use crate::sequencer::{Command, InspectedAgency, Inspection};

/// Attachments that one call counts: a look at a million files takes some seconds.
const BLOBS_COUNTED_MAX: u64 = 1_000_000;

pub(crate) struct Admin {
    pub(crate) published: Arc<Published>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) views: Arc<ViewStore>,
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) meters: Arc<Meters>,
    pub(crate) clock_stepped_back: Arc<AtomicBool>,
    /// The data folder.
    pub(crate) data: PathBuf,
    pub(crate) checks: Checks,
    pub(crate) started_at: Timestamp,
}

#[tonic::async_trait]
impl BrokerAdminService for Admin {
    async fn list_queues(&self, request: Request<pb::ListQueuesRequest>) -> Result<Response<pb::ListQueuesResponse>, Status> {
        let request = allowed(request)?;
        let inspection = self.inspect().await.map_err(|refusal| status::status(&refusal))?;
        queues(&self.published.registry(), &inspection, &request).map(Response::new).map_err(|refusal| status::status(&refusal))
    }

    async fn list_agency_details(
        &self,
        request: Request<pb::ListAgencyDetailsRequest>,
    ) -> Result<Response<pb::ListAgencyDetailsResponse>, Status> {
        let request = allowed(request)?;
        let inspection = self.inspect().await.map_err(|refusal| status::status(&refusal))?;
        let registry = self.published.registry();
        let rows = by_code(&registry, &inspection, &request.page_token);
        let (page, next_page_token) = page(rows, request.page_size);
        let agencies = page.into_iter().map(|(agency, seen)| self.agency(&registry, agency, seen)).collect();
        let (registry_version, now) = (registry.version(), clock::now().to_string());
        Ok(Response::new(pb::ListAgencyDetailsResponse { agencies, next_page_token, registry_version, now }))
    }

    async fn list_connections(
        &self,
        request: Request<pb::ListConnectionsRequest>,
    ) -> Result<Response<pb::ListConnectionsResponse>, Status> {
        let request = allowed(request)?;
        let inspection = self.inspect().await.map_err(|refusal| status::status(&refusal))?;
        let registry = self.published.registry();
        let mut rows = by_code(&registry, &inspection, &request.page_token);
        rows.retain(|(_, seen)| seen.stream.is_some());
        let (page, next_page_token) = page(rows, request.page_size);
        let connections = page.into_iter().filter_map(|(agency, seen)| connection(agency, seen)).collect();
        Ok(Response::new(pb::ListConnectionsResponse { connections, next_page_token, now: clock::now().to_string() }))
    }

    async fn trace_message(&self, request: Request<pb::TraceMessageRequest>) -> Result<Response<pb::TraceMessageResponse>, Status> {
        let request = allowed(request)?;
        self.trace(&request).await.map(Response::new).map_err(|refusal| status::status(&refusal))
    }

    async fn get_blob_use(&self, request: Request<pb::GetBlobUseRequest>) -> Result<Response<pb::GetBlobUseResponse>, Status> {
        let request = allowed(request)?;
        let blobs = self.blobs.clone();
        let used = tokio::task::spawn_blocking(move || blob_use(blobs.as_ref(), &request.sha256)).await;
        let used = used.map_err(|_| status::status(&ending()))?;
        used.map(Response::new).map_err(|refusal| status::status(&refusal))
    }

    async fn get_broker_health(
        &self,
        request: Request<pb::GetBrokerHealthRequest>,
    ) -> Result<Response<pb::GetBrokerHealthResponse>, Status> {
        allowed(request)?;
        self.health().await.map(Response::new).map_err(|refusal| status::status(&refusal))
    }

    async fn append_registry_statement(
        &self,
        request: Request<pb::AppendRegistryStatementRequest>,
    ) -> Result<Response<pb::AppendRegistryStatementResponse>, Status> {
        let request = allowed(request)?;
        self.append_registry(request.statement.to_vec().into()).await.map(Response::new).map_err(|refusal| status::status(&refusal))
    }
}

/// The one check of this service: the operator's certificate and no other.
fn allowed<T>(request: Request<T>) -> Result<T, Status> {
    match tls::check_operator(&request) {
        Ok(()) => Ok(request.into_inner()),
        Err(refusal) => {
            tracing::warn!(cause = refusal.message, "somebody else than the operator asked the admin service");
            Err(status::status(&refusal))
        }
    }
}

impl Admin {
    async fn inspect(&self) -> Result<Inspection, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Inspect { reply }).await.map_err(|_| ending())?;
        answer.await.map_err(|_| ending())
    }

    fn agency(&self, registry: &Registry, agency: &Agency, seen: &InspectedAgency) -> pb::AgencyDetails {
        let keys = registry.keys().iter().filter(|key| key.agency() == Some(&agency.code));
        let mut keys: Vec<_> = keys
            .map(|key| pb::SealKeyDetails {
                keyid: key.keyid.to_hex(),
                role: format!("{:?}", key.role).to_lowercase(),
                not_after: key.not_after.to_string(),
                revoked_at: text(key.revoked_at),
            })
            .collect();
        keys.sort_by(|a, b| b.not_after.cmp(&a.not_after));
        let away_since = if seen.stream.is_some() { None } else { Some(seen.ended.unwrap_or(self.started_at)) };
        pb::AgencyDetails {
            code: agency.code.to_string(),
            old_code: agency.old_code.as_ref().map(ToString::to_string).unwrap_or_default(),
            name_vi: agency.name_vi.clone(),
            keys,
            connected_since: text(seen.stream.as_ref().map(|stream| stream.since)),
            away_since: text(away_since),
            edge_term: seen.edge_term.0,
            predicates: agency.predicates.clone(),
            waiting: seen.waiting() as u64,
        }
    }
}

/// A time as it travels; empty for none.
fn text(time: Option<Timestamp>) -> String {
    time.map(|time| time.to_string()).unwrap_or_default()
}

/// The agencies after a page token, by code; without the axis itself, whose loopback message is nobody's mail.
fn by_code<'a>(registry: &'a Registry, inspection: &'a Inspection, after: &str) -> Vec<(&'a Agency, &'a InspectedAgency)> {
    let seen = inspection.agencies.iter().filter_map(|seen| Some((registry.agency(seen.agency)?, seen)));
    let seen = seen.filter(|(_, seen)| registry.axis_agency() != Some(seen.agency));
    let mut rows: Vec<_> = seen.filter(|(agency, _)| agency.code.as_str() > after).collect();
    rows.sort_by(|(a, _), (b, _)| a.code.cmp(&b.code));
    rows
}

fn page<'a>(mut rows: Vec<(&'a Agency, &'a InspectedAgency)>, size: u32) -> (Vec<(&'a Agency, &'a InspectedAgency)>, String) {
    let size = page_size(size);
    let more = rows.len() > size;
    rows.truncate(size);
    let token = rows.last().filter(|_| more).map(|(agency, _)| agency.code.to_string());
    (rows, token.unwrap_or_default())
}

fn page_size(asked: u32) -> usize {
    usize::try_from(asked).ok().filter(|size| (1..=PAGE_ITEMS_MAX).contains(size)).unwrap_or(PAGE_ITEMS_MAX)
}

fn queues(registry: &Registry, inspection: &Inspection, request: &pb::ListQueuesRequest) -> Result<pb::ListQueuesResponse, Refusal> {
    let mut rows = by_code(registry, inspection, "");
    if !request.agency.is_empty() {
        rows.retain(|(agency, _)| agency.code.as_str() == request.agency);
        if rows.is_empty() {
            return Err(Refusal::new(Reason::SenderUnknown, format!("agency {:?} is not on this axis", request.agency)));
        }
    }
    // Empty queues last, the oldest first; by code where both are alike, because the sort is stable.
    rows.sort_by_key(|(_, seen)| seen.oldest().map_or((true, Timestamp::MAX), |oldest| (false, oldest)));
    let from: usize = match request.page_token.as_str() {
        "" => 0,
        token => token.parse().map_err(|_| Refusal::new(Reason::RequestInvalid, "page_token is none that this service gave out"))?,
    };
    let size = page_size(request.page_size);
    let next_page_token = if rows.len().saturating_sub(from) > size { (from + size).to_string() } else { String::new() };
    let queues = rows.iter().skip(from).take(size).map(|(agency, seen)| queue(agency, seen)).collect();
    Ok(pb::ListQueuesResponse { queues, next_page_token, now: clock::now().to_string() })
}

fn queue(agency: &Agency, seen: &InspectedAgency) -> pb::Queue {
    let lane = |lane: Lane| {
        let (waiting, oldest) = seen.lanes.get(lane.index()).copied().unwrap_or_default();
        pb::QueueLane { lane: lane_name(lane).to_owned(), waiting: waiting as u64, oldest_at: text(oldest) }
    };
    pb::Queue {
        agency: agency.code.to_string(),
        waiting: seen.waiting() as u64,
        oldest_at: text(seen.oldest()),
        lanes: Lane::DRAIN_ORDER.map(lane).to_vec(),
        leased: seen.leased as u64,
        paused: seen.paused as u64,
        redelivered: seen.redelivered as u64,
        receipts_waiting: seen.receipts_waiting as u64,
        connected: seen.stream.is_some(),
    }
}

const fn lane_name(lane: Lane) -> &'static str {
    match lane {
        Lane::Flash => "flash",
        Lane::VeryUrgent => "very_urgent",
        Lane::Urgent => "urgent",
        Lane::Normal => "normal",
    }
}

fn connection(agency: &Agency, seen: &InspectedAgency) -> Option<pb::Connection> {
    let stream = seen.stream.as_ref()?;
    Some(pb::Connection {
        agency: agency.code.to_string(),
        peer: stream.peer.map(|peer| peer.to_string()).unwrap_or_default(),
        since: stream.since.to_string(),
        edge_term: stream.edge_term.0,
        credit: stream.credit,
        leased: seen.leased as u64,
        receipts_unconfirmed: stream.receipts_unconfirmed,
        items_waiting: stream.items_waiting as u64,
    })
}

fn blob_use(blobs: &dyn BlobStore, sha256: &[u8]) -> Result<pb::GetBlobUseResponse, Refusal> {
    let failed = |cause: truc_blobs::BlobError| Refusal::new(cause.reason(), cause.to_string());
    let looked_up = match sha256 {
        [] => None,
        bytes => {
            let digest = bytes.try_into().map(Digest);
            let digest = digest.map_err(|_| Refusal::new(Reason::RequestInvalid, format!("sha256 has {} bytes", bytes.len())))?;
            let size = blobs.size(&digest).map_err(failed)?;
            let owners = blobs.owner_count(&digest).map_err(failed)?;
            Some(pb::BlobDetails { stored: size.is_some(), bytes: size.unwrap_or(0), owners })
        }
    };
    let usage = blobs.usage(BLOBS_COUNTED_MAX).map_err(failed)?;
    let uploads = usage.uploads.into_iter().map(|uploads| pb::OpenUploads {
        agency: uploads.agency.to_string(),
        uploads: uploads.uploads,
        bytes: uploads.bytes,
        oldest_at: uploads.oldest.to_string(),
    });
    Ok(pb::GetBlobUseResponse {
        blobs: usage.blobs,
        bytes: usage.bytes,
        pinned: usage.pinned,
        uploads: uploads.collect(),
        partial: usage.partial,
        looked_up,
    })
}
