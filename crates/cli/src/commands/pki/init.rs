//! `truc pki init`: a new development PKI.

use std::path::PathBuf;

use clap::Args;
use truc_transport::{clock, daemon};

use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::pki;

/// Make a certificate authority, the operator's and the broker's certificates and the key of the log. For development only.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Folder to make them in; nothing in it is overwritten.
    pub folder: PathBuf,
    /// Name of the axis, for people.
    #[arg(long, value_name = "NAME", default_value = "Truc")]
    pub axis: String,
    /// File with the password for the private keys; without it TRUC_KEY_PASSWORD is read.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let password = daemon::password(arguments.password_file.as_deref()).map_err(Failure::Refused)?;
    let made = pki::init(&arguments.folder, &arguments.axis, &password, clock::now())?;
    output.talk(&format!("made the authority, operator, broker and log keys in {}", made.folder.display()));
    output.data(&made.log_vkey, &made)?;
    Ok(Exit::Done)
}
