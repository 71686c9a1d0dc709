//! The edges of a bench: data folders of real ones, all of them in one process (`truc edge host`), or the same folders opened as light edges, which have
//! no journal. Not what is sent through them.

use std::net::SocketAddr;
use std::time::Duration;

use truc_edge::EdgeConfig;
use truc_proto::admin::v1::GetEdgeHealthRequest;
use truc_proto::admin::v1::edge_admin_service_client::EdgeAdminServiceClient;
use truc_types::AgencyCode;

use super::axis::{Agency, Axis};
use crate::commands::remote::{Client, EdgeAddress};
use crate::failure::Failure;
use crate::local::Process;
use crate::local::usage::{self, Usage};

/// Time for an edge to reach the axis: twice the longest pause between its tries.
const REACHED: Duration = Duration::from_secs(60);
/// Pause between two looks at whether it has.
const LOOK: Duration = Duration::from_millis(100);

/// Real edges in one process.
pub(super) struct Edges {
    process: Process,
    /// Agency and address of each.
    addresses: Vec<(AgencyCode, SocketAddr)>,
}

/// Makes the data folders of all agencies' edges.
pub(super) fn make(axis: &Axis) -> Result<(), Failure> {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    axis.agencies.iter().try_for_each(|agency| axis.layout.make_edge(&agency.code, axis.broker, listen, &axis.password))
}

/// What the edge of an agency runs with.
pub(super) fn open(axis: &Axis, agency: &AgencyCode) -> Result<EdgeConfig, Failure> {
    let config = truc_edge::load(&axis.layout.edge(agency), axis.password.as_bytes());
    let config = config.map_err(|cause| Failure::Refused(cause.to_refusal()))?;
    let log = config.log.clone().beside(&axis.trusted_log);
    Ok(EdgeConfig { log, ..config })
}

impl Edges {
    /// Starts those of some agencies and waits until each serves its DMS.
    pub(super) fn start(axis: &Axis, agencies: &[Agency]) -> Result<Self, Failure> {
        let folders: Vec<_> = agencies.iter().map(|agency| axis.layout.edge(&agency.code)).collect();
        let (process, ready) = Process::start(&["edge", "host"], &folders, &axis.log_file("edges"), &axis.password, folders.len())?;
        let address = |agency: &AgencyCode| {
            let found = ready.iter().find(|(name, _)| name == agency.as_str()).map(|(_, address)| (agency.clone(), *address));
            found.ok_or_else(|| Failure::BadAnswer(format!("the edge of {agency} did not say where it listens")))
        };
        let addresses = agencies.iter().map(|agency| address(&agency.code)).collect::<Result<_, _>>()?;
        Ok(Self { process, addresses })
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// What their process used so far.
    pub(super) fn usage(&self) -> Result<Usage, Failure> {
        usage::of(self.id())
    }

    /// A connection to each, as document-management systems have it, once all of them know the whole registry.
    pub(super) async fn connect(&self) -> Result<Vec<(AgencyCode, Client)>, Failure> {
        let mut clients = Vec::with_capacity(self.addresses.len());
        for (agency, address) in &self.addresses {
            let edge = EdgeAddress { url: format!("http://{address}"), ..EdgeAddress::default() };
            let away = |_| Failure::Ended(format!("the edge of {agency} did not reach the axis within {} s", REACHED.as_secs()));
            tokio::time::timeout(REACHED, reached(&edge)).await.map_err(away)??;
            clients.push((agency.clone(), edge.connect().await?));
        }
        Ok(clients)
    }
}

/// Asks an edge until it is connected to the axis: it has read the registry before.
async fn reached(edge: &EdgeAddress) -> Result<(), Failure> {
    let mut client = EdgeAdminServiceClient::new(edge.channel().await?);
    loop {
        let health = client.get_edge_health(GetEdgeHealthRequest {}).await.map_err(|status| edge.failure(&status))?;
        if health.into_inner().connected {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}
