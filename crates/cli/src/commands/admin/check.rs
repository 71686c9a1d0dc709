//! `truc admin check`: one command for when something feels wrong. Each finding has a stable name, a state and what to do. Not readiness: that
//! decides for load balancers in one word, this explains to a person.

use std::fmt;

use serde::Serialize;
use truc_ledger::checkpoint;
use truc_proto::admin::v1 as pb;
use truc_proto::admin::v1::edge_admin_service_client::EdgeAdminServiceClient;
use truc_signing::Certificate;
use truc_transport::clock;
use truc_types::limits::{CLOCK_SKEW_MILLIS_MAX, VIEW_LAG_ENTRIES_MAX};
use truc_types::{Reason, Timestamp};

use super::remote::{BrokerAddress, Node, age_millis};
use super::{agencies, queues};
use crate::commands::remote::EdgeAddress;
use crate::failure::{Exit, Failure};
use crate::language::Language;
use crate::measure;
use crate::output::Output;

const MINUTE_MILLIS: u64 = 60_000;
const DAY_MILLIS: u64 = 24 * 60 * MINUTE_MILLIS;
/// Certificates that end within a month are renewed in time, within a week hardly.
const CERTIFICATE_WARNING_MILLIS: u64 = 30 * DAY_MILLIS;
const CERTIFICATE_PROBLEM_MILLIS: u64 = 7 * DAY_MILLIS;
/// Free space in hundredths of the disk.
const DISK_WARNING_PERCENT: u64 = 20;
const DISK_PROBLEM_PERCENT: u64 = 5;
/// Urgent documents are handled at once, any other within the working day.
const URGENT_WARNING_MILLIS: u64 = 10 * MINUTE_MILLIS;
const NORMAL_WARNING_MILLIS: u64 = DAY_MILLIS;
/// A backup a day is the least; after a week without one nobody looks after it.
const BACKUP_WARNING_MILLIS: u64 = 2 * DAY_MILLIS;
const BACKUP_PROBLEM_MILLIS: u64 = 7 * DAY_MILLIS;
/// Entries that are decided and not durable: more than two full blocks are a disk that does not keep up.
const DURABLE_LAG_WARNING: u64 = 1_024;
/// Names in one finding.
const NAMED_MAX: usize = 5;

/// Look at everything that can be wrong with a broker or an edge, and say what to do about it.
/// Exit code 0: nothing is a problem (warnings may stand). 1: something is.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    node: Node,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warning,
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    finding: &'static str,
    state: State,
    detail: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    what_to_do: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Ok => "ok",
            State::Warning => "WARNING",
            State::Problem => "PROBLEM",
        };
        write!(f, "{state:<8} {:<18} {}", self.finding, self.detail)?;
        if self.state == State::Ok { Ok(()) } else { write!(f, "\n         {:<18} → {}", "", self.what_to_do) }
    }
}

pub(super) async fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let mut findings = Vec::new();
    if let Some(broker) = &arguments.node.broker() {
        // What cannot be asked is a finding like the others; a mistyped argument is not.
        match look_at_broker(broker, &mut findings).await {
            Err(usage @ Failure::Usage(_)) => return Err(usage),
            Err(cause) => findings.push(unreachable(&cause)),
            Ok(()) => {}
        }
    }
    if let Some(edge) = &arguments.node.edge() {
        match look_at_edge(edge, &mut findings).await {
            Err(usage @ Failure::Usage(_)) => return Err(usage),
            Err(cause) => findings.push(unreachable(&cause)),
            Ok(()) => {}
        }
    }
    let mut worst = State::Ok;
    for finding in &findings {
        worst = worst.max(finding.state);
        output.data(&finding.to_string(), finding)?;
    }
    Ok(if worst == State::Problem { Exit::Failed } else { Exit::Done })
}

fn unreachable(cause: &Failure) -> Finding {
    let what_to_do = cause.advice(Language::En).unwrap_or("see whether the process runs, then its log");
    Finding { finding: "connect", state: State::Problem, detail: cause.to_string(), what_to_do }
}

fn finding(name: &'static str, state: State, detail: String, what_to_do: &'static str) -> Finding {
    Finding { finding: name, state, detail, what_to_do }
}

