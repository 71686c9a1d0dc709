//! The path of a document through the engine of one broker in this process: statement bytes in; verified, decided, durable; proofs out. Of
//! `truc bench inprocess`, and of the criterion bench `path` of this crate. Not what of it counts.

use std::path::Path;
use std::time::Duration;

use truc_blobs::{BlobStore as _, FolderStore};
use truc_broker::Engine;
use truc_transport::shutdown::Shutdown;
use truc_types::EdgeTerm;

use super::axis::{self, Axis};
use super::load::Stream;
use super::phase::{self, Course, Measured, Pace, Verify};
use super::stock::{ATTACHMENT, Sealed, preseal};
use crate::failure::Failure;
use crate::local::usage::{self, Usage};

/// Longer than any pass that is measured as a whole.
const WHOLE: Duration = Duration::from_secs(24 * 60 * 60);

/// An engine on an axis of its own.
pub struct EnginePath {
    axis: Axis,
    engine: Engine,
    shutdown: Shutdown,
    term: EdgeTerm,
}

impl EnginePath {
    /// Makes an axis with so many agencies under `folder` and starts its engine, within a runtime. Every block takes `sync_delay` longer to be durable.
    ///
    /// # Errors
    /// When the folder does not take it, or the engine does not start.
    pub fn start(folder: &Path, agencies: u16, sync_delay: Duration) -> Result<Self, Failure> {
        let axis = axis::make(folder, agencies)?;
        store(&axis)?;
        let mut config = truc_broker::load(&axis.layout.broker, axis.password.as_bytes(), None).map_err(Failure::Refused)?;
        config.sync_delay = sync_delay;
        let engine = Engine::alone(config).map_err(Failure::Refused)?;
        Ok(Self { axis, engine, shutdown: Shutdown::default(), term: EdgeTerm(0) })
    }

    /// The time from the first statement handed over to the last answer, of so many documents of all agencies in turn, of which so many wait for answers at
    /// a time. They are sealed before it, and every answer is verified after it.
    ///
    /// # Errors
    /// When a document is refused, or an answer does not hold.
    pub async fn time(&mut self, documents: u64, recipients: usize, in_flight: usize) -> Result<Duration, Failure> {
        let agencies = self.axis.agencies.len();
        let each = documents.div_ceil(u64::try_from(agencies).unwrap_or(u64::MAX));
        let stocks = self.seal(each, recipients);
        let pace = Pace::Closed { in_flight: in_flight.div_ceil(agencies) };
        let course = Course { pace, warm_up: Duration::ZERO, count_for: WHOLE, verify: Verify::Afterwards };
        let (_, measured) = self.run(stocks, course).await?;
        #[expect(clippy::cast_precision_loss, reason = "documents of a bench are far below 2^53")]
        let share = documents as f64 / measured.counted.max(1) as f64;
        Ok(measured.time.mul_f64(share))
    }

    /// Ends the engine.
    ///
    /// # Errors
    /// When its journal failed.
    pub async fn finish(self) -> Result<(), Failure> {
        self.engine.finish().await.map_err(Failure::Refused)
    }

    /// Seals so many documents of each agency, under its next term.
    pub(super) fn seal(&self, each: u64, recipients: usize) -> Vec<Vec<Sealed>> {
        preseal(&self.axis.agencies, self.next_term(), each, recipients)
    }

    /// Opens the next term of every agency and hands over what was sealed for it; what this process had used before it.
    pub(super) async fn run(&mut self, stocks: Vec<Vec<Sealed>>, course: Course) -> Result<(Usage, Measured), Failure> {
        self.term = self.next_term();
        let mut streams = Vec::with_capacity(self.axis.agencies.len());
        for agency in &self.axis.agencies {
            let mut stream = Stream::within(&self.engine, agency, &self.shutdown);
            stream.open_term(agency, self.term, &self.axis.log).await?;
            streams.push(stream);
        }
        let before = usage::own()?;
        Ok((before, phase::run(streams, stocks, course, &self.axis.log).await?))
    }

    const fn next_term(&self) -> EdgeTerm {
        EdgeTerm(self.term.0 + 1)
    }
}

/// Puts the attachment of every agency where the engine looks for it.
fn store(axis: &Axis) -> Result<(), Failure> {
    let store = FolderStore::open(&axis.layout.broker.join("blobs")).map_err(|cause| Failure::Refused(cause.to_refusal()))?;
    for agency in &axis.agencies {
        let stored = store.put_from_reader(&agency.code, &mut &*ATTACHMENT);
        stored.map_err(|cause| Failure::Refused(cause.to_refusal()))?;
    }
    Ok(())
}
