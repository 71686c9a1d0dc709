//! Pauses between tries: doubling, capped, with jitter so that 94 edges do not come back at once.

use std::time::Duration;

use truc_transport::clock;

/// First pause.
const FIRST: Duration = Duration::from_millis(200);

/// The pauses of one thing that is tried again and again.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    /// Pauses that grow up to `longest`.
    pub(crate) const fn up_to(longest: Duration) -> Self {
        Self { next: FIRST, longest }
    }

    /// The next pause: between a half and the whole of the current one.
    pub(crate) fn pause(&mut self) -> Duration {
        let whole = self.next.min(self.longest);
        self.next = whole.saturating_mul(2).min(self.longest);
        let [random] = clock::random::<1>();
        whole / 2 + whole / 2 * u32::from(random) / 255
    }

    /// It worked: the next pause is the first one again.
    pub(crate) const fn reset(&mut self) {
        self.next = FIRST;
    }

    /// Waits for the next pause.
    pub(crate) async fn wait(&mut self) {
        tokio::time::sleep(self.pause()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_cap_and_start_over() {
        let longest = Duration::from_secs(2);
        let mut backoff = Backoff::up_to(longest);
        let pauses: Vec<_> = (0..12).map(|_| backoff.pause()).collect();
        assert!(pauses[0] >= FIRST / 2 && pauses[0] <= FIRST, "{pauses:?}");
        assert!(pauses[5..].iter().all(|pause| *pause >= longest / 2 && *pause <= longest), "{pauses:?}");
        backoff.reset();
        assert!(backoff.pause() <= FIRST);
    }
}
