//! Whether a document can go to whom it names, as far as the directory says: asked by an edge before it takes the attachments. Not admission: the broker
//! checks the same again with the registry of the moment.

use std::collections::HashSet;

use truc_core::check_published_limits;
use truc_core::registry::Registry;
use truc_signing::statement::Envelope;
use truc_types::names::ENVELOPE_V1;
use truc_types::{Reason, Refusal};

use crate::look_up::unknown;

/// Checks limits, sender and recipients. An empty registry (this edge has never reached the axis) refuses nothing.
///
/// # Errors
/// The first thing that the axis would refuse, with the wrong value; for an unknown recipient with the codes near to it.
pub fn check_sendable(registry: &Registry, envelope: &Envelope) -> Result<(), Refusal> {
    let Some(genesis) = registry.genesis() else { return Ok(()) };
    check_published_limits(&genesis.limits, envelope)?;
    let (sender, agency) = (&envelope.sender.organisation, &envelope.sender.agency);
    // An agency that has not joined yet may wait with its documents.
    if let Some(own) = registry.agency_index(agency)
        && registry.organisation(sender).is_none_or(|(_, organisation)| organisation.served_by != own)
    {
        let message = format!("{agency} does not serve {sender}");
        return Err(Refusal::new(Reason::SenderUnknown, message).with("sender", sender).with("agency", agency));
    }
    let mut seen = HashSet::with_capacity(envelope.recipients.len());
    for code in &envelope.recipients {
        let (own, organisation) = registry.organisation(code).ok_or_else(|| unknown(registry, code))?;
        if registry.axis_agency() == Some(organisation.served_by) {
            return Err(unknown(registry, code));
        }
        if !seen.insert(own) {
            return Err(Refusal::new(Reason::RecipientTwice, format!("{code} is named twice")).with("recipient", code));
        }
        let serving = registry.agency(organisation.served_by).ok_or_else(|| unknown(registry, code))?;
        if !serving.predicates.iter().any(|predicate| predicate == ENVELOPE_V1) {
            let message = format!("{code} cannot receive yet: the edge of {} does not read {ENVELOPE_V1}", serving.code);
            return Err(Refusal::new(Reason::RecipientCannotRead, message).with("recipient", code).with("agency", &serving.code));
        }
    }
    Ok(())
}
