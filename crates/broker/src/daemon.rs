//! The command line of a running broker, for `truc broker run` and `truc-broker` alike.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use truc_transport::daemon::{announce, password};
use truc_transport::logging::{self, LogFormat};
use truc_transport::shutdown::Shutdown;
use truc_types::{Reason, Refusal};

/// Runs a broker on a data folder that `truc broker init` made.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The data folder.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Address and port where edges connect; port 0 takes a free one. Overrules broker.json.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// File with the password of the key files; without it TRUC_KEY_PASSWORD is read.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Log lines as JSON.
    #[arg(long)]
    pub log_json: bool,
    /// Print the ready line as JSON.
    #[arg(long)]
    pub json: bool,
    /// For benches: every block takes so many milliseconds longer to be durable, like a slower disk.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    pub sync_delay_ms: u64,
}

/// Runs until SIGTERM, SIGINT or a failure. Prints one line with the address to standard output once edges can connect.
///
/// # Errors
/// Why it could not start, or why it had to end.
pub fn run(args: &RunArgs) -> Result<(), Refusal> {
    logging::start(if args.log_json { LogFormat::Json } else { LogFormat::Human }, "info");
    if !args.data.join("broker.json").is_file() {
        let data = args.data.display();
        return Err(Refusal::new(Reason::ConfigInvalid, format!("{data} holds no broker: `truc broker init` makes one")));
    }
    let password = password(args.password_file.as_deref())?;
    let mut config = crate::load(&args.data, &password, args.listen)?;
    config.sync_delay = Duration::from_millis(args.sync_delay_ms);
    let failed = |cause: std::io::Error| Refusal::new(Reason::ConfigInvalid, format!("cannot start: {cause}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    let json = args.json;
    let ended = runtime.block_on(async move {
        let shutdown = Shutdown::on_signals().map_err(failed)?;
        crate::run(config, shutdown, |address| announce(address, json)).await
    });
    // Not dropped: that would wait for a thread that a dead disk holds.
    runtime.shutdown_background();
    ended
}
