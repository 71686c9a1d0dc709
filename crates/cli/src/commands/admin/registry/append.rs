//! `truc admin registry append`: hands sealed registry statements to the running broker and checks the proof that they are in its log.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use truc_ledger::checkpoint;
use truc_proto::admin::v1 as pb;
use truc_proto::broker::v1::LoggedEntry;
use truc_types::limits::STATEMENT_FILE_BYTES_MAX;

use crate::commands::admin::remote::BrokerAddress;
use crate::commands::admin::trace::verify;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Append sealed registry statements, in the order given. Stops at the first that is refused; what was appended before is in the log and counts as
/// done when the same call is made again. Connected edges read and verify each at once.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Files that `truc admin registry seal` made.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    broker: BrokerAddress,
}

#[derive(serde::Serialize)]
struct Appended<'a> {
    file: &'a Path,
    version: u64,
    leaf: u64,
    repeated: bool,
}

pub(super) async fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let statements = arguments.files.iter().map(|path| read(path).map_err(|cause| Failure::file(path, cause)));
    let statements: Vec<Vec<u8>> = statements.collect::<Result<_, _>>()?;
    let key = arguments.broker.log_key()?;
    let mut client = arguments.broker.connect().await?;
    for (file, statement) in arguments.files.iter().zip(statements) {
        let request = pb::AppendRegistryStatementRequest { statement: statement.clone().into() };
        let answer = client.append_registry_statement(request).await.map_err(|status| arguments.broker.failure(&status))?.into_inner();
        let invalid = |cause: String| Failure::BadAnswer(format!("a proof for {} that does not hold: {cause}", file.display()));
        let logged = answer.statement.ok_or_else(|| invalid("there is none".to_owned()))?;
        let signed = checkpoint::open(answer.checkpoint.as_bytes(), &key).map_err(|cause| invalid(cause.to_string()))?;
        let (version, leaf, repeated) = (answer.registry_version, logged.leaf, answer.repeated);
        verify(&LoggedEntry { entry: statement.into(), ..logged }, signed.size, &signed.root).map_err(invalid)?;
        let was = if repeated { "was in the log" } else { "appended" };
        let text = format!("version {version}  leaf {leaf}  {was}  {}", file.display());
        output.data(&text, &Appended { file, version, leaf, repeated })?;
    }
    Ok(Exit::Done)
}

/// One byte more than a statement may have: the broker says that it is too large.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(STATEMENT_FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
