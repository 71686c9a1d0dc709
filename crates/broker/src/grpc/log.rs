//! `LogService`: checkpoints and consistency proofs, for those who check the log.

use std::sync::Arc;

use tonic::{Request, Response, Status};
use truc_proto::broker::v1 as pb;
use truc_proto::broker::v1::log_service_server::LogService;
use truc_transport::{clock, status, tls};
use truc_types::{Reason, Refusal};

use crate::flow::Flow;
use crate::published::Published;

pub(crate) struct Log {
    pub(crate) published: Arc<Published>,
    pub(crate) flow: Arc<Flow>,
}

#[tonic::async_trait]
impl LogService for Log {
    async fn get_checkpoint(&self, request: Request<pb::GetCheckpointRequest>) -> Result<Response<pb::GetCheckpointResponse>, Status> {
        tls::peer_agency(&request).map_err(|refusal| status::status(&refusal))?;
        let checkpoint = self.published.checkpoint().note.to_string();
        Ok(Response::new(pb::GetCheckpointResponse { checkpoint, now: clock::now().to_string() }))
    }

    async fn get_consistency_proof(
        &self,
        request: Request<pb::GetConsistencyProofRequest>,
    ) -> Result<Response<pb::GetConsistencyProofResponse>, Status> {
        let agency = tls::peer_agency(&request).map_err(|refusal| status::status(&refusal))?;
        let pb::GetConsistencyProofRequest { old_size, new_size } = request.into_inner();
        let (published, turn) = (self.published.clone(), self.flow.share(&agency).work().await);
        let path = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            published.prove_consistency(old_size, new_size)
        });
        let path = path.await.map_err(|_| status::status(&Refusal::new(Reason::ShuttingDown, "the broker ends")))?;
        let path = path.map_err(|refusal| status::status(&refusal))?;
        Ok(Response::new(pb::GetConsistencyProofResponse { path: super::path_bytes(&path) }))
    }
}
