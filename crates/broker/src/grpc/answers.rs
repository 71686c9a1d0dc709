//! The answers of one submit stream on their way to the client: counted as unread until they are taken, and an end with a reason for a client that
//! takes none.

use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::Stream;
use tonic::Status;
use truc_proto::broker::v1::{SubmitResponse, submit_response::Outcome};
use truc_transport::status;
use truc_types::limits::{STALLED_MILLIS_MAX, SUBMIT_IN_FLIGHT_MAX};
use truc_types::{Reason, Refusal};

use crate::committer::Answer;
use crate::flow::Share;

type Numbered = (u64, Answer);

/// The stream that the client reads.
pub(crate) struct Answers {
    answered: mpsc::Receiver<Numbered>,
    unread: Arc<Unread>,
    ended: bool,
}

/// Where requests take the places for their answers.
pub(crate) struct Places {
    answers: mpsc::Sender<Numbered>,
    unread: Arc<Unread>,
    patience: Duration,
}

/// What one stream has of its agency's places for unread answers; given back when both ends have gone.
struct Unread {
    share: Arc<Share>,
    count: AtomicUsize,
    stalled: AtomicBool,
}

/// Both ends of a new stream.
pub(crate) fn answers(share: &Arc<Share>) -> (Places, Answers) {
    let (answers, answered) = mpsc::channel(SUBMIT_IN_FLIGHT_MAX);
    let unread = Arc::new(Unread { share: share.clone(), count: AtomicUsize::new(0), stalled: AtomicBool::new(false) });
    let patience = Duration::from_millis(STALLED_MILLIS_MAX);
    (Places { answers, unread: unread.clone(), patience }, Answers { answered, unread, ended: false })
}

impl Places {
    /// A place for one more answer; none when the client has gone, or takes nothing for [`STALLED_MILLIS_MAX`].
    pub(crate) async fn next(&self) -> Option<mpsc::OwnedPermit<Numbered>> {
        let mut waiting = pin!(self.wait());
        // Nearly always there is one, and a timer costs more than all the rest of this.
        if let Poll::Ready(place) = poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context))).await {
            return place;
        }
        loop {
            match tokio::time::timeout(self.patience, waiting.as_mut()).await {
                Ok(place) => return place,
                // Other streams of the agency may hold its places; this one is at fault only for what is unread on it.
                Err(_) if self.unread.count.load(Ordering::Relaxed) == 0 => {}
                Err(_) => {
                    self.unread.stalled.store(true, Ordering::Release);
                    return None;
                }
            }
        }
    }

    async fn wait(&self) -> Option<mpsc::OwnedPermit<Numbered>> {
        let place = self.answers.clone().reserve_owned().await.ok()?;
        tokio::select! {
            () = self.unread.share.unread() => {}
            () = self.answers.closed() => return None,
        }
        self.unread.count.fetch_add(1, Ordering::Relaxed);
        Some(place)
    }
}

impl Stream for Answers {
    type Item = Result<SubmitResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Some(answer) = ready!(self.answered.poll_recv(context)) {
            self.unread.count.fetch_sub(1, Ordering::Relaxed);
            self.unread.share.read(1);
            return Poll::Ready(Some(Ok(response(answer))));
        }
        self.ended = true;
        Poll::Ready(self.unread.stalled.load(Ordering::Acquire).then(|| Err(status::status(&stalled("no answer was read")))))
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        self.share.read(self.count.load(Ordering::Relaxed));
    }
}

/// The reason of a call that goes no further by the fault of the other side.
pub(crate) fn stalled(what: &str) -> Refusal {
    let message = format!("{what} for {STALLED_MILLIS_MAX} ms: the call is ended");
    Refusal::new(Reason::FlowStalled, message).with("limit_millis", STALLED_MILLIS_MAX)
}

fn response((request_id, answer): Numbered) -> SubmitResponse {
    let outcome = match answer {
        Answer::Accepted(acceptance) => Outcome::Accepted(super::acceptance(&acceptance)),
        Answer::Refused(refusal) => Outcome::Refused(status::to_proto(&refusal)),
    };
    SubmitResponse { request_id, outcome: Some(outcome) }
}

#[cfg(test)]
mod tests {
    use tokio_stream::StreamExt as _;
    use truc_types::limits::UNREAD_ANSWERS_MAX;

    use super::*;
    use crate::flow::Flow;

    /// Shorter than that of a broker.
    const PATIENCE: Duration = Duration::from_millis(20);

    fn impatient(share: &Arc<Share>) -> (Places, Answers) {
        let (places, read) = answers(share);
        (Places { patience: PATIENCE, ..places }, read)
    }

    fn refused() -> Answer {
        Answer::Refused(Refusal::new(Reason::ShuttingDown, "the broker ends"))
    }

    #[tokio::test]
    async fn a_client_that_reads_no_answer_is_read_no_more_and_told_why() {
        let share = Flow::default().share(&"H1".parse().unwrap());
        let (places, mut answers) = impatient(&share);
        for number in 0..SUBMIT_IN_FLIGHT_MAX as u64 {
            places.next().await.unwrap().send((number, refused()));
        }
        assert!(places.next().await.is_none(), "all places are taken, and nobody reads");
        drop(places);
        for number in 0..SUBMIT_IN_FLIGHT_MAX as u64 {
            assert_eq!(answers.next().await.unwrap().unwrap().request_id, number, "what was answered is still there");
        }
        let told = answers.next().await.unwrap().unwrap_err();
        assert_eq!(status::refusal(&told).unwrap().reason, Reason::FlowStalled);
        assert!(answers.next().await.is_none());
    }

    #[tokio::test]
    async fn unread_answers_of_all_streams_are_bounded_and_their_places_come_back_with_the_stream() {
        let share = Flow::default().share(&"H1".parse().unwrap());
        let silent: Vec<_> = (0..UNREAD_ANSWERS_MAX / SUBMIT_IN_FLIGHT_MAX).map(|_| answers(&share)).collect();
        for (places, _) in &silent {
            for number in 0..SUBMIT_IN_FLIGHT_MAX as u64 {
                places.next().await.unwrap().send((number, refused()));
            }
        }
        let (places, _answers) = impatient(&share);
        assert!(tokio::time::timeout(3 * PATIENCE, places.next()).await.is_err(), "it waits, and is not blamed");
        drop(silent);
        assert!(places.next().await.is_some());
    }
}
