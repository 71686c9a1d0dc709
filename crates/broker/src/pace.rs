//! When a block closes that could. At once, if nothing else is coming; under load it waits a little for company, because each block costs the same whatever
//! is in it: a write, a sync, a signature, a write to every connection that is answered, and a signature to verify for everybody who reads it.
//!
//! What is coming is counted, not guessed: statements that were read and are between a connection and the sequencer. A lone document finds none behind
//! it and waits for nothing; the more there is to do, the more are on their way, and the larger blocks get. Not what a block holds at most: that is `block`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use truc_types::limits::BLOCK_COMMANDS_MAX;

use crate::block::Filling;

/// Statements on their way that are worth waiting for. Fewer come together by chance while next to nothing is to be done.
const COMPANY_MIN: usize = 4;
/// Answers with which a block waits for no more: a quarter of a full one, where what each block costs anew is a small part of the whole.
const COMPANY_ENOUGH: usize = BLOCK_COMMANDS_MAX / 4;
/// Time from one block to the next up to which the next one waits: less than a sync of a slow disk takes.
const PAUSE_MAX: Duration = Duration::from_millis(3);

/// Statements that were read and not yet handed to the sequencer. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct OnTheWay(Arc<AtomicUsize>);

/// Decides for the sequencer whether a block waits for company.
#[derive(Debug)]
pub(crate) struct Pace {
    on_the_way: OnTheWay,
    /// When the block before was closed; its successor waits no longer than [`PAUSE_MAX`] from here.
    last_closed: Instant,
}

impl OnTheWay {
    /// A statement was read.
    pub(crate) fn enter(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The sequencer has it, or it was refused.
    pub(crate) fn leave(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Pace {
    pub(crate) fn new(on_the_way: OnTheWay) -> Self {
        Self { on_the_way, last_closed: Instant::now() }
    }

    /// A block was closed.
    pub(crate) fn closed(&mut self, now: Instant) {
        self.last_closed = now;
    }

    /// Whether a block that could close waits.
    pub(crate) fn waits(&self, now: Instant, filling: &Filling) -> bool {
        !filling.is_full()
            && filling.outputs() < COMPANY_ENOUGH
            && self.on_the_way.count() >= COMPANY_MIN
            && now.saturating_duration_since(self.last_closed) < PAUSE_MAX
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::committer::Output;

    #[test]
    fn a_block_waits_only_while_more_comes_and_only_for_a_moment() {
        let (on_the_way, mut filling) = (OnTheWay::default(), Filling::default());
        let (mut pace, begun) = (Pace::new(on_the_way.clone()), Instant::now());
        pace.closed(begun);
        let answer = |filling: &mut Filling| filling.output(Output::Probed { reply: oneshot::channel().0 });
        answer(&mut filling);
        (1..COMPANY_MIN).for_each(|_| on_the_way.enter());
        assert!(!pace.waits(begun, &filling), "a few documents are answered at once");
        on_the_way.enter();
        assert!(pace.waits(begun, &filling));
        assert!(!pace.waits(begun + PAUSE_MAX, &filling), "it has waited long enough");
        pace.closed(begun + PAUSE_MAX);
        assert!(pace.waits(begun + PAUSE_MAX, &filling), "the next one has its own time");
        (1..COMPANY_ENOUGH).for_each(|_| answer(&mut filling));
        assert!(!pace.waits(begun + PAUSE_MAX, &filling), "it is large enough");
        filling = Filling::default();
        on_the_way.leave();
        assert!(!pace.waits(begun + PAUSE_MAX, &filling), "what was on its way has come");
    }
}
