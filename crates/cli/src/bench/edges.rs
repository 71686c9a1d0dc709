//! The edges of a bench: data folders of real ones, all of them in one process (`truc edge host`), or the same folders opened as light edges, which have
//! no journal. Not what is sent through them.

use std::net::SocketAddr;

use truc_edge::EdgeConfig;
use truc_types::AgencyCode;

use super::axis::{Agency, Axis};
use crate::commands::remote::{Client, EdgeAddress};
use crate::failure::Failure;
use crate::local::Process;
use crate::local::usage::{self, Usage};

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
    truc_edge::load(&axis.layout.edge(agency), axis.password.as_bytes()).map_err(|cause| Failure::Refused(cause.to_refusal()))
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

    /// A connection to each, as document-management systems have it.
    pub(super) async fn connect(&self) -> Result<Vec<(AgencyCode, Client)>, Failure> {
        let mut clients = Vec::with_capacity(self.addresses.len());
        for (agency, address) in &self.addresses {
            let client = EdgeAddress { url: format!("http://{address}"), ..EdgeAddress::default() }.connect().await?;
            clients.push((agency.clone(), client));
        }
        Ok(clients)
    }
}
