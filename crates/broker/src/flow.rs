//! What one agency, and all together, may take: of the memory for statements in flight and answers that nobody reads, of the threads that work on
//! attachments, and of the work for statements that are refused. Not the order among statements that are in: that is `fair`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use truc_types::limits::{
    DIRECTORY_SCANS_AT_ONCE_MAX, DISK_WORK_MAX, DISK_WORK_PER_AGENCY_MAX, DOWNLOADS_PER_AGENCY_MAX, REFUSALS_AT_ONCE_MAX,
    REFUSALS_PER_SECOND_MAX, SUBMIT_IN_FLIGHT_MAX, UNREAD_ANSWERS_MAX,
};
use truc_types::{AgencyCode, Blame, Reason, Refusal};

use crate::fair::LineId;

/// Bytes of statements that one agency may have in flight on all its streams: one full stream of the usual size, or 70 of the largest.
const AGENCY_BYTES_MAX: usize = SUBMIT_IN_FLIGHT_MAX * CHARGE_BYTES_MIN as usize;
/// What the smallest statement counts: its parsed form, its place in queues and its answer take as much.
pub(crate) const CHARGE_BYTES_MIN: u32 = 4 * 1024;
/// No statement counts more, so none waits for ever.
const CHARGE_BYTES_MAX: u32 = 64 * 1024;
/// Bytes of statements in flight, of all agencies: what a second of the fastest disk takes in.
const ALL_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Attachments that one agency, and all together, make durable at a time, beside their other work on the disk: such a thread waits and takes no processor, and
/// an agency goes on with its next attachment meanwhile.
const SYNCS_PER_AGENCY_MAX: usize = DISK_WORK_PER_AGENCY_MAX;
const SYNCS_MAX: usize = DISK_WORK_MAX;
/// The time that pays for one refusal, and the debt with which an agency is still read.
const REFUSAL: Duration = Duration::from_micros(1_000_000 / REFUSALS_PER_SECOND_MAX as u64);
const DEBT_MAX: Duration = Duration::from_micros(1_000_000 / REFUSALS_PER_SECOND_MAX as u64 * REFUSALS_AT_ONCE_MAX as u64);

/// The shares of all agencies. One small entry for each agency that ever connected: those that the authority certified.
#[derive(Debug)]
pub(crate) struct Flow {
    all: Arc<Semaphore>,
    scans: Arc<Semaphore>,
    work: Arc<Semaphore>,
    syncs: Arc<Semaphore>,
    shares: Mutex<HashMap<AgencyCode, Arc<Share>>>,
}

/// The share of one agency, of all its streams together.
#[derive(Debug)]
pub(crate) struct Share {
    /// Its line wherever statements wait.
    pub(crate) line: LineId,
    own: Arc<Semaphore>,
    all: Arc<Semaphore>,
    refusals: Mutex<Refusals>,
    own_scan: Arc<Semaphore>,
    scans: Arc<Semaphore>,
    own_work: Arc<Semaphore>,
    work: Arc<Semaphore>,
    own_syncs: Arc<Semaphore>,
    syncs: Arc<Semaphore>,
    downloads: Arc<Semaphore>,
    unread: Semaphore,
}

