//! Who is on the axis: agencies, organisations, keys and limits, as the registry statements in the log say. A deterministic view of them.

use std::collections::HashMap;
use std::ops::Bound;

use truc_signing::statement::{self as st, RegistryEvent, SignerRole};
use truc_signing::{Certificate, CertificateError, KeyRing, Owner, TrustedKey};
use truc_types::names::AXIS_AGENCY_KIND;
use truc_types::{AgencyCode, Date, OrganisationCode, Position};

use crate::apply::ApplyError;
use crate::chunked::ChunkedMap;

/// Index of an agency in the registry: given in the order of joining, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgencyIndex(pub u16);

/// An agency: runs an edge, owns keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agency {
    /// Code of the new scheme.
    pub code: AgencyCode,
    /// Code of the old scheme.
    pub old_code: Option<OrganisationCode>,
    /// Vietnamese name.
    pub name_vi: String,
    /// English name.
    pub name_en: Option<String>,
    /// `ministry`, `province`, …
    pub kind: String,
    /// How certain the code is: `confirmed`, or what else the operator's source says.
    pub code_status: String,
    /// Predicate types that the agency's edge reads.
    pub predicates: Vec<String>,
}

impl Agency {
    /// Whether public sources confirm the code. Every other one is shown with a mark: nobody may take it for an official code.
    #[must_use]
    pub fn is_code_official(&self) -> bool {
        self.code_status == "confirmed"
    }
}

/// An addressable unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organisation {
    /// The agency whose edge serves it.
    pub served_by: AgencyIndex,
    /// Name.
    pub name: Option<Box<str>>,
    /// Code of the old scheme.
    pub old_code: Option<OrganisationCode>,
    /// The organisation above it.
    pub parent: Option<OrganisationCode>,
    /// First and last day of validity, where they are known.
    pub valid: (Option<Date>, Option<Date>),
    /// Who takes over after that. Carried and served; documents are not forwarded yet.
    pub successors: Box<[OrganisationCode]>,
    /// Version of the registry that brought it.
    pub added_in: u64,
    /// Version of the registry that changed it last.
    pub changed_in: u64,
}

/// The registry as of a position of the log. Cloning shares the organisations: the sequencer changes it while others read the one before.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    version: u64,
    genesis: Option<st::Genesis>,
    agencies: Vec<Agency>,
    by_code: HashMap<AgencyCode, AgencyIndex>,
    organisations: ChunkedMap<OrganisationCode, Organisation>,
    /// Old codes, by which organisations are still addressed.
    aliases: ChunkedMap<OrganisationCode, OrganisationCode>,
    /// Each organisation under the version that changed it last: what a reader of version n lacks is the range above n.
    changes: ChunkedMap<(u64, Option<OrganisationCode>), ()>,
    keys: KeyRing,
    entries: Vec<Position>,
    /// The agency that the axis itself is, as an organisation: it stands in no list.
    axis_agency: Option<(OrganisationCode, Organisation)>,
}

impl Registry {
    /// Version of the newest registry statement; 0 before the first.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The first statement: name of the axis, log, authority, limits.
    #[must_use]
    pub const fn genesis(&self) -> Option<&st::Genesis> {
        self.genesis.as_ref()
    }

    /// The agencies in the order of joining.
    #[must_use]
    pub fn agencies(&self) -> &[Agency] {
        &self.agencies
    }

    /// The organisations by code, agencies included.
    #[must_use]
    pub const fn organisations(&self) -> &ChunkedMap<OrganisationCode, Organisation> {
        &self.organisations
    }

    /// The old codes, each with the code that it stands for.
    #[must_use]
    pub const fn aliases(&self) -> &ChunkedMap<OrganisationCode, OrganisationCode> {
        &self.aliases
    }

