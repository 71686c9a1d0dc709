//! The listener for those who watch a process: `/metrics`, `/livez` and `/readyz` over HTTP/1.1. Read-only, without TLS: it belongs on a loopback or
//! management address, and shows no document, title, person or key.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use truc_types::limits::{OBSERVE_CONNECTIONS_MAX, OBSERVE_REQUEST_MILLIS_MAX};
use truc_types::{Reason, Refusal};

use crate::checks::Checks;
use crate::metrics::Metrics;

const OPENMETRICS: HeaderValue = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// Pause after an error of the listener itself: it is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What is shown.
#[derive(Clone)]
pub struct Observed {
    /// Numbers.
    pub metrics: Metrics,
    /// Readiness.
    pub checks: Checks,
    /// Brings the numbers that are only looked at up to date: called for each reading.
    pub refresh: Arc<dyn Fn() + Send + Sync>,
}

/// Listens on an address before anything else is started, so that a mistake in it is seen at once.
///
/// # Errors
/// [`Reason::ConfigInvalid`] with the address.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, Refusal> {
    let bound = TcpListener::bind(address).await;
    let listener =
        bound.map_err(|cause| Refusal::new(Reason::ConfigInvalid, format!("cannot listen on {address} for metrics: {cause}")))?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "metrics and readiness");
    }
    Ok(listener)
}

/// Serves for ever; dropping it ends it.
pub async fn serve(listener: TcpListener, observed: Observed) -> Infallible {
    let places = Arc::new(Semaphore::new(OBSERVE_CONNECTIONS_MAX));
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(cause) => {
                tracing::warn!(%cause, "a watcher cannot connect");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let observed = observed.clone();
        tokio::spawn(async move {
            let _place = place;
            connection(stream, observed).await;
        });
    }
}

/// One request and its answer; keeping connections open would let a few watchers hold all places.
async fn connection(stream: TcpStream, observed: Observed) {
    let service = service_fn(move |request| {
        let response = response(&request, &observed);
        async move { Ok::<_, Infallible>(response) }
    });
    let limit = Duration::from_millis(OBSERVE_REQUEST_MILLIS_MAX);
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(limit).keep_alive(false).max_buf_size(16 * 1024);
    match tokio::time::timeout(limit, server.serve_connection(TokioIo::new(stream), service)).await {
        Ok(Ok(())) => {}
        Ok(Err(cause)) => tracing::debug!(%cause, "a watcher's request broke"),
        Err(_) => tracing::debug!("a watcher did not take its answer in time"),
    }
}

fn response(request: &Request<Incoming>, observed: &Observed) -> Response<String> {
    let (status, kind, body) = match request.uri().path() {
        _ if request.method() != Method::GET && request.method() != Method::HEAD => {
            let mut refused = answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET only\n".to_owned());
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        "/metrics" => {
            (observed.refresh)();
            (StatusCode::OK, OPENMETRICS, observed.metrics.render())
        }
        "/livez" => (StatusCode::OK, JSON, "{\"live\":true}\n".to_owned()),
        "/readyz" => {
            let status = if observed.checks.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            (status, JSON, observed.checks.to_json() + "\n")
        }
        _ => (StatusCode::NOT_FOUND, TEXT, "/metrics, /livez, /readyz\n".to_owned()),
    };
    answer(status, kind, body)
}

fn answer(status: StatusCode, kind: HeaderValue, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::checks::{Found, Weight};
    use crate::process;

    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("{request} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn watchers_see_metrics_life_and_readiness_and_nothing_else() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (metrics, checks) = (Metrics::new(&[process::TABLE]), Checks::new(&[("disk", Weight::Required)]));
        let process = process::Process::new(&metrics);
        let observed = Observed { metrics, checks: checks.clone(), refresh: Arc::new(move || process.look()) };
        tokio::spawn(serve(listener, observed));
        let answer = ask(address, "GET /metrics").await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("application/openmetrics-text"), "{answer}");
        assert!(answer.contains("\nprocess_open_fds{} "), "{answer}");
        assert!(ask(address, "GET /livez").await.starts_with("HTTP/1.1 200 "));
        let answer = ask(address, "GET /readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\"waiting\""), "{answer}");
        checks.note("disk", Found::Passing);
        assert!(ask(address, "GET /readyz").await.starts_with("HTTP/1.1 200 "));
        assert!(ask(address, "GET /").await.starts_with("HTTP/1.1 404 "));
        assert!(ask(address, "POST /metrics").await.starts_with("HTTP/1.1 405 "));
    }
}
