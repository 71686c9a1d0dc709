//! How connections are taken: with a limit on how many there are, and so that a process without free file descriptors goes on serving those that it
//! has. Not TLS, which follows on each connection by itself.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::{Connected, TcpConnectInfo};
use truc_types::Reason;
use truc_types::limits::CONNECTIONS_MAX;

/// Connections that were taken and wait for the server: it takes them at once.
const TAKEN_MAX: usize = 16;
/// After a failed accept: what failed does not become free within microseconds, and the listener keeps the connection meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A connection and its place among all.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
}

/// The connections of a listener, for a server of tonic. Above the limit new ones are closed at once. At most half of the file descriptors that the process
/// may have go to connections: the journal must always be able to open its next file.
#[must_use]
pub fn connections(listener: TcpListener) -> ReceiverStream<io::Result<Connection>> {
    let descriptors = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    limited(listener, CONNECTIONS_MAX.min(descriptors / 2).max(1))
}

fn limited(listener: TcpListener, limit: usize) -> ReceiverStream<io::Result<Connection>> {
    let (taken, connections) = mpsc::channel(TAKEN_MAX);
    tokio::spawn(async move {
        tokio::select! {
            () = accept(&listener, limit, &taken) => {}
            () = taken.closed() => {}
        }
    });
    ReceiverStream::new(connections)
}

async fn accept(listener: &TcpListener, limit: usize, taken: &mpsc::Sender<io::Result<Connection>>) {
    let places = Arc::new(Semaphore::new(limit));
    // Said once when it begins, not for each of a flood.
    let (mut full, mut failing) = (false, false);
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(cause) => {
                if !std::mem::replace(&mut failing, true) {
                    let reason = Reason::of_system(&cause, Reason::ConfigInvalid);
                    tracing::error!(%reason, %cause, advice = reason.advice(), "new connections cannot be taken; those that are there go on");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        failing = false;
        let Ok(place) = places.clone().try_acquire_owned() else {
            if !std::mem::replace(&mut full, true) {
                tracing::warn!(reason = %Reason::FlowFlooding, limit, "as many connections as may be are open; new ones are closed");
            }
            continue;
        };
        full = false;
        // Without this, an answer waits 40 ms for an acknowledgement that the other side delays.
        if let Err(cause) = stream.set_nodelay(true) {
            tracing::debug!(%cause, "a connection was gone before it was taken");
            continue;
        }
        if taken.send(Ok(Connection { stream, _place: place })).await.is_err() {
            return;
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
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

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio_stream::StreamExt as _;

    use super::*;

    #[tokio::test]
    async fn a_connection_too_many_is_closed_and_a_freed_place_is_given_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut incoming = limited(listener, 2);
        let _clients = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
        let first = incoming.next().await.unwrap().unwrap();
        let _second = incoming.next().await.unwrap().unwrap();
        let mut refused = TcpStream::connect(address).await.unwrap();
        assert!(matches!(refused.read(&mut [0]).await, Ok(0) | Err(_)), "the third connection stayed open");
        drop(first);
        let _fourth = TcpStream::connect(address).await.unwrap();
        incoming.next().await.unwrap().unwrap();
    }
}
