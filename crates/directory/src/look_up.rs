//! What a code means: the organisation that has it in either scheme, or codes like it. What a code means is never computed from its groups.

use truc_core::registry::Registry;
use truc_proto::directory::v1 as pb;
use truc_types::{OrganisationCode, Reason, Refusal};

use crate::{messages, near};

/// What a code means.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The organisation.
    pub organisation: pb::Organisation,
    /// The agency that serves it.
    pub agency: pb::Agency,
    /// Under which of its codes it was found.
    pub scheme: pb::CodeScheme,
}

/// Looks a code of either scheme up. A code that is somebody's own is never read as an old one.
///
/// # Errors
/// [`Reason::RequestInvalid`] for a text that is no code, [`Reason::RecipientUnknown`] for a code that nobody has, with codes like it.
pub fn look_up(registry: &Registry, text: &str) -> Result<Found, Refusal> {
    let invalid = |cause: truc_types::CodeError| Refusal::new(Reason::RequestInvalid, format!("code {text:.60?}: {cause}"));
    let code: OrganisationCode = text.trim().parse().map_err(invalid)?;
    let (own, organisation) = registry.organisation(&code).ok_or_else(|| unknown(registry, &code))?;
    if registry.axis_agency() == Some(organisation.served_by) {
        return Err(unknown(registry, &code));
    }
    let agency = registry.agency(organisation.served_by).ok_or_else(|| unknown(registry, &code))?;
    let scheme = if *own == code { pb::CodeScheme::Own } else { pb::CodeScheme::Old };
    Ok(Found { organisation: messages::organisation(registry, own, organisation), agency: messages::agency(agency), scheme })
}

/// Nobody has the code: who may have been meant.
pub(crate) fn unknown(registry: &Registry, code: &OrganisationCode) -> Refusal {
    let near: Vec<String> = near(registry, code).iter().map(ToString::to_string).collect();
    let mut message = format!("no organisation has the code {code}");
    if !near.is_empty() {
        message = format!("{message}; like it are {}", near.join(", "));
    }
    Refusal::new(Reason::RecipientUnknown, message).with("recipient", code).with("near", near.join(","))
}
