//! The driver with real edges: document-management systems hand in over gRPC, each with a fixed number of documents on their way.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::Instant;
use truc_types::AgencyCode;

use super::{Arguments, PATIENCE, Run, WARM_UP, partner};
use crate::bench::dms::{Dms, Register, Span, Stage};
use crate::bench::edges::Edges;
use crate::bench::figures::defect;
use crate::bench::stock::ATTACHMENT;
use crate::failure::Failure;

pub(super) async fn run(arguments: &Arguments, edges: &Edges) -> Result<Run, Failure> {
    let clients = edges.connect().await?;
    let from = Instant::now() + WARM_UP;
    let span = Span { from, to: from + Duration::from_secs(u64::from(arguments.seconds)) };
    let register = Arc::new(Register::new(span, usize::from(arguments.in_flight))?);
    let systems: Vec<Dms> = clients.into_iter().map(|(agency, client)| Dms::new(agency, client, Arc::clone(&register))).collect();
    let mut attending = JoinSet::new();
    systems.iter().for_each(|dms| dms.attend(&mut attending));
    tokio::select! {
        run = load(arguments, &systems, &register, span.to) => run,
        Some(ended) = attending.join_next() => Err(ended.map_or_else(|cause| defect(&cause.to_string()), |ended| match ended {
            Err(cause) => cause,
            Ok(()) => defect("a document-management system ended"),
        })),
    }
}

async fn load(arguments: &Arguments, systems: &[Dms], register: &Arc<Register>, end: Instant) -> Result<Run, Failure> {
    let mut sending: JoinSet<Result<(), Failure>> = JoinSet::new();
    let (mut turn, partners) = (0, usize::from(arguments.partners));
    let recipient = |own: usize, turn: usize| systems.get(partner(own, turn, partners, systems.len())).map(|dms| dms.agency.clone());
    while let Ok(Ok(place)) = tokio::time::timeout_at(end, register.places.acquire()).await {
        place.forget();
        let own = turn % systems.len().max(1);
        let (Some(dms), Some(recipient)) = (systems.get(own), recipient(own, turn / systems.len().max(1))) else { break };
        turn += 1;
        sending.spawn(hand_in(dms.clone(), Arc::clone(register), recipient));
        while let Some(sent) = sending.try_join_next() {
            sent.map_err(|cause| defect(&cause.to_string()))??;
        }
    }
    while let Some(sent) = sending.join_next().await {
        sent.map_err(|cause| defect(&cause.to_string()))??;
    }
    register.all_returned(register.count(), PATIENCE).await?;
    let latencies = register.latencies(Stage::Returned)?;
    let documents_per_second = register.rate(Stage::Returned);
    Ok(Run { documents_per_second, latencies, verified: register.count(), documents_per_receipt: None })
}

async fn hand_in(dms: Dms, register: Arc<Register>, recipient: AgencyCode) -> Result<(), Failure> {
    let number = register.begin(Instant::now());
    dms.send(number, recipient, Bytes::from_static(ATTACHMENT)).await
}
