//! The submit stream: statements go out, answers come back in any order and are joined by their number. What an answer means is not decided here.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use truc_proto::broker::v1 as pb;

use crate::meters::Meters;
use crate::node::LinkError;
use crate::session::Link;

/// Statements that wait for an answer; well below what the broker allows, enough to fill its blocks.
const IN_FLIGHT_MAX: usize = 128;

/// Hands statements to the stream of one connection.
#[derive(Clone)]
pub(crate) struct Submitter {
    requests: mpsc::Sender<pb::SubmitRequest>,
    waiting: Arc<Mutex<Waiting>>,
    permits: Arc<Semaphore>,
    meters: Arc<Meters>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    closed: bool,
    answers: HashMap<u64, oneshot::Sender<pb::submit_response::Outcome>>,
}

/// The reading half of the stream.
pub(crate) struct Answers {
    stream: Streaming<pb::SubmitResponse>,
    waiting: Arc<Mutex<Waiting>>,
}

impl Submitter {
    /// Opens the stream.
    pub(crate) async fn open(link: &Link, meters: Arc<Meters>) -> Result<(Self, Answers), LinkError> {
        let (requests, receiver) = mpsc::channel(IN_FLIGHT_MAX);
        let stream = link.submit().submit(ReceiverStream::new(receiver)).await?.into_inner();
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let submitter = Self { requests, waiting: Arc::clone(&waiting), permits: Arc::new(Semaphore::new(IN_FLIGHT_MAX)), meters };
        Ok((submitter, Answers { stream, waiting }))
    }

    /// Submits a statement and waits for its answer.
    ///
    /// # Errors
    /// When the stream broke: whether the statement was accepted is found out by submitting the same bytes again.
    pub(crate) async fn submit(&self, file: impl Into<Bytes>, force_takeover: bool) -> Result<pb::submit_response::Outcome, LinkError> {
        let gone = || LinkError::Away("the submit stream ended".to_owned());
        let _permit = self.permits.acquire().await.map_err(|_| gone())?;
        let (answer, answered) = oneshot::channel();
        let request_id = {
            let mut waiting = self.waiting.lock();
            if waiting.closed {
                return Err(gone());
            }
            waiting.next += 1;
            let request_id = waiting.next;
            waiting.answers.insert(request_id, answer);
            request_id
        };
        let request = pb::SubmitRequest { request_id, statement: file.into(), force_takeover };
        self.requests.send(request).await.map_err(|_| gone())?;
        let outcome = answered.await.map_err(|_| gone())?;
        self.meters.answered(&outcome);
        Ok(outcome)
    }
}

impl Answers {
    /// Hands answers to those who wait for them, until the stream ends.
    pub(crate) async fn hand_out(&mut self) -> Result<Infallible, LinkError> {
        let ended = loop {
            match self.stream.message().await {
                Ok(Some(pb::SubmitResponse { request_id, outcome: Some(outcome) })) => {
                    if let Some(answer) = self.waiting.lock().answers.remove(&request_id) {
                        // Who went away submits again some day.
                        let _gone = answer.send(outcome);
                    }
                }
                Ok(Some(pb::SubmitResponse { outcome: None, .. })) => break LinkError::Away("an answer without an outcome".to_owned()),
                Ok(None) => break LinkError::Away("the broker ended the submit stream".to_owned()),
                Err(status) => break status.into(),
            }
        };
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        waiting.answers.clear();
        Err(ended)
    }
}
