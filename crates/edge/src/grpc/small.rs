//! The attachments of a small hand-in, in memory until they are published. Whatever ends the call before they are whole, its being dropped too, leaves
//! them with the hand-ins that broke (`hand_in`), to be gone on with. Only a process that ends at once leaves nothing.

use bytes::{Bytes, BytesMut};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use truc_signing::sha256;
use truc_signing::statement::Envelope;

use super::send::sizes;
use crate::hand_in::HandIn;

/// Bytes that have come, and whose they are.
pub(super) struct Small {
    bytes: BytesMut,
    /// `None` once they are taken or kept.
    of: Option<(HandIn, Envelope)>,
}

impl Small {
    pub(super) fn new(hand_in: HandIn, envelope: Envelope) -> Self {
        Self { bytes: BytesMut::new(), of: Some((hand_in, envelope)) }
    }

    /// Adds bytes; how many there are.
    pub(super) fn extend(&mut self, data: &[u8]) -> u64 {
        self.bytes.extend_from_slice(data);
        self.len()
    }

    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The bytes and whose they are; from here on nothing is kept.
    pub(super) fn take(mut self) -> Option<(HandIn, Envelope, Bytes)> {
        let (hand_in, envelope) = self.of.take()?;
        Some((hand_in, envelope, std::mem::take(&mut self.bytes).freeze()))
    }

    /// The line broke: what came is on stable storage when this returns.
    pub(super) async fn keep(mut self) {
        if let Some(writing) = self.write()
            && let Err(cause) = writing.await
        {
            tracing::warn!(%cause, "the bytes of a hand-in that broke are not kept");
        }
    }

    /// Writes them on a thread that has the right to: whoever comes next waits for it.
    fn write(&mut self) -> Option<JoinHandle<()>> {
        let (hand_in, envelope) = self.of.take()?;
        let bytes = std::mem::take(&mut self.bytes);
        let write = move || {
            let header = sha256(&envelope.to_json());
            let kept = hand_in.begin(header, None).and_then(|from| hand_in.take(&sizes(&envelope), from, &mut &*bytes));
            if let Err(refusal) = kept {
                tracing::warn!(%refusal, "the bytes of a hand-in that broke are not kept");
            }
            hand_in.cut();
        };
        // An edge that ends has none any more.
        Handle::try_current().ok().map(|runtime| runtime.spawn_blocking(write))
    }
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
        let begin = async || {
            let (hand_in, _) = ins.enter("HS-1", turn()).await.unwrap();
            let mut small = Small::new(hand_in, of_ten_bytes());
            assert_eq!(small.extend(b"1234567"), 7);
            small
        };
        drop(begin().await.take());
        assert_eq!(ins.kept("HS-1").unwrap(), None);
        drop(begin().await);
        // The right to write comes when the thread that keeps them has ended.
        drop(ins.enter("HS-1", turn()).await.unwrap());
        assert_eq!(ins.kept("HS-1").unwrap(), Some(7));
        begin().await.keep().await;
        assert_eq!(ins.kept("HS-1").unwrap(), Some(7));
    }
}
