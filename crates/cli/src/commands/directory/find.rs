//! `truc directory find`: what a code of either scheme means.

use clap::Args;
use truc_proto::directory::v1::CodeScheme;
use truc_proto::edge::v1 as pb;

use super::{agency_object, agency_text, organisation_object, organisation_text};
use crate::commands::remote::EdgeAddress;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Tell what a code of either scheme means. An unknown one ends with exit code 1 and codes like it.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A code, as H53.13 or 000.00.13.H53.
    #[arg(value_name = "CODE")]
    pub code: String,
    #[command(flatten)]
    pub(crate) edge: EdgeAddress,
}

pub(super) async fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let request = pb::LookUpCodeRequest { code: arguments.code.clone() };
    let found = arguments.edge.directory().await?.look_up_code(request).await.map_err(|status| arguments.edge.failure(&status))?;
    let found = found.into_inner();
    let scheme = if found.scheme() == CodeScheme::Old { "old" } else { "own" };
    let (organisation, agency) = (found.organisation.unwrap_or_default(), found.agency.unwrap_or_default());
    let object = serde_json::json!({
        "organisation": organisation_object(&organisation),
        "agency": agency_object(&agency),
        "scheme": scheme,
        "registry_version": found.registry_version,
    });
    let language = output.language();
    let served_by = language.choose("served by", "do nút biên của");
    let text = format!("{}\n  {served_by} {}", organisation_text(&organisation, language), agency_text(&agency, language));
    output.data(&text, &object)?;
    Ok(Exit::Done)
}
