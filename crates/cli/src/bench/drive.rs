//! Load on one broker, phase after phase: every phase seals its documents before the clock starts, opens a term of its own, and yields one row. How a
//! phase goes is in `phase`; which phases make a bench is in its file.

use std::time::Duration;

use serde::Serialize;
use truc_types::EdgeTerm;

use super::axis::Axis;
use super::broker::Broker;
use super::figures::{Both, Cost, Latencies};
use super::findings::Row;
use super::load::{Lane, streams};
use super::phase::{self, Course, Measured, Pace, Verify, WARM_UP};
use super::stock::{Sealed, Shape, documents_open_max, preseal_shaped};
use crate::failure::Failure;
use crate::local::usage;
use crate::output::Output;

/// The connections of all agencies to a broker.
pub(super) struct Drive<'a> {
    axis: &'a Axis,
    broker: &'a Broker,
    lanes: Vec<Lane>,
    term: EdgeTerm,
    seconds: u16,
}

/// A phase, as it was found.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Phase {
    /// `closed`: each answer sends the next document. `open`: documents leave at their time.
    pub(super) pace: &'static str,
    /// Rate of an open loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) offered_per_second: Option<f64>,
    pub(super) recipients: usize,
    pub(super) envelope_bytes: usize,
    /// Documents whose checkpoint and two inclusion proofs were verified: all of them.
    pub(super) verified: u64,
    pub(super) documents_per_second: f64,
    pub(super) documents_per_block: f64,
    pub(super) latency: Latencies,
    pub(super) cost: Cost,
    /// Documents answered in each 250 ms from the start, warm-up included.
    pub(super) answered_per_250_ms: Vec<u64>,
}

impl Row for Phase {
    fn head() -> Vec<&'static str> {
        [&["pace", "documents/s"][..], &Latencies::HEAD, &["docs/block"], &Cost::HEAD, &["verified"]].concat()
    }

    fn cells(&self) -> Vec<String> {
        let pace = self.offered_per_second.map_or_else(|| self.pace.to_owned(), |rate| format!("{} {rate:.0}/s", self.pace));
        let rate = format!("{:.0}", self.documents_per_second);
        let block = format!("{:.0}", self.documents_per_block);
        [vec![pace, rate], self.latency.cells(), vec![block], self.cost.cells(), vec![self.verified.to_string()]].concat()
    }
}

impl<'a> Drive<'a> {
    /// Connects all agencies. Each phase is measured for so many seconds.
    pub(super) async fn connect(axis: &'a Axis, broker: &'a Broker, seconds: u16) -> Result<Self, Failure> {
        let mut lanes = Vec::with_capacity(axis.agencies.len());
        for agency in &axis.agencies {
            lanes.push(Lane::open(broker.address, agency).await?);
        }
        Ok(Self { axis, broker, lanes, term: EdgeTerm(0), seconds })
    }

    /// So many documents wait for answers, over all lanes; `documents` at most.
    pub(super) async fn closed(&mut self, shape: Shape, in_flight: u16, documents: u32, output: &mut Output) -> Result<Phase, Failure> {
        let documents = u64::from(documents).min(documents_open_max(shape.recipients));
        let stocks = self.stock(shape, documents, output).await?;
        let in_flight = usize::from(in_flight).div_ceil(self.lanes.len());
        output.talk(&format!("closed loop, {} in flight, {} s", in_flight * self.lanes.len(), self.seconds));
        self.phase(shape, stocks, Pace::Closed { in_flight }, None).await
    }

    /// So many documents a second, over all lanes, whatever the broker does.
    pub(super) async fn open(&mut self, shape: Shape, rate: f64, output: &mut Output) -> Result<Phase, Failure> {
        let interval = Duration::from_secs_f64(1.0 / rate.max(1.0));
        let documents = (WARM_UP + self.count_for()).as_nanos().div_ceil(interval.as_nanos().max(1));
        let stocks = self.stock(shape, u64::try_from(documents).unwrap_or(u64::MAX), output).await?;
        output.talk(&format!("open loop, {rate:.0} documents/s, {} s", self.seconds));
        self.phase(shape, stocks, Pace::Open { interval }, Some(rate)).await
    }

    fn count_for(&self) -> Duration {
        Duration::from_secs(u64::from(self.seconds))
    }

    /// Opens a new term of every agency and seals its envelopes: the phase before may have left numbers unused.
    async fn stock(&mut self, shape: Shape, documents: u64, output: &mut Output) -> Result<Vec<Vec<Sealed>>, Failure> {
        self.term = EdgeTerm(self.term.0 + 1);
        for (lane, agency) in self.lanes.iter().zip(&self.axis.agencies) {
            lane.open_term(agency, self.term, &self.axis.log).await?;
        }
        let lanes = self.lanes.len().max(1) as u64;
        output.talk(&format!("sealing {documents} envelopes"));
        let mut stocks = preseal_shaped(&self.axis.agencies, self.term, documents.div_ceil(lanes), shape);
        // Exactly so many: the last lanes have one less.
        let rest = documents.div_ceil(lanes) * lanes - documents;
        stocks.iter_mut().rev().zip(0..rest).for_each(|(stock, _)| drop(stock.pop()));
        Ok(stocks)
    }

    async fn phase(&self, shape: Shape, stocks: Vec<Vec<Sealed>>, pace: Pace, offered: Option<f64>) -> Result<Phase, Failure> {
        let envelope_bytes = stocks.first().and_then(|stock| stock.first()).map_or(0, |sealed| sealed.file.len());
        let before = self.both()?;
        let course = Course { pace, warm_up: WARM_UP, count_for: self.count_for(), verify: Verify::Live };
        let measured = phase::run(streams(&self.lanes).await?, stocks, course, &self.axis.log).await?;
        let cost = Cost::between(&before, &self.both()?, measured.verified);
        let Measured { verified, counted, time, latencies, blocks, slices, .. } = measured;
        #[expect(clippy::cast_precision_loss, reason = "counts of a bench are far below 2^53")]
        let each = |count: u64, of: f64| count as f64 / of.max(f64::MIN_POSITIVE);
        #[expect(clippy::cast_precision_loss, reason = "counts of a bench are far below 2^53")]
        let documents_per_block = each(verified, blocks.max(1) as f64);
        Ok(Phase {
            pace: if offered.is_some() { "open" } else { "closed" },
            offered_per_second: offered,
            recipients: shape.recipients,
            envelope_bytes,
            verified,
            documents_per_second: each(counted, time.as_secs_f64()),
            documents_per_block,
            latency: Latencies::of(&latencies),
            cost,
            answered_per_250_ms: slices,
        })
    }

    fn both(&self) -> Result<Both, Failure> {
        Ok(Both { broker: self.broker.reading()?, client: usage::own()? })
    }
}

/// The runtime of the side that sends and checks. One thread: it never has to wake another, takes the answers of many connections in one turn, and leaves
/// as much as it can of the two cores to the broker.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Runtime)
}
