//! A line to the broker on which, from a moment on, the client takes one byte a second. What the client sends goes through at once.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long each byte takes.
const BYTE: Duration = Duration::from_secs(1);
/// Bytes that the relay holds.
const BUFFER_BYTES: usize = 64 * 1024;

/// A relay of one connection. Dropping it cuts the line.
pub(super) struct SlowLine {
    /// Where the client connects.
    pub(super) address: SocketAddr,
    slow: watch::Sender<bool>,
    _relay: JoinSet<std::io::Result<()>>,
}

impl SlowLine {
    /// A line that is as fast as any other so far.
    pub(super) async fn to(broker: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let slow = watch::Sender::new(false);
        let (address, slowed, mut relay) = (listener.local_addr()?, slow.subscribe(), JoinSet::new());
        relay.spawn(async move {
            let (client, _) = listener.accept().await?;
            let (from_client, to_client) = client.into_split();
            let (from_broker, to_broker) = TcpStream::connect(broker).await?.into_split();
            tokio::select! {
                up = forward(from_client, to_broker) => up,
                down = forward_slowly(from_broker, to_client, slowed) => down,
            }
        });
        Ok(Self { address, slow, _relay: relay })
    }

    /// From now on the client takes one byte a second.
    pub(super) fn slow_down(&self) {
        self.slow.send_replace(true);
    }
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> std::io::Result<()> {
    tokio::io::copy(&mut from, &mut to).await.map(drop)
}

async fn forward_slowly(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut slow: watch::Receiver<bool>) -> std::io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    while !*slow.borrow() {
        tokio::select! {
            read = from.read(&mut buffer) => match read? {
                0 => return Ok(()),
                read => to.write_all(buffer.get(..read).unwrap_or_default()).await?,
            },
            changed = slow.changed() => if changed.is_err() {
                return Ok(());
            },
        }
    }
    loop {
        let byte = from.read_u8().await?;
        to.write_u8(byte).await?;
        tokio::time::sleep(BYTE).await;
    }
}