async fn look_at_broker(broker: &BrokerAddress, findings: &mut Vec<Finding>) -> Result<(), Failure> {
    let mut client = broker.connect().await?;
    let asked = clock::now();
    let health = client.get_broker_health(pb::GetBrokerHealthRequest {}).await.map_err(|status| broker.failure(&status))?.into_inner();
    let up = age_millis(&health.started_at, &health.now).unwrap_or(0);
    findings.push(finding("connect", State::Ok, format!("{}, up for {}", broker.url, measure::millis(up)), ""));
    findings.push(release(&health.release));
    findings.push(ready(&health.checks));
    findings.push(skew(asked, &health.now));
    findings.push(log(&health, broker)?);
    let lag = health.decided_position.saturating_sub(health.durable_position);
    let state = if lag > DURABLE_LAG_WARNING { State::Warning } else { State::Ok };
    findings.push(finding(
        "journal.lag",
        state,
        format!("{lag} entries wait for the disk"),
        "look at the disk: latency, other writers, health",
    ));
    findings.push(views(&health));
    findings.push(disk(health.disk_free_bytes, health.disk_bytes));
    findings.push(certificate("certificate.tls", &health.tls_not_after, &health.now));
    findings.push(own_certificate(broker)?);
    findings.push(backup(&health.last_backup_at, &health.now));
    let (queues, now) = queues::read(&mut client, broker, "").await?;
    findings.push(waiting(&queues, &now));
    let (agencies, now) = agencies::read(&mut client, broker).await?;
    findings.push(edges(&agencies, &now));
    findings.push(seals(&agencies, &now));
    Ok(())
}

async fn look_at_edge(edge: &EdgeAddress, findings: &mut Vec<Finding>) -> Result<(), Failure> {
    let mut client = EdgeAdminServiceClient::new(edge.channel().await?);
    let asked = clock::now();
    let health = client.get_edge_health(pb::GetEdgeHealthRequest {}).await.map_err(|status| edge.failure(&status))?.into_inner();
    findings.push(finding("connect", State::Ok, format!("the edge of {} at {}", health.agency, edge.url), ""));
    findings.push(release(&health.release));
    findings.push(ready(&health.checks));
    findings.push(skew(asked, &health.now));
    let (state, detail) = if health.connected {
        (State::Ok, format!("connected in edge term {}, {} leaves of the log verified", health.edge_term, health.observed_log_size))
    } else {
        (State::Problem, "not connected to the axis; documents are kept and sent later".to_owned())
    };
    findings.push(finding(
        "axis.connection",
        state,
        detail,
        "see the edge's log: line, broker address, certificate, or another edge of the agency",
    ));
    let age = age_millis(&health.oldest_waiting_at, &health.now).unwrap_or(0);
    let state = if age > NORMAL_WARNING_MILLIS { State::Warning } else { State::Ok };
    let detail = format!("{} documents have not reached the axis, the oldest for {}", health.documents_waiting, measure::millis(age));
    findings.push(finding("outbox.age", state, detail, "see axis.connection, and the edge's log for refusals that repeat"));
    findings.push(finding(
        "receipts.waiting",
        State::Ok,
        format!("{} sealed receipts are not in the log yet", health.receipts_waiting),
        "",
    ));
    findings.push(disk(health.disk_free_bytes, health.disk_bytes));
    findings.push(certificate("certificate.seal", &health.seal_not_after, &health.now));
    findings.push(certificate("certificate.tls", &health.tls_not_after, &health.now));
    findings.push(backup(&health.last_backup_at, &health.now));
    Ok(())
}

/// What the process finds of itself. One that has just started has not looked at everything yet; that is no fault.
fn ready(checks: &[pb::Check]) -> Finding {
    let required = || checks.iter().filter(|check| check.required);
    let named = |state: &str| required().filter(|check| check.state == state).map(|check| check.name.as_str()).collect::<Vec<_>>();
    let failing: Vec<_> =
        required().filter(|check| check.state == "failing").map(|check| format!("{}: {}", check.name, check.message)).collect();
    if !failing.is_empty() {
        let reason = required().find(|check| check.state == "failing").and_then(|check| check.reason.parse::<Reason>().ok());
        return finding("ready", State::Problem, failing.join("; "), reason.map_or("see its log for the reason", |reason| reason.advice()));
    }
    let detail = match named("waiting").as_slice() {
        [] => format!("{} pass", named("passing").join(", ")),
        waiting => format!("it has just started: {} not looked at yet", waiting.join(", ")),
    };
    finding("ready", State::Ok, detail, "")
}

fn release(found: &str) -> Finding {
    let own = env!("CARGO_PKG_VERSION");
    let state = if found == own { State::Ok } else { State::Warning };
    finding("release", state, format!("it runs {found}, this command is {own}"), "use the command of the release that runs")
}

