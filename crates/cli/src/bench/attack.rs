//! What a hostile agency does in `truc bench hostile`: floods of every price, answers that are never taken, uploads that come to nothing. Every one of
//! them holds a valid certificate: nobody else gets further than the handshake.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use clap::ValueEnum;
use tokio::task::JoinSet;
use truc_ledger::LogVerifier;
use truc_types::EdgeTerm;

use super::axis::Agency;
use super::load::{Lane, STREAM_WINDOW_BYTES};
use super::stock::{opening, preseal};
use crate::failure::Failure;

/// Connections of the attacker, each with one stream.
const CONNECTIONS: usize = 8;
/// Bytes of an upload that comes to nothing.
const UPLOAD_BYTES: usize = 8 * 1024 * 1024;

/// A kind of attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Attack {
    /// Statements that are refused after everything was checked
    Refused,
    /// Statements whose seal does not hold
    Seals,
    /// One accepted document again and again: each time it is answered with its proofs
    Repeats,
    /// The same, and no answer is ever read
    Stalled,
    /// Uploads that do not have the digest they were announced with
    Uploads,
}

/// An attack that goes on until this is dropped.
pub(super) struct Running {
    _tasks: JoinSet<()>,
    done: Arc<AtomicU64>,
}

impl Running {
    /// Answers that the attacker got so far.
    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }
}

impl Attack {
    /// Connects and begins.
    pub(super) async fn begin(self, address: SocketAddr, agency: &Agency, term: EdgeTerm, log: &LogVerifier) -> Result<Running, Failure> {
        let lane = Lane::open(address, agency).await?;
        lane.open_term(agency, term, log).await?;
        let statement = self.statement(agency, term);
        let (mut tasks, done) = (JoinSet::new(), Arc::<AtomicU64>::default());
        for number in 0..CONNECTIONS {
            let window = if self == Self::Stalled { 0 } else { STREAM_WINDOW_BYTES };
            let lane = Lane::connect(address, agency, window).await?;
            let done = done.clone();
            if self == Self::Uploads {
                tasks.spawn(async move {
                    let mut attempt = 0;
                    loop {
                        attempt += 1;
                        lane.upload_in_vain(number, attempt, UPLOAD_BYTES).await;
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                });
                continue;
            }
            let mut answers = lane.submit_without_end(statement.clone()).await?;
            tasks.spawn(async move {
                if self == Self::Stalled {
                    return std::future::pending().await;
                }
                while answers.message().await.is_ok_and(|answer| answer.is_some()) {
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        Ok(Running { _tasks: tasks, done })
    }

    /// What is submitted without end.
    fn statement(self, agency: &Agency, term: EdgeTerm) -> Bytes {
        let sealed = |term| preseal(std::slice::from_ref(agency), term, 1, 1).into_iter().flatten().next();
        let file = match self {
            // A term that nobody opens: it is found out after everything else was checked.
            Self::Refused => sealed(EdgeTerm(u64::MAX / 2)),
            Self::Seals | Self::Repeats | Self::Stalled | Self::Uploads => sealed(term),
        };
        let file = file.map_or_else(|| opening(agency, term).file, |sealed| sealed.file);
        if self == Self::Seals { with_another_signature(&file) } else { file }
    }
}

/// The same file under a signature of something else.
fn with_another_signature(file: &[u8]) -> Bytes {
    let Ok(mut parsed) = truc_signing::DsseFile::parse(file) else { return Bytes::copy_from_slice(file) };
    for signature in &mut parsed.signatures {
        signature.sig.reverse();
        // The last byte of a signature that is looked at at all is below 16.
        if let Some(last) = signature.sig.last_mut() {
            *last = 0;
        }
    }
    parsed.to_bytes().into()
}
