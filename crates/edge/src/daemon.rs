//! The command line of a running edge, for `truc edge run` and `truc-edge` alike.

use std::net::SocketAddr;
use std::path::PathBuf;

use truc_transport::daemon::{announce, password};
use truc_transport::logging::{self, LogFormat};
use truc_transport::shutdown::Shutdown;
use truc_types::{Reason, Refusal};

/// Runs an edge on a data folder that `truc edge init` made.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The data folder.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Loopback address and port where the DMS connects; port 0 takes a free one. Overrules edge.json.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Address of the broker, https://host:port. Overrules edge.json.
    #[arg(long, value_name = "URL")]
    pub broker: Option<String>,
    /// File with the password of the key files; without it TRUC_KEY_PASSWORD is read.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Take over although another edge of this agency is connected; that one stops.
    #[arg(long)]
    pub take_over: bool,
    /// Log lines as JSON.
    #[arg(long)]
    pub log_json: bool,
    /// Print the ready line as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Runs until SIGTERM, SIGINT or a failure. Prints one line with the address to standard output once the DMS can connect.
///
/// # Errors
/// Why it could not start, or why it had to end.
pub fn run(args: &RunArgs) -> Result<(), Refusal> {
    logging::start(if args.log_json { LogFormat::Json } else { LogFormat::Human }, "info");
    if !args.data.join("edge.json").is_file() {
        let data = args.data.display();
        return Err(Refusal::new(Reason::ConfigInvalid, format!("{data} holds no edge: `truc edge init` makes one")));
    }
    let password = password(args.password_file.as_deref())?;
    let refusal = |cause: crate::EdgeError| cause.to_refusal();
    let mut config = crate::load(&args.data, &password).map_err(refusal)?;
    config.listen = args.listen.unwrap_or(config.listen);
    config.take_over = args.take_over;
    if let Some(broker) = &args.broker {
        config.broker = crate::config::parse_broker(broker).map_err(refusal)?;
    }
    let failed = |cause: std::io::Error| Refusal::new(Reason::ConfigInvalid, format!("cannot start: {cause}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    let json = args.json;
    runtime.block_on(async move {
        let shutdown = Shutdown::on_signals().map_err(failed)?;
        crate::run(config, shutdown, |address| announce(address, json)).await.map_err(refusal)
    })
}
