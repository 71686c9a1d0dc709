//! Who is on the axis: agencies, organisations, keys and limits, as the registry statements in the log say. A deterministic view of them.

use std::collections::{BTreeMap, HashMap};

use truc_signing::statement::{self as st, RegistryEvent};
use truc_signing::{Certificate, KeyRing, Owner};
use truc_types::{AgencyCode, OrganisationCode, Position};

use crate::apply::ApplyError;

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
    /// How certain the code is.
    pub code_status: String,
    /// Predicate types that the agency's edge reads.
    pub predicates: Vec<String>,
}

/// An addressable unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organisation {
    /// The agency whose edge serves it.
    pub served_by: AgencyIndex,
    /// Name.
    pub name: Option<String>,
}

/// The registry as of a position of the log.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    version: u64,
    genesis: Option<st::Genesis>,
    agencies: Vec<Agency>,
    by_code: HashMap<AgencyCode, AgencyIndex>,
    organisations: BTreeMap<OrganisationCode, Organisation>,
    /// Old codes, by which organisations are still addressed.
    aliases: HashMap<OrganisationCode, OrganisationCode>,
    keys: KeyRing,
    entries: Vec<Position>,
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
    pub const fn organisations(&self) -> &BTreeMap<OrganisationCode, Organisation> {
        &self.organisations
    }

    /// The index of an agency.
    #[must_use]
    pub fn agency_index(&self, code: &AgencyCode) -> Option<AgencyIndex> {
        self.by_code.get(code).copied()
    }

    /// The agency of an index.
    #[must_use]
    pub fn agency(&self, index: AgencyIndex) -> Option<&Agency> {
        self.agencies.get(usize::from(index.0))
    }

    /// The organisation that a code of either scheme names, under its own code. A code that is somebody's own is never read as an old one.
    #[must_use]
    pub fn organisation(&self, code: &OrganisationCode) -> Option<(&OrganisationCode, &Organisation)> {
        self.organisations.get_key_value(code).or_else(|| self.organisations.get_key_value(self.aliases.get(code)?))
    }

    /// The same code, sharing its text with the registry where that has it: open messages name few codes many times.
    pub(crate) fn spelling(&self, code: OrganisationCode) -> OrganisationCode {
        let own = self.organisations.get_key_value(&code).map(|(own, _)| own);
        own.or_else(|| self.aliases.get_key_value(&code).map(|(old, _)| old)).cloned().unwrap_or(code)
    }

    /// The seal keys of all agencies.
    #[must_use]
    pub const fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// Positions of the registry statements in the log.
    #[must_use]
    pub fn entries(&self) -> &[Position] {
        &self.entries
    }

    /// Applies a registry statement.
    ///
    /// # Errors
    /// When the statement does not follow from the ones before it: that is damage or an operator's mistake, never a submitter's.
    pub(crate) fn apply(&mut self, position: Position, statement: &st::Registry) -> Result<(), ApplyError> {
        if statement.version != self.version + 1 {
            return Err(ApplyError::RegistryVersion { position, expected: self.version + 1, found: statement.version });
        }
        match &statement.event {
            RegistryEvent::Genesis(genesis) => self.genesis = Some((**genesis).clone()),
            RegistryEvent::AgencyJoined(joined) => self.join(position, joined)?,
            RegistryEvent::OrganisationsAdded(added) => {
                for organisation in added {
                    self.add_organisation(position, organisation)?;
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

    fn join(&mut self, position: Position, joined: &st::AgencyJoined) -> Result<(), ApplyError> {
        if self.by_code.contains_key(&joined.agency) {
            return Err(ApplyError::RegistryContent { position, cause: format!("agency {} joined twice", joined.agency) });
        }
        let index = u16::try_from(self.agencies.len())
            .map(AgencyIndex)
            .map_err(|_| ApplyError::RegistryContent { position, cause: "more than 65,536 agencies".to_owned() })?;
        self.by_code.insert(joined.agency.clone(), index);
        let code = OrganisationCode::from(&joined.agency);
        self.organisations.insert(code.clone(), Organisation { served_by: index, name: Some(joined.name_vi.clone()) });
        if let Some(old) = &joined.old_code {
            self.aliases.insert(OrganisationCode::from(old), code);
        }
        self.agencies.push(Agency {
            code: joined.agency.clone(),
            old_code: joined.old_code.as_ref().map(OrganisationCode::from),
            name_vi: joined.name_vi.clone(),
            name_en: joined.name_en.clone(),
            code_status: joined.code_status.clone(),
            predicates: joined.predicates.clone(),
        });
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

    fn add_organisation(&mut self, position: Position, added: &st::Organisation) -> Result<(), ApplyError> {
        let served_by = self.agency_index(&added.served_by).ok_or_else(|| ApplyError::RegistryContent {
            position,
            cause: format!("{} is served by {}, which has not joined", added.code, added.served_by),
        })?;
        if let Some(old) = &added.old_code {
            self.aliases.insert(old.clone(), added.code.clone());
        }
        self.organisations.insert(added.code.clone(), Organisation { served_by, name: added.name.clone() });
        Ok(())
    }
}
