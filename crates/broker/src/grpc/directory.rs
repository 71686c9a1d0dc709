//! `DirectoryService`: the registry statements with their proofs, and what `truc-directory` answers from them.

use std::sync::Arc;

use tonic::{Request, Response, Status};
use truc_core::registry::Registry;
use truc_directory::{Filter, Paging};
use truc_proto::broker::v1 as pb;
use truc_proto::broker::v1::directory_service_server::DirectoryService;
use truc_transport::{status, tls};
use truc_types::{Position, Reason, Refusal};

use crate::flow::Flow;
use crate::published::Published;

/// Registry statements of one page: 100 of them with proofs fit the message limit many times over.
const REGISTRY_PAGE_MAX: usize = 100;
/// Bytes of one page of registry statements, below the gRPC message limit.
const REGISTRY_PAGE_BYTES_MAX: usize = 512 * 1024;

pub(crate) struct Directory {
    pub(crate) published: Arc<Published>,
    pub(crate) flow: Arc<Flow>,
}

#[tonic::async_trait]
impl DirectoryService for Directory {
    async fn list_registry_entries(
        &self,
        request: Request<pb::ListRegistryEntriesRequest>,
    ) -> Result<Response<pb::ListRegistryEntriesResponse>, Status> {
        let agency = tls::peer_agency(&request).map_err(|refusal| status::status(&refusal))?;
        let request = request.into_inner();
        let (published, turn) = (self.published.clone(), self.flow.share(&agency).work().await);
        let answer = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            registry_page(&published, &request)
        });
        let answer = answer.await;
        let answer = answer.map_err(|_| status::status(&Refusal::new(Reason::ShuttingDown, "the broker ends")))?;
        answer.map(Response::new).map_err(|refusal| status::status(&refusal))
    }

    async fn get_axis(&self, request: Request<pb::GetAxisRequest>) -> Result<Response<pb::GetAxisResponse>, Status> {
        self.answer(&request, |registry| {
            Ok(pb::GetAxisResponse { axis: truc_directory::axis(registry), registry_version: registry.version() })
        })
    }

    async fn list_agencies(&self, request: Request<pb::ListAgenciesRequest>) -> Result<Response<pb::ListAgenciesResponse>, Status> {
        self.answer(&request, |registry| {
            let asked = request.get_ref();
            let page = truc_directory::agencies(registry, &Paging { size: asked.page_size, token: asked.page_token.clone() })?;
            Ok(pb::ListAgenciesResponse { agencies: page.items, next_page_token: page.next_token, registry_version: page.version })
        })
    }

    async fn list_organisations(
        &self,
        request: Request<pb::ListOrganisationsRequest>,
    ) -> Result<Response<pb::ListOrganisationsResponse>, Status> {
        self.scan(request, |registry, asked| {
            let filter = Filter { served_by: asked.served_by, query: asked.query };
            let page = truc_directory::organisations(registry, &filter, &Paging { size: asked.page_size, token: asked.page_token })?;
            Ok(pb::ListOrganisationsResponse {
                organisations: page.items,
                next_page_token: page.next_token,
                registry_version: page.version,
            })
        })
        .await
    }

    async fn look_up_code(&self, request: Request<pb::LookUpCodeRequest>) -> Result<Response<pb::LookUpCodeResponse>, Status> {
        self.scan(request, |registry, asked| {
            let found = truc_directory::look_up(registry, &asked.code)?;
            Ok(pb::LookUpCodeResponse {
                organisation: Some(found.organisation),
                agency: Some(found.agency),
                scheme: found.scheme.into(),
                registry_version: registry.version(),
            })
        })
        .await
    }

    async fn list_directory_changes(
        &self,
        request: Request<pb::ListDirectoryChangesRequest>,
    ) -> Result<Response<pb::ListDirectoryChangesResponse>, Status> {
        self.answer(&request, |registry| {
            let asked = request.get_ref();
            let paging = Paging { size: asked.page_size, token: asked.page_token.clone() };
            let page = truc_directory::changes(registry, asked.from_version, &paging)?;
            Ok(pb::ListDirectoryChangesResponse { changes: page.items, next_page_token: page.next_token, registry_version: page.version })
        })
    }
}

impl Directory {
    /// Answers an agency from the durable registry, looking at no more of it than one page: no worker thread is needed.
    fn answer<Q, A>(&self, request: &Request<Q>, answer: impl FnOnce(&Registry) -> Result<A, Refusal>) -> Result<Response<A>, Status> {
        tls::peer_agency(request).map_err(|refusal| status::status(&refusal))?;
        answer(&self.published.registry()).map(Response::new).map_err(|refusal| status::status(&refusal))
    }

    /// The same where a search may look at most of the registry, tens of milliseconds: on a worker thread, when it is the agency's turn.
    async fn scan<Q: Send + 'static, A: Send + 'static>(
        &self,
        request: Request<Q>,
        answer: impl FnOnce(&Registry, Q) -> Result<A, Refusal> + Send + 'static,
    ) -> Result<Response<A>, Status> {
        let agency = tls::peer_agency(&request).map_err(|refusal| status::status(&refusal))?;
        let turn = self.flow.share(&agency).scan().await;
        let (registry, asked) = (self.published.registry(), request.into_inner());
        let answered = tokio::task::spawn_blocking(move || {
            // Held by the work and not by the call: who gives a call up has no thread more.
            let _turn = turn;
            answer(&registry, asked)
        });
        let answered = answered.await.map_err(|_| status::status(&Refusal::new(Reason::ShuttingDown, "the broker ends")))?;
        answered.map(Response::new).map_err(|refusal| status::status(&refusal))
    }
}

fn registry_page(published: &Published, request: &pb::ListRegistryEntriesRequest) -> Result<pb::ListRegistryEntriesResponse, Refusal> {
    let registry = published.registry();
    // It comes from outside: it may be any number.
    let from = Position(published.shard_start().0.saturating_add(request.from_leaf));
    let wanted = usize::try_from(request.page_size).ok().filter(|size| (1..=REGISTRY_PAGE_MAX).contains(size)).unwrap_or(REGISTRY_PAGE_MAX);
    let (mut page, mut bytes, mut next) = (Vec::new(), 0, None);
    for position in registry.entries().iter().copied().filter(|position| *position >= from) {
        bytes += published.entry(position)?.len();
        if page.len() == wanted || (bytes > REGISTRY_PAGE_BYTES_MAX && !page.is_empty()) {
            next = Some(position);
            break;
        }
        page.push(position);
    }
    let (proven, checkpoint) = published.prove(page)?;
    Ok(pb::ListRegistryEntriesResponse {
        entries: proven.iter().map(super::logged_proven).collect(),
        checkpoint: checkpoint.note.to_string(),
        next_from_leaf: next.map_or(0, |next| next.0 - published.shard_start().0),
        registry_version: registry.version(),
    })
}
