//! Receipts that an edge confirmed once and has no more, found in the journal: it was restored from an older copy of its folder, or made anew. Nothing
//! in memory names them; the cursor of a receipt is how many there are for its agency up to it, so they are counted from the beginning.

use std::sync::LazyLock;

use tokio::sync::Semaphore;
use truc_types::limits::{EARLIER_RECEIPTS_AT_ONCE_MAX, EARLIER_RECEIPTS_LOOKED_MAX};
use truc_types::{AgencyCode, Position, Reason, Refusal};

use crate::glance::is_receipt_for;
use crate::published::{Published, storage};
use crate::stream::Earlier;

/// Turns of all searches of the process.
static TURNS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(EARLIER_RECEIPTS_AT_ONCE_MAX));

/// A search that goes on step by step, so that nobody holds a thread for all of it.
#[derive(Debug)]
pub(crate) struct Search {
    agency: AgencyCode,
    /// Cursors at or below are stored by the edge.
    after: u64,
    /// The first cursor that is not looked for.
    until: u64,
    /// Receipts for the agency before `next`.
    counted: u64,
    next: Position,
}

/// Cursors and positions of receipts, in order.
pub(crate) type Found = Vec<(u64, Position)>;

impl Search {
    /// Begins at the first entry.
    ///
    /// # Errors
    /// [`Reason::SenderUnknown`] for an agency that the registry does not name.
    pub(crate) fn new(published: &Published, Earlier { agency, after, until }: Earlier) -> Result<Self, Refusal> {
        let registry = published.registry();
        let agency = registry.agency(agency).ok_or_else(|| Refusal::new(Reason::SenderUnknown, "the registry does not name the agency"))?;
        Ok(Self { agency: agency.code.clone(), after, until, counted: 0, next: Position(0) })
    }

    /// Whether all are found.
    pub(crate) const fn is_done(&self) -> bool {
        self.counted + 1 >= self.until
    }

    /// Looks through the next entries when it is this search's turn.
    ///
    /// # Errors
    /// [`Reason::JournalCorrupt`] when the journal has fewer receipts than were fed, and storage failures.
    pub(crate) async fn step(&mut self, published: &Published) -> Result<Found, Refusal> {
        let _turn = TURNS.acquire().await;
        tokio::task::block_in_place(|| self.look(published))
    }

    pub(crate) fn look(&mut self, published: &Published) -> Result<Found, Refusal> {
        let (mut found, stop) = (Found::new(), self.next.plus(EARLIER_RECEIPTS_LOOKED_MAX));
        let from = self.next;
        for block in published.reader().blocks_from(from) {
            let block = block.map_err(|cause| storage(&cause))?;
            for (position, entry) in block.positioned().filter(|(position, _)| *position >= from) {
                self.next = position.next();
                if is_receipt_for(entry, &self.agency) {
                    self.counted += 1;
                    if self.counted > self.after {
                        found.push((self.counted, position));
                    }
                }
                if self.is_done() || self.next >= stop {
                    return Ok(found);
                }
            }
        }
        let message = format!("the journal has {} receipts for {}, {} were fed", self.counted, self.agency, self.until - 1);
        Err(Refusal::new(Reason::JournalCorrupt, message).with("agency", &self.agency).with("found", self.counted))
    }
}
