//! Commands that nobody waits for at once: they share the block, and the sync, of whatever comes next, within a time of theirs. Not decided before, because
//! readers wait until what they saw is durable. Who keeps the time is `store`.

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::recorder::Decide;

/// What waits for another block.
#[derive(Default)]
pub(crate) struct Later {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    waiting: Vec<Decide>,
    /// When the first of them has to be decided.
    due: Option<Instant>,
}

impl Later {
    /// Puts a command in, to be decided by `due`; somebody has to keep the time that is answered.
    ///
    /// # Errors
    /// Back comes the command when `limit` of them wait already.
    pub(crate) fn put(&self, decide: Decide, due: Instant, limit: usize) -> Result<Option<Instant>, Decide> {
        let mut inner = self.inner.lock();
        if inner.waiting.len() >= limit {
            return Err(decide);
        }
        inner.waiting.push(decide);
        if inner.due.is_some_and(|earlier| earlier <= due) {
            return Ok(None);
        }
        inner.due = Some(due);
        Ok(Some(due))
    }

    /// Whether what waits had to be decided by then: it may have gone with another block, and others may have come.
    pub(crate) fn is_due(&self, by: Instant) -> bool {
        self.inner.lock().due.is_some_and(|due| due <= by)
    }

    /// Takes all of them out.
    pub(crate) fn take(&self) -> Vec<Decide> {
        std::mem::take(&mut *self.inner.lock()).waiting
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::recorder::Decided;

    fn nothing() -> Decide {
        Box::new(|_| Decided { records: Vec::new(), settle: Box::new(|_| ()) })
    }

    #[test]
    fn the_first_to_be_due_is_kept_time_for_and_what_was_taken_is_not_due_any_more() {
        let (later, now) = (Later::default(), Instant::now());
        let [short, long] = [2, 5].map(|millis| now + Duration::from_millis(millis));
        let put = |due| later.put(nothing(), due, 3).map_err(drop);
        assert_eq!((put(long), put(long), put(short)), (Ok(Some(long)), Ok(None), Ok(Some(short))));
        assert!(put(short).is_err(), "it is full");
        assert!(!later.is_due(now) && later.is_due(short) && later.is_due(long));
        assert_eq!(later.take().len(), 3);
        assert!(!later.is_due(long));
        assert_eq!(put(long), Ok(Some(long)));
        assert!(!later.is_due(short), "the time of what was taken does not count for what came after it");
    }
}
