//! When the next block of the journal would be one too many: each costs the same whatever is in it, so that what can wait some milliseconds joins others
//! where many come. Not who waits (`store`), nor what for (`later`).

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Time of one block on a busy edge, and the longest that anything waits because of it. A document waits twice on its way to the recipient's DMS.
pub(crate) const BLOCK_PAUSE: Duration = Duration::from_millis(6);
/// Blocks that may follow each other at once: those of a document that comes alone, which waits for nothing.
const AT_ONCE: u32 = 4;

/// The blocks of one edge, as a bucket that gets one more each [`BLOCK_PAUSE`].
#[derive(Debug)]
pub(crate) struct Pace {
    /// When the bucket will be full again.
    full: Mutex<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { full: Mutex::new(Instant::now()) }
    }
}

impl Pace {
    /// A block was appended, whoever asked for it.
    pub(crate) fn block(&self, now: Instant) {
        let mut full = self.full.lock();
        // However many come that cannot wait: the others wait for one pause.
        *full = (*full).clamp(now, now + BLOCK_PAUSE * AT_ONCE) + BLOCK_PAUSE;
    }

    /// How long what can wait has to, so that there is a place for its block.
    pub(crate) fn pause(&self, now: Instant) -> Duration {
        let place = BLOCK_PAUSE * (AT_ONCE - 1);
        self.full.lock().saturating_duration_since(now).saturating_sub(place).min(BLOCK_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_blocks_are_free_and_then_one_comes_each_pause() {
        let (pace, now) = (Pace::default(), Instant::now());
        for _ in 0..AT_ONCE {
            assert_eq!(pace.pause(now), Duration::ZERO);
            pace.block(now);
        }
        let half = now + BLOCK_PAUSE / 2;
        assert_eq!((pace.pause(now), pace.pause(half)), (BLOCK_PAUSE, BLOCK_PAUSE / 2));
        let next = now + BLOCK_PAUSE;
        assert_eq!(pace.pause(next), Duration::ZERO);
        // Those that cannot wait.
        (0..100).for_each(|_| pace.block(next));
        assert_eq!((pace.pause(next), pace.pause(next + 2 * BLOCK_PAUSE)), (BLOCK_PAUSE, Duration::ZERO));
        let later = next + 10 * BLOCK_PAUSE;
        assert_eq!(pace.pause(later), Duration::ZERO);
        (1..AT_ONCE).for_each(|_| pace.block(later));
        assert_eq!(pace.pause(later), Duration::ZERO, "the bucket is full again, and holds no more than before");
        pace.block(later);
        assert_eq!(pace.pause(later), BLOCK_PAUSE);
    }
}
