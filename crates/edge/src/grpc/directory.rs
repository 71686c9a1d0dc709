//! `DirectoryService` for the DMS: what `truc-directory` answers from the registry that this edge has verified. The axis may be away.

use std::sync::Arc;

use tonic::{Request, Response, Status};
use truc_core::registry::Registry;
use truc_directory::{Filter, Paging};
use truc_proto::edge::v1 as pb;
use truc_proto::edge::v1::directory_service_server::DirectoryService;
use truc_types::{Reason, Refusal};

use crate::node::Node;

/// The service of one edge.
#[derive(Clone)]
pub(super) struct Directory {
    pub(super) node: Arc<Node>,
}

impl Directory {
    /// Answers from the registry. A call looks at a bounded part of it: no worker thread is needed.
    fn answer<A>(&self, answer: impl FnOnce(&Registry) -> Result<A, Refusal>) -> Result<Response<A>, Status> {
        super::answer(answer(&self.node.trust.registry()))
    }
}

#[tonic::async_trait]
impl DirectoryService for Directory {
    async fn get_axis(&self, _request: Request<pb::GetAxisRequest>) -> Result<Response<pb::GetAxisResponse>, Status> {
        self.answer(|registry| {
            let never = || Refusal::new(Reason::BrokerAway, "this edge has not reached the axis yet: it knows no directory");
            let axis = truc_directory::axis(registry).ok_or_else(never)?;
            Ok(pb::GetAxisResponse { axis: Some(axis), registry_version: registry.version() })
        })
    }

    async fn list_agencies(&self, request: Request<pb::ListAgenciesRequest>) -> Result<Response<pb::ListAgenciesResponse>, Status> {
        self.answer(|registry| {
            let asked = request.into_inner();
            let page = truc_directory::agencies(registry, &Paging { size: asked.page_size, token: asked.page_token })?;
            Ok(pb::ListAgenciesResponse { agencies: page.items, next_page_token: page.next_token, registry_version: page.version })
        })
    }

    async fn list_organisations(
        &self,
        request: Request<pb::ListOrganisationsRequest>,
    ) -> Result<Response<pb::ListOrganisationsResponse>, Status> {
        self.answer(|registry| {
            let asked = request.into_inner();
            let filter = Filter { served_by: asked.served_by, query: asked.query };
            let page = truc_directory::organisations(registry, &filter, &Paging { size: asked.page_size, token: asked.page_token })?;
            Ok(pb::ListOrganisationsResponse {
                organisations: page.items,
                next_page_token: page.next_token,
                registry_version: page.version,
            })
        })
    }

    async fn look_up_code(&self, request: Request<pb::LookUpCodeRequest>) -> Result<Response<pb::LookUpCodeResponse>, Status> {
        self.answer(|registry| {
            let found = truc_directory::look_up(registry, &request.into_inner().code)?;
            Ok(pb::LookUpCodeResponse {
                organisation: Some(found.organisation),
                agency: Some(found.agency),
                scheme: found.scheme.into(),
                registry_version: registry.version(),
            })
        })
    }

    async fn list_directory_changes(
        &self,
        request: Request<pb::ListDirectoryChangesRequest>,
    ) -> Result<Response<pb::ListDirectoryChangesResponse>, Status> {
        self.answer(|registry| {
            let asked = request.into_inner();
            let page = truc_directory::changes(registry, asked.from_version, &Paging { size: asked.page_size, token: asked.page_token })?;
            Ok(pb::ListDirectoryChangesResponse { changes: page.items, next_page_token: page.next_token, registry_version: page.version })
        })
    }
}
