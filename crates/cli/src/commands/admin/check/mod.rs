//! `truc admin check`: one command for when something feels wrong. Each finding has a stable name, a state and what to do; `findings` judges, here it is
//! asked and told. Not readiness: that decides for load balancers in one word, this explains to a person.

mod findings;

use truc_proto::admin::v1 as pb;
use truc_proto::admin::v1::edge_admin_service_client::EdgeAdminServiceClient;
use truc_signing::Certificate;
use truc_transport::clock;

use self::findings::{Finding, State};
use super::remote::{BrokerAddress, Node};
use super::{agencies, queues};
use crate::commands::remote::EdgeAddress;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Look at everything that can be wrong with a broker or an edge, and say what to do about it.
/// Exit code 0: nothing is a problem (warnings may stand). 1: something is.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    node: Node,
}

pub(super) async fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let mut findings = Vec::new();
    if let Some(broker) = &arguments.node.broker() {
        // What cannot be asked is a finding like the others; a mistyped argument is not.
        match look_at_broker(broker, &mut findings).await {
            Err(usage @ Failure::Usage(_)) => return Err(usage),
            Err(cause) => findings.push(findings::unreachable(&cause)),
            Ok(()) => {}
        }
    }
    if let Some(edge) = &arguments.node.edge() {
        match look_at_edge(edge, &mut findings).await {
            Err(usage @ Failure::Usage(_)) => return Err(usage),
            Err(cause) => findings.push(findings::unreachable(&cause)),
            Ok(()) => {}
        }
    }
    let mut worst = State::Ok;
    for finding in &findings {
        worst = worst.max(finding.state);
        output.data(&finding.text(output.language()), finding)?;
    }
    Ok(if worst == State::Problem { Exit::Failed } else { Exit::Done })
}

async fn look_at_broker(broker: &BrokerAddress, findings: &mut Vec<Finding>) -> Result<(), Failure> {
    let mut client = broker.connect().await?;
    let asked = clock::now();
    let health = client.get_broker_health(pb::GetBrokerHealthRequest {}).await.map_err(|status| broker.failure(&status))?.into_inner();
    findings.push(findings::up(&broker.url, &health));
    findings.push(findings::release(&health.release));
    findings.push(findings::ready(&health.checks));
    findings.push(findings::skew(asked, &health.now));
    findings.push(findings::log(&health, &broker.log_key()?));
    findings.push(findings::durable(&health));
    findings.push(findings::views(&health));
    findings.push(findings::disk(health.disk_free_bytes, health.disk_bytes));
    findings.push(findings::certificate("certificate.tls", &health.tls_not_after, &health.now));
    findings.push(own_certificate(broker)?);
    findings.push(findings::backup(&health.last_backup_at, &health.now));
    let (queues, now) = queues::read(&mut client, broker, "").await?;
    findings.push(findings::waiting(&queues, &now));
    let (agencies, now) = agencies::read(&mut client, broker).await?;
    findings.push(findings::edges(&agencies, &now));
    findings.push(findings::seals(&agencies, &now));
    Ok(())
}

async fn look_at_edge(edge: &EdgeAddress, findings: &mut Vec<Finding>) -> Result<(), Failure> {
    let mut client = EdgeAdminServiceClient::new(edge.channel().await?);
    let asked = clock::now();
    let health = client.get_edge_health(pb::GetEdgeHealthRequest {}).await.map_err(|status| edge.failure(&status))?.into_inner();
    findings.push(findings::edge_there(&edge.url, &health.agency));
    findings.push(findings::release(&health.release));
    findings.push(findings::ready(&health.checks));
    findings.push(findings::skew(asked, &health.now));
    findings.push(findings::line(&health));
    findings.push(findings::outbox(&health));
    findings.push(findings::receipts(health.receipts_waiting));
    findings.push(findings::disk(health.disk_free_bytes, health.disk_bytes));
    findings.push(findings::certificate("certificate.seal", &health.seal_not_after, &health.now));
    findings.push(findings::certificate("certificate.tls", &health.tls_not_after, &health.now));
    findings.push(findings::backup(&health.last_backup_at, &health.now));
    Ok(())
}

fn own_certificate(broker: &BrokerAddress) -> Result<Finding, Failure> {
    let pem = crate::pki::read_text(&broker.pki.join("operator.tls.cert.pem"))?;
    let not_after = Certificate::from_pem(&pem).map(|certificate| certificate.not_after().to_string()).unwrap_or_default();
    Ok(findings::certificate("certificate.admin", &not_after, &clock::now().to_string()))
}
