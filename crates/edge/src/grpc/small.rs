//! The attachments of a small hand-in, in memory until they are published. Whatever ends the call before they are whole, its being dropped too, leaves
//! them with the hand-ins that broke (`hand_in`), to be gone on with. Only an edge that ends leaves nothing.

use bytes::{Bytes, BytesMut};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use truc_signing::sha256;
use truc_signing::statement::Envelope;
use truc_types::{Reason, Refusal};

use super::send::sizes;
use crate::hand_in::HandIn;

/// Bytes that have come, and whose they are.
pub(super) struct Small {
    /// The first piece, as long as there is no other: nearly always it is all.
    first: Bytes,
    several: BytesMut,
    /// `None` once they are taken or kept.
    of: Option<(HandIn, Envelope)>,
}

impl Small {
    pub(super) fn new(hand_in: HandIn, envelope: Envelope) -> Self {
        Self { first: Bytes::new(), several: BytesMut::new(), of: Some((hand_in, envelope)) }
    }

    /// Adds bytes; how many there are.
    pub(super) fn extend(&mut self, data: Bytes) -> u64 {
        if self.len() == 0 {
            self.first = data;
        } else {
            self.several.extend_from_slice(&std::mem::take(&mut self.first));
            self.several.extend_from_slice(&data);
        }
        self.len()
    }

    pub(super) fn len(&self) -> u64 {
        (self.first.len() + self.several.len()) as u64
    }

    /// All of them in one.
    fn whole(&mut self) -> Bytes {
        if self.several.is_empty() { std::mem::take(&mut self.first) } else { std::mem::take(&mut self.several).freeze() }
    }

    /// The bytes and whose they are; from here on nothing is kept.
    pub(super) fn take(mut self) -> Option<(HandIn, Envelope, Bytes)> {
        let (hand_in, envelope) = self.of.take()?;
        Some((hand_in, envelope, self.whole()))
    }

    /// The line broke: what came is on stable storage when this returns.
    pub(super) async fn keep(mut self) {
        if let Some(writing) = self.write()
            && let Err(cause) = writing.await
        {
            tracing::warn!(%cause, "the bytes of a hand-in that broke are not kept");
        }
    }

    /// Writes them on a thread that has the right to: whoever comes next waits for it. Of nothing nothing is kept: it would push out what is something.
    fn write(&mut self) -> Option<JoinHandle<()>> {
        let (hand_in, envelope) = self.of.take()?;
        let bytes = self.whole();
        let has_any = !bytes.is_empty();
        let write = move || {
            if let Err(refusal) = keep(&hand_in, &envelope, &bytes) {
                tracing::warn!(%refusal, "the bytes of a hand-in that broke are not kept");
            }
            hand_in.cut();
        };
        // An edge that ends has none any more.
        Handle::try_current().ok().filter(|_| has_any).map(|runtime| runtime.spawn_blocking(write))
    }
}

fn keep(hand_in: &HandIn, envelope: &Envelope, mut bytes: &[u8]) -> Result<(), Refusal> {
    let (sizes, count) = (sizes(envelope), bytes.len() as u64);
    let from = hand_in.begin(sha256(&envelope.to_json()), None)?;
    hand_in.take(&sizes, from, &mut bytes)?;
    // All may have come, and only the end of the stream not.
    let is_whole = count == sizes.iter().sum::<u64>();
    let synced = if is_whole { hand_in.sync(sizes.len(), count) } else { Ok(()) };
    synced.map_err(|cause| Refusal::new(Reason::BlobStorage, cause.to_string()))
}

impl Drop for Small {
    fn drop(&mut self) {
        drop(self.write());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::hand_in::HandIns;
    use crate::hand_in::tests::turn;
    use crate::testing::{envelope, id};

    fn of_ten_bytes() -> Envelope {
        let mut envelope = envelope("H53", id(1), &["A80"]);
        envelope.attachments.iter_mut().for_each(|attachment| attachment.size = 10);
        envelope.attachments.truncate(1);
        envelope
    }

    #[tokio::test]
    async fn what_is_dropped_is_kept_and_what_is_taken_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let ins = Arc::new(HandIns::open(folder.path()).unwrap());
        let begin = async |bytes: &[u8]| {
            let (hand_in, _) = ins.enter("HS-1", turn()).await.unwrap();
            let mut small = Small::new(hand_in, of_ten_bytes());
            let (first, rest) = bytes.split_at(bytes.len() / 2);
            small.extend(Bytes::copy_from_slice(first));
            assert_eq!(small.extend(Bytes::copy_from_slice(rest)), bytes.len() as u64);
            small
        };
        drop(begin(b"1234567").await.take());
        assert_eq!(ins.kept("HS-1").unwrap(), None);
        begin(b"").await.keep().await;
        assert_eq!(ins.kept("HS-1").unwrap(), None, "nothing came");
        drop(begin(b"1234567").await);
        // The right to write comes when the thread that keeps them has ended.
        drop(ins.enter("HS-1", turn()).await.unwrap());
        assert_eq!(ins.kept("HS-1").unwrap(), Some(7));
        for bytes in [&b"12345"[..], b"1234567890"] {
            begin(bytes).await.keep().await;
            assert_eq!(ins.kept("HS-1").unwrap(), Some(bytes.len() as u64));
            // The one that there is.
            let kept = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
            assert_eq!(std::fs::read_to_string(kept.join("synced")).unwrap(), bytes.len().to_string());
        }
    }
}
