//! NATS JetStream: one server, one stream with one replica in files. Publish → acknowledgement of the stream; a durable pull consumer with explicit
//! acknowledgements. Without TLS and without signatures, and messages carry no id: nothing is deduplicated.

use std::fmt::Write as _;
use std::path::Path;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::{Context, new, stream};
use bytes::Bytes;
use futures_util::StreamExt as _;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::load::{CONNECTIONS, Consumer, Plan, Publisher, Turn, consume, publish};
use crate::server::{Server, command, free_port};

const NAME: &str = "nats-server";
const SUBJECT: &str = "axis.submit";

/// One turn with a server of its own; `sync_interval` as in its configuration, none for the default.
pub(crate) async fn turn(
    arguments: &Arguments,
    plan: &Plan,
    sync_interval: Option<&str>,
    strace_log: Option<&Path>,
) -> Result<Turn, Failure> {
    let folder = tempfile::tempdir_in(&arguments.folder).map_err(Failure::Process)?;
    let (port, configuration) = (free_port()?, folder.path().join("nats.conf"));
    let mut text = format!("listen: \"127.0.0.1:{port}\"\njetstream {{\n  store_dir: \"{}\"\n", folder.path().join("data").display());
    if let Some(interval) = sync_interval {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  sync_interval: {interval}");
    }
    text.push_str("}\n");
    std::fs::write(&configuration, text).map_err(|cause| Failure::File { path: configuration.clone(), cause })?;
    let mut command = command(&arguments.nats, strace_log);
    command.arg("-c").arg(&configuration);
    let mut server = Server::start(command, &folder.path().join("output"))?;
    server.ready(NAME, port).await?;

    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let client = async_nats::connect(format!("127.0.0.1:{port}")).await.map_err(Failure::nats)?;
        connections.push(Connection(new(client)));
    }
    let first = connections.first().ok_or(Failure::NotReady(NAME))?;
    let wanted = stream::Config {
        name: "axis".to_owned(),
        subjects: vec![SUBJECT.to_owned()],
        storage: stream::StorageType::File,
        num_replicas: 1,
        ..stream::Config::default()
    };
    let stream = first.0.create_stream(wanted).await.map_err(Failure::nats)?;

    let before = server.cpu_seconds();
    let (confirmed, published) = publish(&connections, plan).await?;
    let server_cpu_us = (server.cpu_seconds() - before) * 1e6 / (confirmed.max(1) as f64);

    let wanted = pull::Config {
        durable_name: Some("edge".to_owned()),
        ack_policy: AckPolicy::Explicit,
        max_ack_pending: i64::from(arguments.in_flight),
        ..pull::Config::default()
    };
    stream.create_consumer(wanted).await.map_err(Failure::nats)?;
    let mut consumers = Vec::new();
    for connection in &connections {
        let stream = connection.0.get_stream("axis").await.map_err(Failure::nats)?;
        let consumer = stream.get_consumer::<pull::Config>("edge").await.map_err(Failure::nats)?;
        let batch = usize::try_from(plan.in_flight_each).unwrap_or(1);
        consumers.push(Messages(consumer.stream().max_messages_per_batch(batch).messages().await.map_err(Failure::nats)?));
    }
    let consumed_per_second = Some(consume(consumers, confirmed, plan).await?);
    Ok(Turn { confirmed, publish: published, consumed_per_second, server_cpu_us, machine: None })
}

#[derive(Clone)]
struct Connection(Context);

impl Publisher for Connection {
    async fn publish(&self, message: Bytes) -> Result<(), Failure> {
        // The first wait is for the client's queue, the second for the stream.
        let acknowledged = self.0.publish(SUBJECT, message).await.map_err(Failure::nats)?.await.map_err(Failure::nats)?;
        if acknowledged.duplicate { Err(Failure::NotConfirmed("taken for a duplicate".to_owned())) } else { Ok(()) }
    }
}

struct Messages(pull::Stream);

impl Consumer for Messages {
    async fn take(&mut self) -> Result<(), Failure> {
        let message = self.0.next().await.ok_or_else(|| Failure::Nats("the consumer ended".to_owned()))?;
        message.map_err(Failure::nats)?.ack().await.map_err(Failure::nats)
    }
}