/// What one statement takes, given back when it is dropped: with the answer.
#[derive(Debug)]
pub(crate) struct Charge {
    share: Arc<Share>,
    bytes: u32,
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

/// A turn at something that takes a thread, given back when it is dropped: held by the work, not by the call that asked for it.
#[derive(Debug)]
pub(crate) struct Turn {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

/// Refusals of the agency's own making, paid for by time (a leaky bucket).
#[derive(Debug, Default)]
struct Refusals {
    /// When all of them are paid for.
    settled: Option<Instant>,
}

impl Default for Flow {
    fn default() -> Self {
        let places = [ALL_BYTES_MAX, DIRECTORY_SCANS_AT_ONCE_MAX, DISK_WORK_MAX, SYNCS_MAX];
        let [all, scans, work, syncs] = places.map(|places| Arc::new(Semaphore::new(places)));
        Self { all, scans, work, syncs, shares: Mutex::default() }
    }
}

impl Flow {
    /// The share of an agency.
    pub(crate) fn share(&self, agency: &AgencyCode) -> Arc<Share> {
        let mut shares = self.shares.lock();
        let line = LineId(shares.len());
        let new = || {
            let places = [AGENCY_BYTES_MAX, 1, DISK_WORK_PER_AGENCY_MAX, SYNCS_PER_AGENCY_MAX, DOWNLOADS_PER_AGENCY_MAX];
            let [own, own_scan, own_work, own_syncs, downloads] = places.map(|places| Arc::new(Semaphore::new(places)));
            let (all, scans, work, syncs) = (self.all.clone(), self.scans.clone(), self.work.clone(), self.syncs.clone());
            let (refusals, unread) = (Mutex::default(), Semaphore::new(UNREAD_ANSWERS_MAX));
            Arc::new(Share { line, own, all, refusals, own_scan, scans, own_work, work, own_syncs, syncs, downloads, unread })
        };
        shares.entry(agency.clone()).or_insert_with(new).clone()
    }
}

impl Share {
    /// Waits until there is room for a statement of so many bytes.
    pub(crate) async fn enter(self: &Arc<Self>, bytes: usize) -> Charge {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).clamp(CHARGE_BYTES_MIN, CHARGE_BYTES_MAX);
        // The own share first: who waits for it must not hold what others could use.
        let own = acquire(self.own.clone(), bytes).await;
        Charge { share: self.clone(), bytes, _own: own, _all: acquire(self.all.clone(), bytes).await }
    }

    /// Waits for a turn at searching the directory. Each agency waits with one search at a time, so they have their turns one after another.
    pub(crate) async fn scan(&self) -> Turn {
        let own = acquire(self.own_scan.clone(), 1).await;
        Turn { _own: own, _all: acquire(self.scans.clone(), 1).await }
    }

    /// Waits for a turn at work on attachments and old entries. As with searches, each agency waits with [`DISK_WORK_PER_AGENCY_MAX`] at a time.
    pub(crate) async fn work(&self) -> Turn {
        let own = acquire(self.own_work.clone(), 1).await;
        Turn { _own: own, _all: acquire(self.work.clone(), 1).await }
    }

    /// Waits for a turn at making an attachment durable, which others of the agency need not wait for.
    pub(crate) async fn sync(&self) -> Turn {
        let own = acquire(self.own_syncs.clone(), 1).await;
        Turn { _own: own, _all: acquire(self.syncs.clone(), 1).await }
    }

    /// Waits for a place for one more download.
    pub(crate) async fn download(&self) -> OwnedSemaphorePermit {
        acquire(self.downloads.clone(), 1).await
    }

    /// Waits until one more answer may wait to be read; [`Share::read`] gives the place back.
    #[expect(clippy::expect_used, reason = "a semaphore that nobody closes")]
    pub(crate) async fn unread(&self) {
        self.unread.acquire().await.expect("nobody closes it").forget();
    }

    /// So many answers were read, or never will be.
    pub(crate) fn read(&self, answers: usize) {
        self.unread.add_permits(answers);
    }

    /// How long this agency is not to be heard, because too much of what it sent was refused.
    pub(crate) fn silence(&self) -> Option<Duration> {
        self.refusals.lock().silence(Instant::now())
    }
}

impl Charge {
    pub(crate) fn line(&self) -> LineId {
        self.share.line
    }

    /// What the statement counts.
    pub(crate) const fn bytes(&self) -> u32 {
        self.bytes
    }

    /// Counts a refusal, if the submitter could have known better. Waiting its turn costs nobody anything.
    pub(crate) fn refused(&self, refusal: &Refusal) {
        if refusal.reason.blame() == Blame::Caller && refusal.reason != Reason::FlowFlooding {
            self.share.refusals.lock().count(Instant::now());
        }
    }
}

impl Refusals {
    fn count(&mut self, now: Instant) {
        self.settled = Some(self.settled.map_or(now, |settled| settled.max(now)) + REFUSAL);
    }

