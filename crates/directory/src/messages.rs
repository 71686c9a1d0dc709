//! Values of the registry as messages of `truc.directory.v1`. Nothing is decided here.

use truc_core::registry::{Agency, Organisation, Registry};
use truc_proto::directory::v1 as pb;
use truc_types::{Date, OrganisationCode};

/// The axis, as genesis says; `None` before genesis is known.
#[must_use]
pub fn axis(registry: &Registry) -> Option<pb::Axis> {
    let genesis = registry.genesis()?;
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    Some(pb::Axis {
        name: genesis.axis_name.clone(),
        log_origin: genesis.log_origin.clone(),
        log_vkey: genesis.log_vkey.clone(),
        limits: Some(pb::PublishedLimits {
            attachment_bytes: genesis.limits.attachment_bytes,
            attachments: genesis.limits.attachments,
            recipients: genesis.limits.recipients,
            statement_bytes: genesis.limits.statement_bytes,
            receipt_items: genesis.limits.receipt_items,
            envelope_age_days: genesis.limits.envelope_age_days,
        }),
        predicates: genesis.predicates.clone(),
        agencies: count(registry.agencies().len() - usize::from(registry.axis_agency().is_some())),
        organisations: count(registry.organisations().len()),
    })
}

pub(crate) fn agency(agency: &Agency) -> pb::Agency {
    pb::Agency {
        code: agency.code.to_string(),
        old_code: optional(agency.old_code.as_ref()),
        name_vi: agency.name_vi.clone(),
        name_en: agency.name_en.clone().unwrap_or_default(),
        code_status: agency.code_status.clone(),
        code_is_official: agency.is_code_official(),
        kind: agency.kind.clone(),
        predicates: agency.predicates.clone(),
    }
}

pub(crate) fn organisation(registry: &Registry, code: &OrganisationCode, organisation: &Organisation) -> pb::Organisation {
    let date = |date: Option<Date>| date.map(|date| date.to_string()).unwrap_or_default();
    pb::Organisation {
        code: code.to_string(),
        served_by: registry.agency(organisation.served_by).map(|agency| agency.code.to_string()).unwrap_or_default(),
        name: organisation.name.as_deref().unwrap_or_default().to_owned(),
        old_code: optional(organisation.old_code.as_ref()),
        parent: optional(organisation.parent.as_ref()),
        valid_from: date(organisation.valid.0),
        valid_until: date(organisation.valid.1),
        successors: organisation.successors.iter().map(ToString::to_string).collect(),
        changed_in: organisation.changed_in,
    }
}

pub(crate) fn change(registry: &Registry, from_version: u64, code: &OrganisationCode, entry: &Organisation) -> pb::Change {
    let kind = match entry.valid.1 {
        Some(_) => pb::change::Kind::Removed,
        None if entry.added_in > from_version => pb::change::Kind::Added,
        None => pb::change::Kind::Changed,
    };
    let own = registry.agency(entry.served_by).filter(|agency| agency.code.as_str() == code.as_str());
    pb::Change { kind: kind.into(), organisation: Some(organisation(registry, code, entry)), agency: own.map(agency) }
}

fn optional(code: Option<&OrganisationCode>) -> String {
    code.map(ToString::to_string).unwrap_or_default()
}
