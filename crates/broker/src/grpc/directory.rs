//! `DirectoryService`: the registry statements with their proofs, and lists derived from them.

use std::sync::Arc;

use tonic::{Request, Response, Status};
use truc_core::registry::Registry;
use truc_proto::broker::v1 as pb;
use truc_proto::broker::v1::directory_service_server::DirectoryService;
use truc_transport::{status, tls};
use truc_types::limits::PAGE_ITEMS_MAX;
use truc_types::{AgencyCode, OrganisationCode, Position, Reason, Refusal};

use crate::published::Published;

/// Registry statements of one page: 100 of them with proofs fit the message limit many times over.
const REGISTRY_PAGE_MAX: usize = 100;
/// Bytes of one page of registry statements, below the gRPC message limit.
const REGISTRY_PAGE_BYTES_MAX: usize = 512 * 1024;

pub(crate) struct Directory {
    pub(crate) published: Arc<Published>,
}

#[tonic::async_trait]
impl DirectoryService for Directory {
    async fn list_registry_entries(
        &self,
        request: Request<pb::ListRegistryEntriesRequest>,
    ) -> Result<Response<pb::ListRegistryEntriesResponse>, Status> {
        tls::peer_agency(&request).map_err(|refusal| status::status(&refusal))?;
        let request = request.into_inner();
        let published = self.published.clone();
        let answer = tokio::task::spawn_blocking(move || registry_page(&published, &request)).await;
        let answer = answer.map_err(|_| status::status(&Refusal::new(Reason::ShuttingDown, "the broker ends")))?;
        answer.map(Response::new).map_err(|refusal| status::status(&refusal))
    }

    async fn list_agencies(&self, request: Request<pb::ListAgenciesRequest>) -> Result<Response<pb::ListAgenciesResponse>, Status> {
        tls::peer_agency(&request).map_err(|refusal| status::status(&refusal))?;
        let request = request.into_inner();
        let registry = self.published.registry();
        let after = token(&request.page_token)?;
        let size = page_size(request.page_size);
        let mut codes: Vec<_> = registry.agencies().iter().collect();
        codes.sort_by(|a, b| a.code.cmp(&b.code));
        let mut rest = codes.into_iter().filter(|agency| after.as_ref().is_none_or(|after| agency.code.as_str() > after.as_str()));
        let page: Vec<_> = rest.by_ref().take(size).collect();
        let next_page_token =
            if rest.next().is_some() { page.last().map(|agency| agency.code.to_string()).unwrap_or_default() } else { String::new() };
        let agency = |agency: &truc_core::registry::Agency| pb::Agency {
            code: agency.code.to_string(),
            old_code: agency.old_code.as_ref().map(ToString::to_string).unwrap_or_default(),
            name_vi: agency.name_vi.clone(),
            name_en: agency.name_en.clone().unwrap_or_default(),
            code_status: agency.code_status.clone(),
        };
        let agencies = page.into_iter().map(agency).collect();
        Ok(Response::new(pb::ListAgenciesResponse { agencies, next_page_token, registry_version: registry.version() }))
    }

    async fn list_organisations(
        &self,
        request: Request<pb::ListOrganisationsRequest>,
    ) -> Result<Response<pb::ListOrganisationsResponse>, Status> {
        tls::peer_agency(&request).map_err(|refusal| status::status(&refusal))?;
        organisations_page(&self.published.registry(), &request.into_inner()).map(Response::new)
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

fn organisations_page(registry: &Registry, request: &pb::ListOrganisationsRequest) -> Result<pb::ListOrganisationsResponse, Status> {
    let after = token(&request.page_token)?;
    let served_by = match request.served_by.as_str() {
        "" => None,
        code => {
            let code: AgencyCode = code.parse().map_err(|cause| invalid(&format!("served_by: {cause}")))?;
            Some(registry.agency_index(&code).ok_or_else(|| invalid(&format!("served_by: {code} is not on this axis")))?)
        }
    };
    let bounds = (after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded), std::ops::Bound::Unbounded);
    let mut rest = registry
        .organisations()
        .range::<OrganisationCode, _>(bounds)
        .filter(|(_, organisation)| served_by.is_none_or(|agency| organisation.served_by == agency));
    let page: Vec<_> = rest.by_ref().take(page_size(request.page_size)).collect();
    let next_page_token =
        if rest.next().is_some() { page.last().map(|(code, _)| code.to_string()).unwrap_or_default() } else { String::new() };
    let organisation = |(code, organisation): (&OrganisationCode, &truc_core::registry::Organisation)| pb::Organisation {
        code: code.to_string(),
        served_by: registry.agency(organisation.served_by).map(|agency| agency.code.to_string()).unwrap_or_default(),
        name: organisation.name.clone().unwrap_or_default(),
    };
    let organisations = page.into_iter().map(organisation).collect();
    Ok(pb::ListOrganisationsResponse { organisations, next_page_token, registry_version: registry.version() })
}

fn page_size(asked: u32) -> usize {
    usize::try_from(asked).ok().filter(|size| (1..=PAGE_ITEMS_MAX).contains(size)).unwrap_or(PAGE_ITEMS_MAX)
}

fn token(text: &str) -> Result<Option<OrganisationCode>, Status> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| invalid("page_token is none that this service gave out")),
    }
}

fn invalid(message: &str) -> Status {
    status::status(&Refusal::new(Reason::RequestInvalid, message))
}
