//! `SubmitService`: statements in, proofs out, in any order.

use std::sync::Arc;
use std::time::Duration;

use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};
use truc_proto::broker::v1::SubmitRequest;
use truc_proto::broker::v1::submit_service_server::SubmitService;
use truc_transport::metrics::Gauge;
use truc_transport::shutdown::Shutdown;
use truc_transport::status;
use truc_transport::tls::{self, Peer};
use truc_types::limits::{REFUSALS_PER_SECOND_MAX, RETRY_PAUSE_MILLIS, STATEMENT_FILE_BYTES_MAX};
use truc_types::{Reason, Refusal};

use super::answers::{Answers, Places, answers};
use crate::admission::{Admission, Job};
use crate::committer::{Answer, Reply};
use crate::flow::{Flow, Share};
use crate::kind::Kind;
use crate::meters::Meters;
use crate::published::Published;

pub(crate) struct Submits {
    pub(crate) admission: Admission,
    pub(crate) flow: Arc<Flow>,
    pub(crate) published: Arc<Published>,
    pub(crate) meters: Arc<Meters>,
    pub(crate) shutdown: Shutdown,
}

#[tonic::async_trait]
impl SubmitService for Submits {
    type SubmitStream = Answers;

    async fn submit(&self, request: Request<Streaming<SubmitRequest>>) -> Result<Response<Self::SubmitStream>, Status> {
        let of = tls::peer(&request).map_err(|refusal| status::status(&refusal))?;
        Ok(Response::new(self.answers(of, request.into_inner())))
    }
}

impl Submits {
    /// Reads the statements of a connected agency; their answers, in any order.
    pub(crate) fn answers(
        &self,
        of: Peer,
        requests: impl Stream<Item = Result<SubmitRequest, Status>> + Send + Unpin + 'static,
    ) -> Answers {
        let agency = &of.agency;
        let registry = self.published.registry();
        let is_axis = registry.axis_agency().is_some_and(|axis| registry.agency_index(agency) == Some(axis));
        let meters = (!is_axis).then(|| self.meters.clone());
        let (admission, share, shutdown) = (self.admission.clone(), self.flow.share(agency), self.shutdown.clone());
        let (places, answers) = answers(&share);
        // At shutdown nothing more is read; what was read is still answered, then the stream ends.
        tokio::spawn(async move {
            let _open = meters.as_ref().map(|meters| Open::new(meters));
            tokio::select! {
                () = read(requests, of, &admission, &share, meters.as_ref(), places) => {}
                () = shutdown.begun() => {}
            }
        });
        answers
    }
}

/// A submit stream that is counted.
struct Open(Gauge);

impl Open {
    fn new(meters: &Meters) -> Self {
        meters.submit_streams.inc();
        Self(meters.submit_streams.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Reads requests while answers have room: each request takes a place among the answers first, so a client that does not take its answers is not read.
async fn read(
    mut requests: impl Stream<Item = Result<SubmitRequest, Status>> + Unpin,
    of: Peer,
    admission: &Admission,
    share: &Arc<Share>,
    meters: Option<&Arc<Meters>>,
    places: Places,
) {
    let agency = &of.agency;
    while let Some(place) = places.next().await {
        let request = match requests.next().await {
            Some(Ok(request)) => request,
            None => break,
            Some(Err(cause)) => {
                tracing::debug!(%agency, %cause, "a submit stream broke");
                break;
            }
        };
        let metered = meters.map(Meters::received);
        let charge = share.enter(request.statement.len()).await;
        let reply = Reply { place, request_id: request.request_id, charge, metered };
        if let Err(refusal) = of.check() {
            tracing::warn!(%agency, reason = %refusal.reason, cause = refusal.message, "a submit stream ends");
            reply.send(Answer::Refused(refusal));
            break;
        }
        if let Some(silence) = share.silence() {
            let message = format!(
                "more than {REFUSALS_PER_SECOND_MAX} statements of {agency} a second were refused: nothing else is looked at for now"
            );
            reply.send(Answer::Refused(Refusal::new(Reason::FlowFlooding, message).with("limit", REFUSALS_PER_SECOND_MAX)));
            // An answer that costs nothing still is one: the stream is read again when the client may try again.
            tokio::time::sleep(silence.min(Duration::from_millis(RETRY_PAUSE_MILLIS))).await;
            continue;
        }
        if request.statement.len() > STATEMENT_FILE_BYTES_MAX {
            let message = format!("the statement has {} bytes, at most {STATEMENT_FILE_BYTES_MAX} are allowed", request.statement.len());
            let refusal = Refusal::new(Reason::StatementTooLarge, message).with("found", request.statement.len());
            reply.send(Answer::Refused(refusal.with("limit", STATEMENT_FILE_BYTES_MAX)));
            continue;
        }
        let file = Arc::from(request.statement.as_ref());
        let kind = Kind::of(&request.statement);
        admission.submit(Job { agency: agency.clone(), kind, file, force_takeover: request.force_takeover, reply });
    }
}