    /// The organisations that changed after a place, by the version of their last change: each once, as it is now. A reader that asks again from the
    /// place of the last one misses nothing, whatever changes in between: a change moves an organisation towards the end.
    pub fn changes_after<'a>(
        &'a self,
        after: &(u64, Option<OrganisationCode>),
    ) -> impl Iterator<Item = (&'a OrganisationCode, &'a Organisation)> + use<'a> {
        let (version, code) = after;
        // Without a code all of that version are known; no entry has none, and none sorts first.
        let from = if code.is_some() { after.clone() } else { (version.saturating_add(1), None) };
        let later = self.changes.range(Bound::Excluded(&from));
        later.filter_map(|((_, code), ())| self.organisations.get(code.as_ref()?))
    }

    /// The index of an agency.
    #[must_use]
    pub fn agency_index(&self, code: &AgencyCode) -> Option<AgencyIndex> {
        self.by_code.get(code).copied()
    }

    /// The agency that the axis itself is, for the loopback message of readiness. Nobody else may address it, and lists for people leave it out.
    #[must_use]
    pub fn axis_agency(&self) -> Option<AgencyIndex> {
        self.axis_agency.as_ref().map(|(_, organisation)| organisation.served_by)
    }

    /// The agency of an index.
    #[must_use]
    pub fn agency(&self, index: AgencyIndex) -> Option<&Agency> {
        self.agencies.get(usize::from(index.0))
    }

    /// The organisation that a code of either scheme names, under its own code. A code that is somebody's own is never read as an old one.
    #[must_use]
    pub fn organisation(&self, code: &OrganisationCode) -> Option<(&OrganisationCode, &Organisation)> {
        let listed = self.organisations.get(code).or_else(|| self.organisations.get(self.aliases.get(code)?.1));
        let own = || self.axis_agency.as_ref().filter(|(own, _)| own == code).map(|(own, organisation)| (own, organisation));
        listed.or_else(own)
    }

    /// The seal keys of all agencies.
    #[must_use]
    pub const fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// The key that registry statements are sealed with, as genesis names it; `None` before genesis.
    ///
    /// # Errors
    /// When the certificate in genesis is none.
    pub fn operator_key(&self) -> Option<Result<TrustedKey, CertificateError>> {
        let genesis = self.genesis.as_ref()?;
        Some(Certificate::from_pem(&genesis.operator_pem).map(|certificate| certificate.trusted_key(SignerRole::Operator)))
    }

    /// Positions of the registry statements in the log.
    #[must_use]
    pub fn entries(&self) -> &[Position] {
        &self.entries
    }

    /// Applies a registry statement.
    ///
    /// # Errors
    /// When the statement does not follow from the ones before it: that is damage or an operator's mistake, never a submitter's. The registry is then
    /// unusable: keep a clone where that matters.
    pub fn apply(&mut self, position: Position, statement: &st::Registry) -> Result<(), ApplyError> {
        if statement.version != self.version + 1 {
            return Err(ApplyError::RegistryVersion { position, expected: self.version + 1, found: statement.version });
        }
        match &statement.event {
            RegistryEvent::Genesis(genesis) => self.genesis = Some((**genesis).clone()),
            RegistryEvent::AgencyJoined(joined) => self.join(position, statement.version, joined)?,
            RegistryEvent::OrganisationsAdded(added) => {
                for organisation in added {
                    self.add_organisation(position, statement.version, organisation)?;
                }
            }
            RegistryEvent::CertificateAdded(added) => self.add_certificate(position, added)?,
            RegistryEvent::CertificateRevoked(revoked) => {
                // A mistyped key id would leave the key trusted that the operator meant.
                if !self.keys.revoke(&revoked.keyid, revoked.at) {
                    return Err(ApplyError::RegistryContent { position, cause: format!("key {} was never added", revoked.keyid) });
                }
            }
        }
        self.version = statement.version;
        self.entries.push(position);
        Ok(())
    }

    /// Adds an agency, or replaces the entry of one that is there: under the index that it has, with the keys that it has.
    fn join(&mut self, position: Position, version: u64, joined: &st::AgencyJoined) -> Result<(), ApplyError> {
        let content = |cause: String| ApplyError::RegistryContent { position, cause };
        let is_axis = joined.kind == AXIS_AGENCY_KIND;
        let known = self.agency_index(&joined.agency);
        if is_axis && self.axis_agency.is_some() {
            return Err(content(format!("{} is a second agency of the axis", joined.agency)));
        }
        // Its documents and messages are those of an agency; and what the axis itself is stands for the life of the log.
        if known.is_some_and(|known| is_axis || self.axis_agency() == Some(known)) {
            return Err(content(format!("{} changes between an agency and the axis itself", joined.agency)));
        }
        let next = u16::try_from(self.agencies.len()).map(AgencyIndex);
        let index = known.map_or(next, Ok).map_err(|_| content("more than 65,536 agencies".to_owned()))?;
        let old_code = joined.old_code.as_ref().map(OrganisationCode::from);
        let code = OrganisationCode::from(&joined.agency);
        let organisation = Organisation {
            served_by: index,
            name: Some(joined.name_vi.as_str().into()),
            old_code: old_code.clone(),
            parent: None,
            valid: (joined.valid_from, None),
            successors: Box::default(),
            added_in: version,
            changed_in: version,
        };
        if is_axis {
            self.axis_agency = Some((code, organisation));
        } else {
            self.put(code, version, organisation);
        }
        let agency = Agency {
            code: joined.agency.clone(),
            old_code,
            name_vi: joined.name_vi.clone(),
            name_en: joined.name_en.clone(),
            kind: joined.kind.clone(),
            code_status: joined.code_status.clone(),
            predicates: joined.predicates.clone(),
        };
        match self.agencies.get_mut(usize::from(index.0)) {
            Some(entry) => *entry = agency,
            None => {
                self.by_code.insert(joined.agency.clone(), index);
                self.agencies.push(agency);
            }
        }
        Ok(())
    }

    fn add_certificate(&mut self, position: Position, added: &st::CertificateAdded) -> Result<(), ApplyError> {
        let content = |cause: String| ApplyError::RegistryContent { position, cause };
        if !self.by_code.contains_key(&added.agency) {
            return Err(content(format!("the certificate is of {}, which has not joined", added.agency)));
        }
        let certificate = Certificate::from_der(&added.certificate).map_err(|cause| content(cause.to_string()))?;
        if certificate.owner != Owner::Agency(added.agency.clone()) {
            return Err(content(format!("the certificate of {} names {}", added.agency, certificate.owner.urn())));
        }
        self.keys.add(certificate.trusted_key(added.role));
        Ok(())
    }

    fn add_organisation(&mut self, position: Position, version: u64, added: &st::Organisation) -> Result<(), ApplyError> {
        let content = |cause: String| ApplyError::RegistryContent { position, cause };
        let served_by = self.agency_index(&added.served_by);
        let served_by =
            served_by.ok_or_else(|| content(format!("{} is served by {}, which has not joined", added.code, added.served_by)))?;
        if self.axis_agency.as_ref().is_some_and(|(axis, organisation)| *axis == added.code || organisation.served_by == served_by) {
            return Err(content(format!("{} is the axis itself or served by it", added.code)));
        }
        let organisation = Organisation {
            served_by,
            name: added.name.as_deref().map(Box::from),
            old_code: added.old_code.clone(),
            parent: added.parent.clone(),
            valid: (added.valid_from, added.valid_until),
            successors: added.successors.iter().cloned().collect(),
            added_in: version,
            changed_in: version,
        };
        self.put(added.code.clone(), version, organisation);
        Ok(())
    }

    /// Adds an organisation or replaces its entry.
    fn put(&mut self, code: OrganisationCode, version: u64, mut organisation: Organisation) {
        let known = self.organisations.get(&code).map(|(code, known)| (code.clone(), known.added_in, known.changed_in));
        let code = match known {
            Some((code, added_in, changed_in)) => {
                organisation.added_in = added_in;
                self.changes.remove(&(changed_in, Some(code.clone())));
                code
            }
            None => code,
        };
        if let Some(old) = &organisation.old_code {
            self.aliases.insert(old.clone(), code.clone());
        }
        self.changes.insert((version, Some(code.clone())), ());
        self.organisations.insert(code, organisation);
    }
}
