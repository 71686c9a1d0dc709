//! How much of the memory for statements in flight one agency, and all together, may take. Not the order among statements: whoever waits here waits
//! in line, so no agency's flood delays another by more than what its share holds.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use truc_types::AgencyCode;
use truc_types::limits::SUBMIT_IN_FLIGHT_MAX;

/// Bytes of statements that one agency may have in flight on all its streams: one full stream of the usual size, or 70 of the largest.
const AGENCY_BYTES_MAX: usize = SUBMIT_IN_FLIGHT_MAX * CHARGE_BYTES_MIN as usize;
/// What the smallest statement counts: its parsed form, its place in queues and its answer take as much.
const CHARGE_BYTES_MIN: u32 = 4 * 1024;
/// Bytes of statements in flight, of all agencies: what a second of the fastest disk takes in.
const ALL_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The shares of all agencies. One small entry for each agency that ever connected.
#[derive(Debug)]
pub(crate) struct Flow {
    all: Arc<Semaphore>,
    agencies: Mutex<HashMap<AgencyCode, Arc<Semaphore>>>,
}

/// What one statement takes, given back when it is dropped: with the answer.
#[derive(Debug)]
pub(crate) struct Charge {
    _agency: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Default for Flow {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(ALL_BYTES_MAX)), agencies: Mutex::default() }
    }
}

impl Flow {
    /// Waits until there is room for a statement of so many bytes.
    pub(crate) async fn enter(&self, agency: &AgencyCode, bytes: usize) -> Charge {
        let own = self.agencies.lock().entry(agency.clone()).or_insert_with(|| Arc::new(Semaphore::new(AGENCY_BYTES_MAX))).clone();
        let charge = u32::try_from(bytes).unwrap_or(u32::MAX).clamp(CHARGE_BYTES_MIN, STATEMENT_CHARGE_MAX);
        // The own share first: who waits for it must not hold what others could use.
        let agency = acquire(own, charge).await;
        Charge { _agency: agency, _all: acquire(self.all.clone(), charge).await }
    }
}

/// No statement counts more, so none waits for ever.
const STATEMENT_CHARGE_MAX: u32 = 64 * 1024;

#[expect(clippy::expect_used, reason = "a semaphore that nobody closes")]
async fn acquire(semaphore: Arc<Semaphore>, count: u32) -> OwnedSemaphorePermit {
    semaphore.acquire_many_owned(count).await.expect("nobody closes it")
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn enter(flow: &Flow, agency: &AgencyCode, bytes: usize) -> Option<Charge> {
        match pin!(flow.enter(agency, bytes)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(charge) => Some(charge),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_flood_of_one_agency_leaves_room_for_the_others() {
        let flow = Flow::default();
        let [flooding, quiet]: [AgencyCode; 2] = ["H1", "H2"].map(|code| code.parse().unwrap());
        let mut held: Vec<_> = std::iter::from_fn(|| enter(&flow, &flooding, 1)).collect();
        assert_eq!(held.len(), SUBMIT_IN_FLIGHT_MAX);
        assert!(enter(&flow, &quiet, 60_000).is_some());
        held.pop();
        assert!(enter(&flow, &flooding, 1).is_some(), "an answer makes room");
    }

    #[test]
    fn large_statements_count_by_their_bytes_and_all_agencies_together_are_bounded() {
        let flow = Flow::default();
        let agencies = (0..94).map(|n| format!("H{n}").parse::<AgencyCode>().unwrap());
        let held: Vec<_> = agencies.map(|agency| std::iter::from_fn(|| enter(&flow, &agency, 60_000)).collect::<Vec<_>>()).collect();
        assert_eq!(held[0].len(), AGENCY_BYTES_MAX / 60_000);
        assert_eq!(held.iter().map(Vec::len).sum::<usize>(), ALL_BYTES_MAX / 60_000);
    }
}