fn skew(asked: Timestamp, now: &str) -> Finding {
    let told: Option<Timestamp> = now.parse().ok();
    let apart = told.map_or(u64::MAX, |told| told.millis_since(clock::now()).max(asked.millis_since(told)));
    let state = match apart {
        0..=1_000 => State::Ok,
        apart if apart <= CLOCK_SKEW_MILLIS_MAX / 2 => State::Warning,
        _ => State::Problem,
    };
    let detail = format!("its clock and that of this machine are {} apart", measure::millis(apart));
    finding("clock.skew", state, detail, "synchronise both clocks with the axis (Decision 28/2018 art. 14.4)")
}

fn log(health: &pb::GetBrokerHealthResponse, broker: &BrokerAddress) -> Result<Finding, Failure> {
    let opened = checkpoint::open(health.checkpoint.as_bytes(), &broker.log_key()?);
    Ok(match opened {
        Ok(checkpoint) => {
            finding("log.checkpoint", State::Ok, format!("{} leaves, root {}, signature verified", checkpoint.size, checkpoint.root), "")
        }
        Err(cause) => {
            let what_to_do = "the broker signs with another key than log.vkey names: see which of the two is wrong before anything else";
            finding("log.checkpoint", State::Problem, cause.to_string(), what_to_do)
        }
    })
}

fn views(health: &pb::GetBrokerHealthResponse) -> Finding {
    let lag = health.durable_position.saturating_sub(health.views_position);
    let state = match lag {
        _ if health.views_broken => State::Warning,
        lag if lag > VIEW_LAG_ENTRIES_MAX / 2 => State::Warning,
        _ => State::Ok,
    };
    let broken = if health.views_broken { "; they cannot be written and are rebuilt at the next start" } else { "" };
    finding(
        "views.lag",
        state,
        format!("{lag} entries behind the journal{broken}"),
        "look at the disk; nothing is lost, the next start takes longer",
    )
}

fn disk(free: u64, all: u64) -> Finding {
    let percent = free.saturating_mul(100).checked_div(all);
    let state = match percent {
        Some(percent) if percent < DISK_PROBLEM_PERCENT => State::Problem,
        Some(percent) if percent >= DISK_WARNING_PERCENT => State::Ok,
        _ => State::Warning,
    };
    let detail = format!("{} of {} free ({} %)", measure::bytes(free), measure::bytes(all), percent.unwrap_or(0));
    finding("disk.space", state, detail, "make room or move the data folder to a larger disk: a full disk ends the process")
}

fn certificate(name: &'static str, not_after: &str, now: &str) -> Finding {
    let times: Option<(Timestamp, Timestamp)> = not_after.parse().ok().zip(now.parse().ok());
    let Some((not_after, now)) = times else {
        return finding(
            name,
            State::Warning,
            "when it ends cannot be read".to_owned(),
            "look at the certificate with `openssl x509 -text`",
        );
    };
    let left = not_after.millis_since(now);
    let state = match left {
        0..=CERTIFICATE_PROBLEM_MILLIS => State::Problem,
        left if left <= CERTIFICATE_WARNING_MILLIS => State::Warning,
        _ => State::Ok,
    };
    let detail = if left == 0 { format!("ended at {not_after}") } else { format!("ends in {}, at {not_after}", measure::millis(left)) };
    finding(name, state, detail, "renew it: without a valid certificate nobody connects or seals")
}

fn own_certificate(broker: &BrokerAddress) -> Result<Finding, Failure> {
    let pem = crate::pki::read_text(&broker.pki.join("operator.tls.cert.pem"))?;
    let not_after = Certificate::from_pem(&pem).map(|certificate| certificate.not_after().to_string()).unwrap_or_default();
    Ok(certificate("certificate.admin", &not_after, &clock::now().to_string()))
}

fn backup(at: &str, now: &str) -> Finding {
    let (state, detail) = match age_millis(at, now) {
        None => (State::Warning, "no backup of this data folder is known".to_owned()),
        Some(age) => {
            let state = match age {
                age if age > BACKUP_PROBLEM_MILLIS => State::Problem,
                age if age > BACKUP_WARNING_MILLIS => State::Warning,
                _ => State::Ok,
            };
            (state, format!("the last one began {} ago", measure::millis(age)))
        }
    };
    finding("backup.age", state, detail, "run `truc admin backup`, and `truc admin drill` on what it made (docs/backup.md)")
}

