//! `truc directory list`: the axis with its limits and agencies, or the organisations that a filter lets through.

use clap::Args;
use truc_proto::edge::v1 as pb;

use super::{agency_object, agency_text, organisation_object, organisation_text};
use crate::commands::remote::EdgeAddress;
use crate::failure::{Exit, Failure};
use crate::language::Language;
use crate::measure;
use crate::output::Output;

/// List agencies; with a filter, organisations.
#[derive(Debug, Args)]
pub struct Arguments {
    /// List the organisations that this agency serves.
    #[arg(long, value_name = "CODE")]
    pub served_by: Option<String>,
    /// List the organisations with this text in name or code; case and diacritics do not matter.
    #[arg(long, value_name = "TEXT")]
    pub query: Option<String>,
    /// List all organisations.
    #[arg(long)]
    pub organisations: bool,
    #[command(flatten)]
    pub(crate) edge: EdgeAddress,
}

pub(super) async fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    if arguments.organisations || arguments.served_by.is_some() || arguments.query.is_some() {
        organisations(arguments, output).await
    } else {
        agencies(arguments, output).await
    }
}

async fn agencies(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let mut directory = arguments.edge.directory().await?;
    let failed = |status: tonic::Status| arguments.edge.failure(&status);
    let axis = directory.get_axis(pb::GetAxisRequest {}).await.map_err(failed)?.into_inner();
    let version = axis.registry_version;
    let axis = axis.axis.unwrap_or_default();
    let limits = axis.limits.unwrap_or_default();
    let language = output.language();
    let (name, log, each) = (&axis.name, &axis.log_origin, measure::bytes(limits.attachment_bytes));
    let counts = [
        language.count(axis.agencies, "agency", "agencies", "cơ quan"),
        language.count(axis.organisations, "organisation", "organisations", "đơn vị"),
        language.count(limits.attachments, "attachment", "attachments", "tệp đính kèm"),
        language.count(limits.recipients, "recipient", "recipients", "nơi nhận"),
    ];
    let [agencies, organisations, attachments, recipients] = counts;
    let text = match language {
        Language::En => {
            format!("{name}: log {log}, version {version}, {agencies}, {organisations}\n  at most {attachments} of {each}, {recipients}")
        }
        Language::Vi => format!(
            "{name}: nhật ký {log}, phiên bản {version}, {agencies}, {organisations}\n  tối đa {attachments}, mỗi tệp {each}, {recipients}"
        ),
    };
    let object = serde_json::json!({
        "axis": axis.name,
        "log_origin": axis.log_origin,
        "log_vkey": axis.log_vkey,
        "registry_version": version,
        "agencies": axis.agencies,
        "organisations": axis.organisations,
        "limits": {
            "attachment_bytes": limits.attachment_bytes,
            "attachments": limits.attachments,
            "recipients": limits.recipients,
            "statement_bytes": limits.statement_bytes,
            "receipt_items": limits.receipt_items,
            "envelope_age_days": limits.envelope_age_days,
        },
        "predicates": axis.predicates,
    });
    output.data(&text, &object)?;
    let mut request = pb::ListAgenciesRequest::default();
    loop {
        let page = directory.list_agencies(request.clone()).await.map_err(failed)?.into_inner();
        for agency in &page.agencies {
            output.data(&agency_text(agency, language), &agency_object(agency))?;
        }
        if page.next_page_token.is_empty() {
            return Ok(Exit::Done);
        }
        request.page_token = page.next_page_token;
    }
}

async fn organisations(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let mut directory = arguments.edge.directory().await?;
    let mut request = pb::ListOrganisationsRequest {
        served_by: arguments.served_by.clone().unwrap_or_default(),
        query: arguments.query.clone().unwrap_or_default(),
        ..pb::ListOrganisationsRequest::default()
    };
    loop {
        let page = directory.list_organisations(request.clone()).await.map_err(|status| arguments.edge.failure(&status))?.into_inner();
        for organisation in &page.organisations {
            output.data(&organisation_text(organisation, output.language()), &organisation_object(organisation))?;
        }
        if page.next_page_token.is_empty() {
            return Ok(Exit::Done);
        }
        request.page_token = page.next_page_token;
    }
}
