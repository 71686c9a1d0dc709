//! The broker process that is measured: started from this program or another build of it, read from outside. Its configuration is the one that is
//! shipped.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use super::axis::Axis;
use super::setup::Setup;
use crate::failure::Failure;
use crate::local::usage::{self, Usage};
use crate::local::{Process, free_address};

/// Longest wait for the metrics of a broker that is busy.
const METRICS: Duration = Duration::from_secs(30);

/// A broker that runs; killed when it is dropped. What it acknowledged is durable, so it needs no farewell.
pub(super) struct Broker {
    process: Process,
    /// Where edges connect.
    pub(super) address: SocketAddr,
    metrics: SocketAddr,
}

/// What a broker used since it started.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub(super) usage: Usage,
    /// Blocks that became durable: one sync each.
    pub(super) syncs: u64,
}

impl Broker {
    /// Starts `truc broker run` at the address of the axis and waits for its ready line.
    pub(super) fn start(axis: &Axis, setup: &Setup) -> Result<Self, Failure> {
        let own = std::env::current_exe().map_err(Failure::Runtime)?;
        let (listen, metrics, delay) = (axis.broker.to_string(), free_address()?, setup.sync_delay_ms.to_string());
        let metrics_listen = metrics.to_string();
        let verb = ["broker", "run", "--listen", &listen, "--metrics-listen", &metrics_listen, "--sync-delay-ms", &delay];
        // Without messages of its own between those of the bench.
        let verb = [&verb[..], &["--loopback-idle-seconds", "0", "--data"]].concat();
        let (program, data) = (setup.program.as_deref().unwrap_or(&own), [axis.layout.broker.clone()]);
        let (process, ready) = Process::start_program(program, &verb, &data, &axis.log_file("broker"), &axis.password, 1)?;
        let address = ready.first().map_or(axis.broker, |(_, address)| *address);
        Ok(Self { process, address, metrics })
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it used so far.
    pub(super) fn reading(&self) -> Result<Reading, Failure> {
        let syncs = self.metric("truc_broker_blocks_total")?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of blocks, as OpenMetrics writes it")]
        Ok(Reading { usage: usage::of(self.id())?, syncs: syncs as u64 })
    }

    /// A figure without labels from its metrics endpoint.
    pub(super) fn metric(&self, name: &str) -> Result<f64, Failure> {
        let text = fetch(self.metrics, "/metrics").map_err(|cause| Failure::file(Path::new(&format!("http://{}", self.metrics)), cause))?;
        value(&text, name).ok_or_else(|| Failure::BadAnswer(format!("metrics without {name}")))
    }
}

/// One request of HTTP/1.1, whose answer ends with the connection.
fn fetch(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(METRICS))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The value of a metric without labels in OpenMetrics text, which writes none as `{}` or leaves them away.
fn value(text: &str, name: &str) -> Option<f64> {
    let rest = |line: &str| line.strip_prefix(name).map(|rest| rest.strip_prefix("{}").unwrap_or(rest).to_owned());
    text.lines().find_map(|line| rest(line)?.strip_prefix(' ')?.split_whitespace().next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_found_by_its_whole_name() {
        let text = "HTTP/1.1 200 OK\r\n\r\n# TYPE a counter\na_total_more 1\na{b=\"c\"} 2\na_total{} 41\nplain 2.5\n# EOF\n";
        assert_eq!(value(text, "a_total"), Some(41.0));
        assert_eq!(value(text, "plain"), Some(2.5));
        assert_eq!(value(text, "a"), None);
    }
}