fn waiting(queues: &[pb::Queue], now: &str) -> Finding {
    let late = |lane: &pb::QueueLane| {
        let limit = if lane.lane == "normal" { NORMAL_WARNING_MILLIS } else { URGENT_WARNING_MILLIS };
        age_millis(&lane.oldest_at, now).is_some_and(|age| age > limit)
    };
    let late: Vec<String> = queues
        .iter()
        .flat_map(|queue| {
            queue.lanes.iter().filter(|lane| late(lane)).map(move |lane| format!("{} ({}, {})", queue.agency, lane.lane, lane.waiting))
        })
        .collect();
    let total: u64 = queues.iter().map(|queue| queue.waiting).sum();
    let (state, detail) = if late.is_empty() {
        (State::Ok, format!("{total} deliveries wait, none for too long"))
    } else {
        (State::Warning, format!("too long for their urgency: {}", named(&late)))
    };
    finding("queues.age", state, detail, "call the agency: its edge is away or does not take documents; `truc admin queues` shows which")
}

fn edges(agencies: &[pb::AgencyDetails], now: &str) -> Finding {
    let away: Vec<String> = agencies
        .iter()
        .filter(|agency| !agency.away_since.is_empty())
        .map(|agency| format!("{} ({})", agency.code, super::remote::age(&agency.away_since, now)))
        .collect();
    let state = if away.is_empty() { State::Ok } else { State::Warning };
    let detail = if away.is_empty() {
        format!("all {} edges are connected", agencies.len())
    } else {
        format!("{} of {} are away: {}", away.len(), agencies.len(), named(&away))
    };
    finding("edges.away", state, detail, "their documents wait and are not lost; call the agency if it stays so")
}

fn seals(agencies: &[pb::AgencyDetails], now: &str) -> Finding {
    let state_of = |agency: &pb::AgencyDetails| match agencies::newest_key(agency) {
        Some(key) => certificate("certificate.seals", &key.not_after, now).state,
        None => State::Problem,
    };
    let bad: Vec<(State, String)> =
        agencies.iter().map(|agency| (state_of(agency), agency.code.clone())).filter(|(state, _)| *state != State::Ok).collect();
    let worst = bad.iter().map(|(state, _)| *state).max().unwrap_or(State::Ok);
    let codes: Vec<String> = bad.into_iter().map(|(_, code)| code).collect();
    let detail = if codes.is_empty() {
        "every agency has a seal certificate with more than a month left".to_owned()
    } else {
        format!("end soon, have ended or were never there: {}", named(&codes))
    };
    finding("certificate.seals", worst, detail, "have these agencies renew their seal certificates")
}

fn named(names: &[String]) -> String {
    let more = if names.len() > NAMED_MAX { ", …" } else { "" };
    format!("{}{more}", names.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-06-01T00:00:00.000Z";

    #[test]
    fn each_threshold_is_seen_on_both_sides() {
        let certificate = |not_after: &str| certificate("certificate.tls", not_after, NOW).state;
        assert_eq!(certificate("2026-09-01T00:00:00.000Z"), State::Ok);
        assert_eq!(certificate("2026-06-20T00:00:00.000Z"), State::Warning);
        assert_eq!(certificate("2026-06-03T00:00:00.000Z"), State::Problem);
        assert_eq!(certificate("2026-05-01T00:00:00.000Z"), State::Problem);
        assert_eq!(certificate(""), State::Warning);
        assert_eq!([50, 19, 4].map(|free| disk(free, 100).state), [State::Ok, State::Warning, State::Problem]);
        assert_eq!(disk(0, 0).state, State::Warning);
        let backup = |at: &str| backup(at, NOW).state;
        assert_eq!(backup("2026-05-31T00:00:00.000Z"), State::Ok);
        assert_eq!(backup("2026-05-29T00:00:00.000Z"), State::Warning);
        assert_eq!(backup("2026-05-01T00:00:00.000Z"), State::Problem);
        assert_eq!(backup(""), State::Warning);
    }

    #[test]
    fn an_urgent_document_is_late_long_before_a_normal_one() {
        let queue = |lane: &str, oldest_at: &str| pb::Queue {
            agency: "G12".to_owned(),
            waiting: 1,
            lanes: vec![pb::QueueLane { lane: lane.to_owned(), waiting: 1, oldest_at: oldest_at.to_owned() }],
            ..pb::Queue::default()
        };
        let an_hour_ago = "2026-05-31T23:00:00.000Z";
        assert_eq!(waiting(&[queue("normal", an_hour_ago)], NOW).state, State::Ok);
        assert_eq!(waiting(&[queue("flash", an_hour_ago)], NOW).state, State::Warning);
        assert_eq!(waiting(&[queue("normal", "2026-05-30T00:00:00.000Z")], NOW).state, State::Warning);
    }
}
