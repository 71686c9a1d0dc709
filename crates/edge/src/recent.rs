//! Documents that arrived a moment ago, with what was read of them: the DMS is shown them without the journal being read again. Nothing rests on what is here.

use std::collections::VecDeque;

use parking_lot::Mutex;
use truc_signing::statement::Envelope;
use truc_types::{MessageId, OrganisationCode, Timestamp};

/// Documents that are remembered: those between arrival and showing of a busy edge, a few milliseconds' worth several times over.
const DOCUMENTS_MAX: usize = 64;
/// Bytes of their envelopes, together: 94 edges in one process have 24 MiB.
const BYTES_MAX: usize = 256 * 1024;

/// A document that arrived for one recipient.
#[derive(Debug)]
pub(crate) struct RecentArrival {
    pub(crate) message_id: MessageId,
    pub(crate) recipient: OrganisationCode,
    pub(crate) envelope: Box<Envelope>,
    /// Bytes of the envelope's file.
    pub(crate) bytes: usize,
    /// Block time of its acceptance.
    pub(crate) accepted_at: Timestamp,
    /// When it arrived, by the clock of this edge.
    pub(crate) at: Timestamp,
}

/// The last arrivals, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    arrivals: Mutex<VecDeque<RecentArrival>>,
}

impl Recent {
    /// Remembers one that is durable; the oldest go.
    pub(crate) fn put(&self, arrival: RecentArrival) {
        let mut arrivals = self.arrivals.lock();
        arrivals.push_back(arrival);
        while arrivals.len() > DOCUMENTS_MAX || arrivals.iter().map(|arrival| arrival.bytes).sum::<usize>() > BYTES_MAX {
            arrivals.pop_front();
        }
    }

    /// Takes one out: most are shown once.
    pub(crate) fn take(&self, message_id: &MessageId, recipient: &OrganisationCode) -> Option<RecentArrival> {
        let mut arrivals = self.arrivals.lock();
        let at = arrivals.iter().position(|arrival| arrival.message_id == *message_id && arrival.recipient == *recipient)?;
        arrivals.remove(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{envelope, id, organisation};

    #[test]
    fn the_last_arrivals_are_there_once_and_within_the_limits() {
        let recent = Recent::default();
        let put = |number: u8, bytes| {
            let (message_id, recipient) = (id(number), organisation("H53"));
            let (accepted_at, at) = (Timestamp::from_millis(1), Timestamp::from_millis(2));
            recent.put(RecentArrival {
                message_id,
                recipient,
                envelope: Box::new(envelope("A80", message_id, &["H53"])),
                bytes,
                accepted_at,
                at,
            });
        };
        let take = |number: u8| recent.take(&id(number), &organisation("H53")).map(|arrival| arrival.envelope.message_id);
        (0..=u8::try_from(DOCUMENTS_MAX).unwrap()).for_each(|number| put(number, 1));
        assert_eq!((take(0), take(1), take(1), take(64)), (None, Some(id(1)), None, Some(id(64))));
        assert!(recent.take(&id(2), &organisation("H54")).is_none());
        put(100, BYTES_MAX);
        assert_eq!((take(2), take(100)), (None, Some(id(100))));
        put(101, BYTES_MAX + 1);
        assert_eq!(take(101), None);
    }
}
