//! RabbitMQ: one node, one durable quorum queue, publisher confirms; consumers with a prefetch and explicit acknowledgements. Without TLS.
//!
//! The node has a port mapper (`epmd`) of its own: one that runs on the machine is neither needed nor left behind.

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use futures_util::StreamExt as _;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, ConnectionProperties};

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::load::{CONNECTIONS, Consumer, Plan, Publisher, Turn, consume, publish};
use crate::server::{Server, command, free_port};

const QUEUE: &str = "axis";
/// AMQP 0-9-1: keep the message on disk. Quorum queues do so anyway.
const PERSISTENT: u8 = 2;

/// A node and its port mapper. Fields are dropped in this order.
struct Node {
    server: Server,
    _mapper: Server,
}

/// One turn with a node of its own.
pub(crate) async fn turn(arguments: &Arguments, plan: &Plan, strace_log: Option<&Path>) -> Result<Turn, Failure> {
    let folder = tempfile::tempdir_in(&arguments.folder).map_err(Failure::Process)?;
    let port = free_port()?;
    let node = start(arguments, folder.path(), port, strace_log).await?;

    let (mut connections, mut channels) = (Vec::new(), Vec::new());
    for _ in 0..CONNECTIONS {
        let connection = lapin::Connection::connect(&format!("amqp://127.0.0.1:{port}/%2f"), ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        connections.push(connection);
        channels.push(Publishing(channel));
    }
    let first = channels.first().ok_or(Failure::NotReady("rabbitmq-server"))?;
    let mut kind = FieldTable::default();
    kind.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    first.0.queue_declare(QUEUE.into(), QueueDeclareOptions::durable(), kind).await?;

    let before = node.server.cpu_seconds();
    let (confirmed, published) = publish(&channels, plan).await?;
    let server_cpu_us = (node.server.cpu_seconds() - before) * 1e6 / (confirmed.max(1) as f64);

    let mut consumers = Vec::new();
    for connection in &connections {
        let channel = connection.create_channel().await?;
        channel.basic_qos(u16::try_from(plan.in_flight_each).unwrap_or(u16::MAX), BasicQosOptions::default()).await?;
        let consumer = channel.basic_consume(QUEUE.into(), "".into(), BasicConsumeOptions::default(), FieldTable::default()).await?;
        consumers.push(Consuming(consumer));
    }
    let consumed_per_second = Some(consume(consumers, confirmed, plan).await?);
    for connection in connections {
        connection.close(200, "done".into()).await?;
    }
    Ok(Turn { confirmed, publish: published, consumed_per_second, server_cpu_us, machine: None })
}

async fn start(arguments: &Arguments, folder: &Path, port: u16, strace_log: Option<&Path>) -> Result<Node, Failure> {
    let (mapper_port, distribution_port) = (free_port()?, free_port()?);
    let mut mapper = Command::new("epmd");
    mapper.args(["-address", "127.0.0.1", "-port", &mapper_port.to_string()]);
    let mut mapper = Server::start(mapper, &folder.join("mapper"))?;
    mapper.ready("epmd", mapper_port).await?;

    let plugins = folder.join("enabled_plugins");
    std::fs::write(&plugins, "[].\n").map_err(|cause| Failure::File { path: plugins.clone(), cause })?;
    let none = folder.join("no-such-file");
    let mut command = command(&arguments.rabbitmq, strace_log);
    command
        .env("HOME", folder)
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("ERL_EPMD_PORT", mapper_port.to_string())
        .env("RABBITMQ_NODENAME", "bench@localhost")
        .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODE_PORT", port.to_string())
        .env("RABBITMQ_DIST_PORT", distribution_port.to_string())
        .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}")
        .env("RABBITMQ_MNESIA_BASE", folder.join("data"))
        .env("RABBITMQ_LOG_BASE", folder.join("log"))
        .env("RABBITMQ_PID_FILE", folder.join("pid"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", &plugins)
        // What the machine has set up for a node of its own is not ours.
        .env("RABBITMQ_CONF_ENV_FILE", &none)
        .env("RABBITMQ_CONFIG_FILE", &none)
        // The script replaces itself by the node: its process is the one to ask and to stop.
        .env("RUNNING_UNDER_SYSTEMD", "true");
    let mut server = Server::start(command, &folder.join("output"))?;
    server.ready("rabbitmq-server", port).await?;
    Ok(Node { server, _mapper: mapper })
}

#[derive(Clone)]
struct Publishing(Channel);

impl Publisher for Publishing {
    async fn publish(&self, message: Bytes) -> Result<(), Failure> {
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
        let options = BasicPublishOptions::default();
        match self.0.basic_publish("".into(), QUEUE.into(), options, &message, properties).await?.await? {
            Confirmation::Ack(None) => Ok(()),
            other => Err(Failure::NotConfirmed(format!("{other:?}"))),
        }
    }
}

struct Consuming(lapin::Consumer);

impl Consumer for Consuming {
    async fn take(&mut self) -> Result<(), Failure> {
        let delivery = self.0.next().await.ok_or_else(|| Failure::NotConfirmed("the consumer ended".to_owned()))??;
        delivery.ack(BasicAckOptions::default()).await?;
        Ok(())
    }
}
