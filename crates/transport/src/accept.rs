//! Takes connections for the gRPC servers: never more than there are places, without spinning when the system has no descriptor left, and with TLS
//! certificates that may change between two connections. What is served on them is the servers' business.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::{Connected, TcpConnectInfo};
use truc_signing::Certificate;
use truc_types::Reason;
use truc_types::limits::{CONNECTIONS_PER_AGENCY_MAX, HANDSHAKE_MILLIS_MAX};

use crate::descriptors;
use crate::owners::{OwnerPlace, Owners};
use crate::tls::ServerTls;

/// Who connects and says nothing gives its place back.
const HANDSHAKE_MAX: Duration = Duration::from_millis(HANDSHAKE_MILLIS_MAX);
/// First and longest pause after the system refused a connection.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Connections that wait for the server: it takes them at once.
const AHEAD: usize = 16;

/// The places of the process: descriptors are its, not a listener's.
static PLACES: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(descriptors::connections())));

/// A connection with its place.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
    /// Of the owner of the client certificate, once that is known.
    of_owner: Option<OwnerPlace>,
}

/// The connections of a listener, in the clear.
#[must_use]
pub fn plain(listener: TcpListener) -> ReceiverStream<io::Result<Connection>> {
    let (connections, incoming) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        while let Some((connection, _)) = next(&listener, &connections).await {
            if connections.send(Ok(connection)).await.is_err() {
                return;
            }
        }
    });
    ReceiverStream::new(incoming)
}

/// The connections of a listener, after the handshake; each with the certificates that are current when it begins.
#[must_use]
pub fn tls(listener: TcpListener, tls: ServerTls) -> ReceiverStream<io::Result<TlsStream<Connection>>> {
    let (connections, incoming) = mpsc::channel(AHEAD);
    let owners = Owners::default();
    tokio::spawn(async move {
        while let Some((connection, peer)) = next(&listener, &connections).await {
            let (acceptor, connections, owners) = (TlsAcceptor::from(tls.current()), connections.clone(), owners.clone());
            // Places bound the number of these tasks.
            tokio::spawn(async move {
                match tokio::time::timeout(HANDSHAKE_MAX, acceptor.accept(connection)).await {
                    Ok(Ok(stream)) => {
                        if let Some(stream) = placed(stream, peer, &owners) {
                            // Nobody takes it when the process ends.
                            let _ended = connections.send(Ok(stream)).await;
                        }
                    }
                    Ok(Err(cause)) => tracing::debug!(%peer, %cause, "a TLS handshake failed"),
                    Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
                }
            });
        }
    });
    ReceiverStream::new(incoming)
}

/// The same connection with a place among those of its owner; none when there is no place: it is closed, and the log says why.
fn placed(mut stream: TlsStream<Connection>, peer: SocketAddr, owners: &Owners) -> Option<TlsStream<Connection>> {
    let (connection, session) = stream.get_mut();
    // A certificate that names no owner is refused by each call, with a reason.
    let leaf = session.peer_certificates().and_then(<[_]>::first).and_then(|leaf| Certificate::from_der(leaf.as_ref()).ok());
    if let Some(Certificate { owner, .. }) = leaf {
        let Some(place) = owners.place(&owner) else {
            let (owner, limit, reason) = (owner.urn(), CONNECTIONS_PER_AGENCY_MAX, Reason::FlowFlooding);
            tracing::warn!(%peer, owner, limit, %reason, "a connection too many under certificates of one owner is closed");
            return None;
        };
        connection.of_owner = Some(place);
    }
    Some(stream)
}

/// The next connection; nothing when the server has gone.
async fn next<T>(listener: &TcpListener, server: &mpsc::Sender<T>) -> Option<(Connection, SocketAddr)> {
    tokio::select! {
        () = server.closed() => None,
        accepted = accept(listener) => Some(accepted),
    }
}

async fn accept(listener: &TcpListener) -> (Connection, SocketAddr) {
    let mut pause = PAUSE_MIN;
    loop {
        // First the place: without one the connection waits in the kernel, not here.
        let Ok(place) = PLACES.clone().acquire_owned().await else { return std::future::pending().await };
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Without this, an answer waits 40 ms for an acknowledgement that the other side delays.
                if let Err(cause) = stream.set_nodelay(true) {
                    tracing::debug!(%peer, %cause, "a connection was closed at once");
                    continue;
                }
                return (Connection { stream, _place: place, of_owner: None }, peer);
            }
            Err(cause) if is_of_the_peer(cause.kind()) => tracing::debug!(%cause, "a connection ended before it was taken"),
            Err(cause) => {
                // No descriptor or memory: the connection still waits, and asking again at once would only burn the processor.
                let reason = Reason::of_system(&cause, Reason::ConfigInvalid);
                let pause_millis = pause.as_millis();
                tracing::warn!(%reason, %cause, advice = reason.advice(), pause_millis, "no connection can be taken; those that are there go on");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

/// Faults of one connection, not of the listener.
const fn is_of_the_peer(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted)
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
