//! `truc directory changes`: what changed since a version, for whoever keeps a copy.

use clap::Args;
use truc_proto::directory::v1::change::Kind;
use truc_proto::edge::v1 as pb;

use super::{organisation_object, organisation_text};
use crate::commands::remote::EdgeAddress;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// List what changed since a version; the last line is the version to ask from next time.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The version that is known; 0 for everything.
    #[arg(long, value_name = "VERSION", default_value_t = 0)]
    pub from: u64,
    #[command(flatten)]
    pub(crate) edge: EdgeAddress,
}

pub(super) async fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let mut directory = arguments.edge.directory().await?;
    let mut request = pb::ListDirectoryChangesRequest { from_version: arguments.from, ..pb::ListDirectoryChangesRequest::default() };
    loop {
        let page = directory.list_directory_changes(request.clone()).await.map_err(|status| arguments.edge.failure(&status))?.into_inner();
        for change in &page.changes {
            let organisation = change.organisation.clone().unwrap_or_default();
            let kind = match change.kind() {
                Kind::Added => "added",
                Kind::Changed => "changed",
                Kind::Removed => "removed",
                Kind::Unspecified => "unknown",
            };
            let object = serde_json::json!({ "kind": kind, "organisation": organisation_object(&organisation) });
            let language = output.language();
            let word = match change.kind() {
                Kind::Added => language.choose(kind, "thêm"),
                Kind::Changed => language.choose(kind, "sửa"),
                Kind::Removed => language.choose(kind, "bỏ"),
                Kind::Unspecified => language.choose(kind, "chưa rõ"),
            };
            output.data(&format!("{word:<8} {}", organisation_text(&organisation, language)), &object)?;
        }
        if page.next_page_token.is_empty() {
            let object = serde_json::json!({ "registry_version": page.registry_version });
            let version = output.language().choose("version", "phiên bản");
            output.data(&format!("{version:<8} {}", page.registry_version), &object)?;
            return Ok(Exit::Done);
        }
        request.page_token = page.next_page_token;
    }
}
