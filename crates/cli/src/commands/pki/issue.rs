//! `truc pki issue`: certificates for one agency.

use std::path::PathBuf;

use clap::Args;
use truc_transport::{clock, daemon};
use truc_types::AgencyCode;

use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::pki;

/// Make the seal and the TLS certificate of an agency, with their keys, under `agencies/<CODE>` of the PKI folder.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Folder that `truc pki init` made.
    pub folder: PathBuf,
    /// Codes of the agencies.
    #[arg(required = true)]
    pub agencies: Vec<AgencyCode>,
    /// File with the password of the private keys; without it TRUC_KEY_PASSWORD is read.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let password = daemon::password(arguments.password_file.as_deref()).map_err(Failure::Refused)?;
    let authority = pki::DevelopmentAuthority::open(&arguments.folder, &password)?;
    for agency in &arguments.agencies {
        let made = authority.issue(agency, &password, clock::now())?;
        output.data(&format!("{} {}", made.agency, made.folder.display()), &made)?;
    }
    Ok(Exit::Done)
}
