//! The closed loop, as in `truc bench submit`: so many envelopes wait for their confirmation, each confirmation sends the next. Counts those after the
//! warm-up. And the loop of consumers, each of which acknowledges what it is given.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::arguments::Arguments;
use crate::failure::Failure;

/// Connections of every system, as many as `truc bench submit` has agencies.
pub(crate) const CONNECTIONS: u32 = 4;
/// As in `truc bench submit`.
const WARM_UP: Duration = Duration::from_millis(500);
/// What the count of syncs publishes for.
const TRACED: Duration = Duration::from_secs(1);

/// What every turn has in common.
pub(crate) struct Plan {
    pub(crate) envelopes: Arc<[Bytes]>,
    pub(crate) seconds: Duration,
    pub(crate) in_flight_each: u32,
}

impl Plan {
    pub(crate) fn new(arguments: &Arguments, envelopes: Arc<[Bytes]>) -> Self {
        let in_flight_each = arguments.in_flight.div_ceil(CONNECTIONS);
        Self { envelopes, seconds: Duration::from_secs(arguments.seconds.into()), in_flight_each }
    }

    /// The same for the count of syncs, where time says nothing.
    pub(crate) fn shortened(&self) -> Self {
        Self { envelopes: self.envelopes.clone(), seconds: TRACED, in_flight_each: self.in_flight_each }
    }
}

/// What one turn found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Turn {
    /// Messages whose confirmation came, warm-up included.
    pub(crate) confirmed: u64,
    pub(crate) publish: Published,
    /// Messages that were consumed and acknowledged, a second; none where nothing was measured.
    pub(crate) consumed_per_second: Option<f64>,
    /// Seconds of the server's processors for a message, in microseconds.
    pub(crate) server_cpu_us: f64,
    /// What `truc bench submit` says about the machine; nothing of a peer.
    #[serde(skip)]
    pub(crate) machine: Option<serde_json::Value>,
}

/// Publish → durable confirmation.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Published {
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
}

/// A connection that publishes.
pub(crate) trait Publisher: Clone + Send + Sync + 'static {
    /// Ends when the server has confirmed that it keeps the message.
    fn publish(&self, message: Bytes) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// What the loop found; the number of confirmations is of the whole loop.
pub(crate) async fn publish<P: Publisher>(connections: &[P], plan: &Plan) -> Result<(u64, Published), Failure> {
    let start = Instant::now();
    let (count_from, end) = (start + WARM_UP, start + WARM_UP + plan.seconds);
    let (next, mut slots) = (Arc::new(AtomicU64::new(0)), JoinSet::new());
    for connection in connections {
        for _ in 0..plan.in_flight_each {
            let (connection, envelopes, next) = (connection.clone(), plan.envelopes.clone(), next.clone());
            slots.spawn(async move {
                let (mut answered, mut since) = (Vec::new(), Instant::now());
                while since < end {
                    let number = next.fetch_add(1, Ordering::Relaxed) as usize;
                    let Some(envelope) = envelopes.get(number % envelopes.len()) else { break };
                    connection.publish(envelope.clone()).await?;
                    let now = Instant::now();
                    answered.push((now, now - since));
                    since = now;
                }
                Ok::<_, Failure>(answered)
            });
        }
    }
    let mut latencies = Histogram::<u64>::new(3).map_err(|cause| Failure::Figures(cause.to_string()))?;
    let (mut confirmed, mut last) = (0, count_from);
    while let Some(answered) = slots.join_next().await {
        for (at, latency) in answered.map_err(|cause| Failure::Process(cause.into()))?? {
            confirmed += 1;
            if at >= count_from && at < end {
                last = last.max(at);
                let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
                latencies.record(micros).map_err(|cause| Failure::Figures(cause.to_string()))?;
            }
        }
    }
    let at = |quantile| latencies.value_at_quantile(quantile) as f64 / 1_000.0;
    let per_second = latencies.len() as f64 / (last - count_from).as_secs_f64().max(f64::MIN_POSITIVE);
    Ok((confirmed, Published { per_second, p50_ms: at(0.5), p99_ms: at(0.99), p999_ms: at(0.999) }))
}

/// A connection that consumes.
pub(crate) trait Consumer: Send + 'static {
    /// Takes the next message and acknowledges it.
    fn take(&mut self) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// How many messages a second are consumed and acknowledged, until `stored` were or the time is over.
pub(crate) async fn consume<C: Consumer>(connections: Vec<C>, stored: u64, plan: &Plan) -> Result<f64, Failure> {
    let (taken, (done, _)) = (Arc::new(AtomicU64::new(0)), watch::channel(false));
    let (done, start, mut running) = (Arc::new(done), Instant::now(), JoinSet::new());
    for mut connection in connections {
        let (taken, done, mut ended) = (taken.clone(), done.clone(), done.subscribe());
        running.spawn(async move {
            loop {
                tokio::select! {
                    message = connection.take() => message?,
                    _ = ended.changed() => return Ok::<_, Failure>(Instant::now()),
                }
                if taken.fetch_add(1, Ordering::Relaxed) + 1 >= stored {
                    done.send_replace(true);
                    return Ok(Instant::now());
                }
            }
        });
    }
    let limit = tokio::time::sleep(plan.seconds);
    tokio::pin!(limit);
    let (mut last, mut limited) = (start, false);
    loop {
        tokio::select! {
            ended = running.join_next() => match ended {
                Some(at) => last = last.max(at.map_err(|cause| Failure::Process(cause.into()))??),
                None => break,
            },
            () = &mut limit, if !limited => {
                limited = true;
                done.send_replace(true);
            }
        }
    }
    Ok(taken.load(Ordering::Relaxed) as f64 / (last - start).as_secs_f64().max(f64::MIN_POSITIVE))
}
