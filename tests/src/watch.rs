//! What watches a daemon: its metrics and its readiness, over the listener that scrapers use.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tokio::time::Instant;

/// How often it looks while it waits.
const LOOK: Duration = Duration::from_millis(100);

/// The listener of one daemon.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    address: SocketAddr,
}

impl Watch {
    /// Watches the daemon whose listener is at an address.
    #[must_use]
    pub const fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// Its metrics.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn metrics(&self) -> String {
        let (status, body) = self.ask("/metrics");
        assert_eq!(status, 200, "{body}");
        body
    }

    /// Its checks. The status must say the same as they do.
    ///
    /// # Panics
    /// When it does not answer, or not so.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test that reads nonsense must fail")]
    pub fn readiness(&self) -> serde_json::Value {
        let (status, body) = self.ask("/readyz");
        let shown: serde_json::Value = serde_json::from_str(&body).expect("readiness is JSON");
        let ready = shown.get("ready").and_then(serde_json::Value::as_bool).expect("it says whether the daemon is ready");
        assert_eq!(status, if ready { 200 } else { 503 }, "{body}");
        shown
    }

    /// Waits until its checks are as wanted.
    ///
    /// # Panics
    /// When they are not in time.
    pub fn until(&self, patience: Duration, wanted: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        let begun = Instant::now();
        loop {
            let shown = self.readiness();
            if wanted(&shown) {
                return shown;
            }
            assert!(begun.elapsed() < patience, "after {patience:?}: {shown}");
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until it is ready, or is not.
    ///
    /// # Panics
    /// When it is not so in time.
    pub fn until_ready(&self, ready: bool, patience: Duration) -> serde_json::Value {
        self.until(patience, |shown| shown.get("ready").and_then(serde_json::Value::as_bool) == Some(ready))
    }

    #[expect(clippy::expect_used, reason = "a test that reaches nobody must fail")]
    fn ask(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).expect("the daemon listens for watchers");
        write!(stream, "GET {path} HTTP/1.1\r\nhost: watch\r\n\r\n").expect("it takes a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a head has a status");
        (status, body.to_owned())
    }
}
