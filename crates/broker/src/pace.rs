//! When a block closes that could. At once, if nothing else is coming; under load it waits a little for company, because each block costs the same whatever
//! is in it: a write, a sync, a signature, a write to every connection that is answered, and a signature to verify for everybody who reads it.
//!
//! What is coming is counted: statements that were read and are between a connection and the sequencer. Where many were answered a moment ago, more are
//! expected, for as long as some come. A lone document finds none of both and waits for nothing; the more there is to do, the larger blocks get. Not what a
//! block holds at most: that is `block`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use truc_types::limits::BLOCK_COMMANDS_MAX;

use crate::block::Filling;

/// Statements on their way that are worth waiting for. Fewer come together by chance while next to nothing is to be done.
const COMPANY_MIN: usize = 4;
/// Answers and deliveries with which a block waits for no more: a quarter of a full one, where what each block costs anew is a small part of the whole.
const COMPANY_ENOUGH: usize = BLOCK_COMMANDS_MAX / 4;
/// Time from one block to the next up to which the next one waits: less than a sync of a slow disk takes.
const PAUSE_MAX: Duration = Duration::from_millis(3);
/// For how long answers are counted to tell whether more will come.
const WINDOW: Duration = Duration::from_millis(24);
/// Answers to statements within a window after which more are expected: six for each pause, 2,000 a second.
const COMPANY_EXPECTED: usize = 48;

/// Statements that were read and not yet handed to the sequencer. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct OnTheWay(Arc<AtomicUsize>);

/// Decides for the sequencer whether a block waits for company.
#[derive(Debug)]
pub(crate) struct Pace {
    on_the_way: OnTheWay,
    /// When the block before was closed; its successor waits no longer than [`PAUSE_MAX`] from here.
    last_closed: Instant,
    /// When the window began in which blocks are counted now.
    window: Instant,
    /// Answers of the blocks of this window, and of the one before it.
    answers: usize,
    answers_before: usize,
    /// Whether the last look for more found any: those who wait for each other's answers send nothing before they have them.
    more_came: bool,
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
        let now = Instant::now();
        Self { on_the_way, last_closed: now, window: now, answers: 0, answers_before: 0, more_came: true }
    }

    /// It was looked for more.
    pub(crate) fn gathered(&mut self, more_came: bool) {
        self.more_came = more_came;
    }

    /// A block with answers to so many statements was closed.
    pub(crate) fn closed(&mut self, now: Instant, answers: usize) {
        (self.last_closed, self.more_came) = (now, true);
        let passed = now.saturating_duration_since(self.window);
        if passed >= WINDOW {
            // After a quiet time the window before this one was empty.
            self.answers_before = if passed < 2 * WINDOW { self.answers } else { 0 };
            (self.window, self.answers) = (now, 0);
        }
        self.answers += answers;
    }

    /// Whether a block that could close waits.
    pub(crate) fn waits(&self, now: Instant, filling: &Filling) -> bool {
        let is_busy = self.answers.max(self.answers_before) >= COMPANY_EXPECTED;
        !filling.is_full()
            && filling.outputs() < COMPANY_ENOUGH
            && (self.on_the_way.count() >= COMPANY_MIN || is_busy && self.more_came)
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
        pace.closed(begun, 1);
        let answer = |filling: &mut Filling| filling.output(Output::Probed { reply: oneshot::channel().0 });
        answer(&mut filling);
        (1..COMPANY_MIN).for_each(|_| on_the_way.enter());
        assert!(!pace.waits(begun, &filling), "a few documents are answered at once");
        on_the_way.enter();
        assert!(pace.waits(begun, &filling));
        assert!(!pace.waits(begun + PAUSE_MAX, &filling), "it has waited long enough");
        pace.closed(begun + PAUSE_MAX, 1);
        assert!(pace.waits(begun + PAUSE_MAX, &filling), "the next one has its own time");
        (1..COMPANY_ENOUGH).for_each(|_| answer(&mut filling));
        assert!(!pace.waits(begun + PAUSE_MAX, &filling), "it is large enough");
        filling = Filling::default();
        on_the_way.leave();
        assert!(!pace.waits(begun + PAUSE_MAX, &filling), "what was on its way has come");
    }

    #[test]
    fn a_block_waits_after_busy_moments_and_not_after_quiet_ones() {
        let (mut pace, mut filling, begun) = (Pace::new(OnTheWay::default()), Filling::default(), Instant::now());
        filling.output(Output::Probed { reply: oneshot::channel().0 });
        let mut now = begun;
        for _ in 1..COMPANY_EXPECTED {
            pace.closed(now, 1);
            assert!(!pace.waits(now, &filling), "not so many yet");
        }
        pace.closed(now, 1);
        assert!(pace.waits(now, &filling));
        assert!(!pace.waits(now + PAUSE_MAX, &filling), "it has waited long enough");
        pace.gathered(false);
        assert!(!pace.waits(now, &filling), "nothing comes before this block is answered");
        now += WINDOW;
        pace.closed(now, 1);
        assert!(pace.waits(now, &filling), "the window before was busy");
        now += WINDOW;
        pace.closed(now, 1);
        assert!(!pace.waits(now, &filling), "that was long ago");
        (0..COMPANY_EXPECTED).for_each(|_| pace.closed(now, 1));
        now += 2 * WINDOW;
        pace.closed(now, 1);
        assert!(!pace.waits(now, &filling), "nothing came for a whole window");
    }
}
