//! A document-management system that opens streams and says nothing more: everything else goes on, also for the other edges of the process.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::task::JoinSet;
use tokio_stream::Stream;
use truc_proto::edge::v1 as pb;
use truc_proto::edge::v1::document_service_client::DocumentServiceClient;
use truc_transport::status::refusal;
use truc_types::Reason;
use truc_types::limits::DMS_STREAMS_MAX;

use crate::journey::{Axis, SOON};

/// Connections and streams of each: more in all than the 512 threads of a process.
const CONNECTIONS: usize = 6;
const STREAMS: usize = 100;

/// One piece of a file, then silence.
struct Silent {
    said: bool,
    told: bool,
    silent: Arc<AtomicUsize>,
}

impl Silent {
    fn tell(&mut self) {
        if !std::mem::replace(&mut self.told, true) {
            self.silent.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Silent {
    /// It was refused: one too many.
    fn drop(&mut self) {
        self.tell();
    }
}

impl Stream for Silent {
    type Item = pb::CheckEdxmlRequest;

    fn poll_next(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.said {
            self.tell();
            return Poll::Pending;
        }
        self.said = true;
        Poll::Ready(Some(pb::CheckEdxmlRequest { data: b"<edXML".to_vec().into() }))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_stall_take_no_thread_from_anything_else() {
    let axis = Axis::start(&["G12", "H53"]).await;
    let (mut stalled, mut other) = (axis.edge("G12").await, axis.edge("H53").await);
    let (silent, mut calls) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
    for _ in 0..CONNECTIONS {
        let dms = DocumentServiceClient::connect(format!("http://{}", stalled.address)).await.unwrap();
        for _ in 0..STREAMS {
            let (mut dms, silent) = (dms.clone(), Arc::clone(&silent));
            calls.spawn(async move { dms.check_edxml(Silent { said: false, told: false, silent }).await.map(drop) });
        }
    }
    while silent.load(Ordering::Relaxed) < CONNECTIONS * STREAMS {
        tokio::task::yield_now().await;
    }
    let everything_else = async {
        stalled.dms.get_edge_info(pb::GetEdgeInfoRequest {}).await.unwrap();
        let message_id = other.send("HS-1", &["G12"], &[b"bytes"]).await.unwrap();
        stalled.receive(0, 1).await;
        assert_eq!(stalled.download(&message_id, 0, 0).await, b"bytes");
    };
    tokio::time::timeout(SOON, everything_else).await.unwrap();
    let mut refused = 0;
    while let Some(answer) = calls.try_join_next() {
        let cause = answer.unwrap().unwrap_err();
        // Without a reason the whole connection ended: more than `RESET_STREAMS_MAX` of its streams were refused while they were open.
        let told = refusal(&cause);
        refused += usize::from(told.is_some());
        assert!(told.is_none_or(|told| told.reason == Reason::UploadTooMany), "{cause}");
    }
    assert!(refused <= CONNECTIONS * STREAMS - DMS_STREAMS_MAX, "{refused} are more than those too many");
    calls.shutdown().await;
    stalled.stop().await;
    other.stop().await;
    axis.broker_shutdown.begin();
}