    fn silence(&self, now: Instant) -> Option<Duration> {
        let debt = self.settled?.saturating_duration_since(now);
        debt.checked_sub(DEBT_MAX).filter(|over| !over.is_zero())
    }
}

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
        match pin!(flow.share(agency).enter(bytes)).poll(&mut Context::from_waker(Waker::noop())) {
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
        let other = enter(&flow, &quiet, 60_000).unwrap();
        assert_eq!((held[0].line(), other.line()), (LineId(0), LineId(1)));
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

    #[test]
    fn an_agency_that_searches_without_end_is_in_line_with_one_search() {
        let (flow, mut context) = (Flow::default(), Context::from_waker(Waker::noop()));
        let [flooding, quiet] = ["H1", "H2"].map(|code| flow.share(&code.parse().unwrap()));
        let Poll::Ready(first) = pin!(flooding.scan()).poll(&mut context) else { panic!("nobody searches") };
        let (mut second, mut third, mut others) = (pin!(flooding.scan()), pin!(flooding.scan()), pin!(quiet.scan()));
        assert!(second.as_mut().poll(&mut context).is_pending() && third.as_mut().poll(&mut context).is_pending());
        assert!(others.as_mut().poll(&mut context).is_pending());
        drop(first);
        assert!(second.as_mut().poll(&mut context).is_pending(), "it has its own turn, and not yet that of all");
        let Poll::Ready(turn) = others.as_mut().poll(&mut context) else { panic!("the other agency is next") };
        drop(turn);
        assert!(second.as_mut().poll(&mut context).is_ready());
    }

    #[test]
    fn an_agency_that_works_on_all_its_uploads_takes_one_thread_and_the_others_go_on() {
        let (flow, mut context) = (Flow::default(), Context::from_waker(Waker::noop()));
        let shares: Vec<_> = (0..=DISK_WORK_MAX).map(|number| flow.share(&format!("H{number}").parse().unwrap())).collect();
        let mut held = Vec::new();
        for share in &shares[..DISK_WORK_MAX] {
            let Poll::Ready(turn) = pin!(share.work()).poll(&mut context) else { panic!("there are turns left") };
            assert!(pin!(share.work()).poll(&mut context).is_pending(), "a second one of the same agency waits");
            assert!(pin!(share.sync()).poll(&mut context).is_ready(), "what waits for the disk is counted apart");
            held.push(turn);
        }
        let mut last = pin!(shares[DISK_WORK_MAX].work());
        assert!(last.as_mut().poll(&mut context).is_pending(), "all together are bounded, too");
        held.pop();
        assert!(last.as_mut().poll(&mut context).is_ready());
    }

    #[test]
    fn answers_that_nobody_reads_are_bounded_for_all_streams_of_an_agency() {
        let (flow, mut context) = (Flow::default(), Context::from_waker(Waker::noop()));
        let [silent, other] = ["H1", "H2"].map(|code| flow.share(&code.parse().unwrap()));
        for _ in 0..UNREAD_ANSWERS_MAX {
            assert!(pin!(silent.unread()).poll(&mut context).is_ready());
        }
        let mut next = pin!(silent.unread());
        assert!(next.as_mut().poll(&mut context).is_pending() && pin!(other.unread()).poll(&mut context).is_ready());
        silent.read(1);
        assert!(next.as_mut().poll(&mut context).is_ready());
    }

    #[test]
    fn refusals_are_paid_for_by_time_and_only_those_of_the_callers_making_count() {
        let (flow, code) = (Flow::default(), "H1".parse().unwrap());
        let charge = enter(&flow, &code, 1).unwrap();
        for reason in [Reason::BusyViews, Reason::ShuttingDown, Reason::FlowFlooding] {
            (0..2 * REFUSALS_AT_ONCE_MAX).for_each(|_| charge.refused(&Refusal::new(reason, "not counted")));
        }
        assert_eq!(flow.share(&code).silence(), None);
        (0..2 * REFUSALS_AT_ONCE_MAX).for_each(|_| charge.refused(&Refusal::new(Reason::SealInvalid, "counted")));
        assert!(flow.share(&code).silence().is_some());
        assert_eq!(flow.share(&"H2".parse().unwrap()).silence(), None, "of another agency");
    }

    #[test]
    fn an_agency_is_heard_again_when_its_refusals_are_paid_for() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        (0..REFUSALS_AT_ONCE_MAX).for_each(|_| refusals.count(now));
        assert_eq!(refusals.silence(now), None);
        refusals.count(now);
        refusals.count(now);
        assert_eq!(refusals.silence(now), Some(2 * REFUSAL));
        assert_eq!(refusals.silence(now + REFUSAL), Some(REFUSAL));
        assert_eq!(refusals.silence(now + 2 * REFUSAL), None);
        let second = now + Duration::from_secs(1);
        let heard = std::iter::from_fn(|| refusals.silence(second).is_none().then(|| refusals.count(second))).count();
        assert_eq!(heard, REFUSALS_PER_SECOND_MAX as usize - 1, "a second pays for so many, two were owed, one goes over");
    }
}
