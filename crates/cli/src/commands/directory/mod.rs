//! `truc directory`: the directory as an edge has verified it; the axis may be away.

pub mod changes;
pub mod find;
pub mod list;

use clap::Subcommand;
use truc_proto::directory::v1 as pb;

use crate::failure::{Exit, Failure};
use crate::language::Language;
use crate::output::Output;

/// What to ask the directory.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List agencies, or organisations by agency, name or code; first the axis and its limits.
    List(list::Arguments),
    /// Tell what a code of either scheme means.
    Find(find::Arguments),
    /// List what changed since a version.
    Changes(changes::Arguments),
}

pub(super) async fn run(command: Command, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        Command::List(arguments) => list::run(&arguments, output).await,
        Command::Find(arguments) => find::run(&arguments, output).await,
        Command::Changes(arguments) => changes::run(&arguments, output).await,
    }
}

fn agency_text(agency: &pb::Agency, language: Language) -> String {
    // What stands beside a code that no public source confirms.
    let not_official = language.choose("not an official code", "mã chưa chính thức");
    let mark = if agency.code_is_official { String::new() } else { format!("  [{not_official}: {}]", agency.code_status) };
    format!("{:<8} {:<16} {}{mark}", agency.code, agency.old_code, agency.name_vi)
}

fn agency_object(agency: &pb::Agency) -> serde_json::Value {
    serde_json::json!({
        "code": agency.code,
        "old_code": agency.old_code,
        "name_vi": agency.name_vi,
        "name_en": agency.name_en,
        "kind": agency.kind,
        "code_status": agency.code_status,
        "code_is_official": agency.code_is_official,
        "predicates": agency.predicates,
    })
}

fn organisation_text(organisation: &pb::Organisation, language: Language) -> String {
    let (until, successors) = (language.choose("until", "đến hết"), language.choose("successors", "kế thừa"));
    let ended = match (organisation.valid_until.as_str(), organisation.successors.as_slice()) {
        ("", _) => String::new(),
        (day, []) => format!("  [{until} {day}]"),
        (day, codes) => format!("  [{until} {day}, {successors} {}]", codes.join(", ")),
    };
    let pb::Organisation { code, old_code, served_by, name, .. } = organisation;
    format!("{code:<16} {old_code:<16} {served_by:<6} {name}{ended}")
}

fn organisation_object(organisation: &pb::Organisation) -> serde_json::Value {
    serde_json::json!({
        "code": organisation.code,
        "old_code": organisation.old_code,
        "name": organisation.name,
        "served_by": organisation.served_by,
        "parent": organisation.parent,
        "valid_from": organisation.valid_from,
        "valid_until": organisation.valid_until,
        "successors": organisation.successors,
        "changed_in": organisation.changed_in,
    })
}
