//! registry/v1: directory, certificates and policy, sealed by the operator. Every statement makes the next registry version.
//!
//! Not the registry itself: the core builds that from these statements.

use truc_types::limits::{
    CERTIFICATE_BYTES_MAX, CERTIFICATE_CHAIN_BYTES_MAX, DOC_CODE_BYTES_MAX, DOC_NAME_BYTES_MAX, ORGANISATION_NAME_BYTES_MAX,
    ORGANISATIONS_PER_STATEMENT_MAX, ORIGIN_BYTES_MAX, PREDICATES_MAX, REASON_CODE_BYTES_MAX, SUCCESSORS_MAX,
};
use truc_types::names::REGISTRY_V1;
use truc_types::{AgencyCode, Date, Digest, OrganisationCode, Timestamp};

use super::parts::{RequiredSigner, SignerRole, Subject, base64_bytes, first_repeated, required_signers, text_enum, word};
use super::{StatementError, USUAL_BYTES, expect_subject, named_subject, parse_as, write_statement};
use crate::json::{FromJson, Object, Path, Value};
use crate::write::{ToJson, Writer};

text_enum! {
    /// Spelling of the events.
    RegistryEventName {
        /// [`Genesis`].
        Genesis = "genesis",
        /// [`AgencyJoined`].
        AgencyJoined = "agency_joined",
        /// A list of [`Organisation`].
        OrganisationsAdded = "organisations_added",
        /// [`CertificateAdded`].
        CertificateAdded = "certificate_added",
        /// [`CertificateRevoked`].
        CertificateRevoked = "certificate_revoked",
    }
}

/// The limits of the axis as it publishes them; an edge checks documents against them before it uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublishedLimits {
    /// Bytes of one attachment.
    pub attachment_bytes: u64,
    /// Attachments of one envelope.
    pub attachments: u64,
    /// Codes of one envelope: recipients, update and replacement lists together.
    pub recipients: u64,
    /// Bytes of one DSSE file.
    pub statement_bytes: u64,
    /// Items of one receipt.
    pub receipt_items: u64,
    /// Age of `created_at` in days above which an envelope is refused.
    pub envelope_age_days: u64,
}

/// The first statement of an axis: from it everything else is judged.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Genesis {
    /// Name of the axis, for display.
    pub axis_name: String,
    /// Origin of the first log shard.
    pub log_origin: String,
    /// C2SP verifier key of the log.
    pub log_vkey: String,
    /// Certificates of the authority, PEM, root first.
    pub ca_pem: String,
    /// Key id of the operator.
    pub operator_keyid: Digest,
    /// Certificate of the operator, PEM.
    pub operator_pem: String,
    /// Published limits.
    pub limits: PublishedLimits,
    /// Reserved `doc.type.name` of the signed readiness loopback.
    pub loopback_kind: String,
    /// Predicate types this axis carries.
    pub predicates: Vec<String>,
}

/// An agency that runs an edge.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AgencyJoined {
    /// Its code.
    pub agency: AgencyCode,
    /// Its code in the old scheme.
    pub old_code: Option<AgencyCode>,
    /// Vietnamese name.
    pub name_vi: String,
    /// English name.
    pub name_en: Option<String>,
    /// Kind: `ministry`, `province`, …; a lower-case word.
    pub kind: String,
    /// How sure the code is: `confirmed`, …; a lower-case word.
    pub code_status: String,
    /// First day of validity.
    pub valid_from: Option<Date>,
    /// Predicate types its edge reads.
    pub predicates: Vec<String>,
}

/// An addressable unit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Organisation {
    /// Its code.
    pub code: OrganisationCode,
    /// Its code in the old scheme.
    pub old_code: Option<OrganisationCode>,
    /// Its name.
    pub name: Option<String>,
    /// The agency whose edge serves it.
    pub served_by: AgencyCode,
    /// The organisation above it.
    pub parent: Option<OrganisationCode>,
    /// First day of validity.
    pub valid_from: Option<Date>,
    /// Last day of validity.
    pub valid_until: Option<Date>,
    /// Who takes over after that.
    pub successors: Vec<OrganisationCode>,
}

/// A certificate of an agency.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CertificateAdded {
    /// Whose it is.
    pub agency: AgencyCode,
    /// What it may sign as: `seal` or `approver`.
    pub role: SignerRole,
    /// The certificate, DER.
    pub certificate: Vec<u8>,
}

/// A key that counts no longer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CertificateRevoked {
    /// The key.
    pub keyid: Digest,
    /// From when it is revoked.
    pub at: Timestamp,
    /// Why: a lower-case word of RFC 5280 section 5.3.1 (`key_compromise`, `superseded`, …).
    pub reason: String,
    /// Since when the key may have been compromised, if that is known and earlier.
    pub invalidity_date: Option<Timestamp>,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RegistryEvent {
    /// The axis begins. Version 1, and only that.
    Genesis(Box<Genesis>),
    /// An agency joined, or its entry is replaced.
    AgencyJoined(AgencyJoined),
    /// Organisations were added, or their entries are replaced; 1 to 40, each code once.
    OrganisationsAdded(Vec<Organisation>),
    /// A certificate was added.
    CertificateAdded(CertificateAdded),
    /// A key was revoked.
    CertificateRevoked(CertificateRevoked),
}

/// One change of the registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Registry {
    /// The version this statement makes, from 1 without gaps.
    pub version: u64,
    /// When the operator sealed it.
    pub at: Timestamp,
    /// What changed.
    pub event: RegistryEvent,
    /// Whose signatures must be on the file: the operator's.
    pub required_signers: Vec<RequiredSigner>,
}

impl Registry {
    /// The payload bytes; nothing is checked: parse before sealing.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        write_statement(REGISTRY_V1, USUAL_BYTES, &[named_subject(subject_name(self.version))], |w| {
            w.field("version", &self.version);
            w.field("at", &self.at);
            w.field("event", &self.event.name());
            match &self.event {
                RegistryEvent::Genesis(event) => w.field("genesis", event.as_ref()),
                RegistryEvent::AgencyJoined(event) => w.field("agency_joined", event),
                RegistryEvent::OrganisationsAdded(organisations) => w.list("organisations_added", organisations),
                RegistryEvent::CertificateAdded(event) => w.field("certificate_added", event),
                RegistryEvent::CertificateRevoked(event) => w.field("certificate_revoked", event),
            }
            w.list("required_signers", &self.required_signers);
        })
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// The first fault, with its path.
    pub fn parse(payload: &[u8]) -> Result<Self, StatementError> {
        parse_as(payload, REGISTRY_V1, Self::read)
    }

    pub(super) fn read(subjects: Vec<Subject>, value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        let mut object = Object::new(value, path)?;
        let version = object.required("version")?;
        expect_subject(subjects, &subject_name(version))?;
        let at = object.required("at")?;
        let event = match object.required("event")? {
            RegistryEventName::Genesis => RegistryEvent::Genesis(Box::new(object.required("genesis")?)),
            RegistryEventName::AgencyJoined => RegistryEvent::AgencyJoined(object.required("agency_joined")?),
            RegistryEventName::OrganisationsAdded => RegistryEvent::OrganisationsAdded(organisations(&mut object)?),
            RegistryEventName::CertificateAdded => RegistryEvent::CertificateAdded(object.required("certificate_added")?),
            RegistryEventName::CertificateRevoked => RegistryEvent::CertificateRevoked(object.required("certificate_revoked")?),
        };
        let registry = Self { version, at, event, required_signers: required_signers(&mut object)? };
        object.finish()?;
        match (version, matches!(registry.event, RegistryEvent::Genesis(_))) {
            (0, _) => Err(StatementError::IntegerTooSmall { path: path.key("version").to_string(), found: 0, limit: 1 }),
            (1, false) | (2.., true) => Err(StatementError::ForbiddenHere {
                path: path.key("event").to_string(),
                because: "version 1 and only version 1 is genesis",
            }),
            _ => Ok(registry),
        }
    }
}

impl RegistryEvent {
    /// Spelling of the event.
    #[must_use]
    pub const fn name(&self) -> RegistryEventName {
        match self {
            Self::Genesis(_) => RegistryEventName::Genesis,
            Self::AgencyJoined(_) => RegistryEventName::AgencyJoined,
            Self::OrganisationsAdded(_) => RegistryEventName::OrganisationsAdded,
            Self::CertificateAdded(_) => RegistryEventName::CertificateAdded,
            Self::CertificateRevoked(_) => RegistryEventName::CertificateRevoked,
        }
    }
}

fn subject_name(version: u64) -> String {
    format!("registry/{version}")
}

fn organisations(object: &mut Object<'_, '_>) -> Result<Vec<Organisation>, StatementError> {
    let organisations: Vec<Organisation> = object.required_list("organisations_added", ORGANISATIONS_PER_STATEMENT_MAX)?;
    match first_repeated(organisations.iter().map(|organisation| &organisation.code)) {
        None => Ok(organisations),
        Some(code) => Err(StatementError::Repeated { path: "predicate.organisations_added".into(), found: code.to_string() }),
    }
}

impl FromJson for PublishedLimits {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        let mut object = Object::new(value, path)?;
        let limits = Self {
            attachment_bytes: object.required("attachment_bytes")?,
            attachments: object.required("attachments")?,
            recipients: object.required("recipients")?,
            statement_bytes: object.required("statement_bytes")?,
            receipt_items: object.required("receipt_items")?,
            envelope_age_days: object.required("envelope_age_days")?,
        };
        object.finish()?;
        Ok(limits)
    }
}

impl ToJson for PublishedLimits {
    fn write(&self, writer: &mut Writer) {
        writer.object(|w| {
            w.field("attachment_bytes", &self.attachment_bytes);
            w.field("attachments", &self.attachments);
            w.field("recipients", &self.recipients);
            w.field("statement_bytes", &self.statement_bytes);
            w.field("receipt_items", &self.receipt_items);
            w.field("envelope_age_days", &self.envelope_age_days);
        });
    }
}

impl FromJson for Genesis {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        let mut object = Object::new(value, path)?;
        let genesis = Self {
            axis_name: object.text("axis_name", ORGANISATION_NAME_BYTES_MAX)?,
            log_origin: object.text("log_origin", ORIGIN_BYTES_MAX)?,
            log_vkey: object.text("log_vkey", ORIGIN_BYTES_MAX + 80)?,
            ca_pem: object.text("ca_pem", CERTIFICATE_CHAIN_BYTES_MAX)?,
            operator_keyid: object.required("operator_keyid")?,
            operator_pem: object.text("operator_pem", CERTIFICATE_BYTES_MAX)?,
            limits: object.required("limits")?,
            loopback_kind: object.text("loopback_kind", DOC_NAME_BYTES_MAX)?,
            predicates: predicates(&mut object)?,
        };
        object.finish()?;
        Ok(genesis)
    }
}

impl ToJson for Genesis {
    fn write(&self, writer: &mut Writer) {
        writer.object(|w| {
            w.field("axis_name", &self.axis_name);
            w.field("log_origin", &self.log_origin);
            w.field("log_vkey", &self.log_vkey);
            w.field("ca_pem", &self.ca_pem);
            w.field("operator_keyid", &self.operator_keyid);
            w.field("operator_pem", &self.operator_pem);
            w.field("limits", &self.limits);
            w.field("loopback_kind", &self.loopback_kind);
            w.list_if_any("predicates", &self.predicates);
        });
    }
}

fn predicates(object: &mut Object<'_, '_>) -> Result<Vec<String>, StatementError> {
    object.texts("predicates", PREDICATES_MAX, DOC_CODE_BYTES_MAX, PREDICATES_MAX * DOC_CODE_BYTES_MAX)
}

impl FromJson for AgencyJoined {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        let mut object = Object::new(value, path)?;
        let agency = Self {
            agency: object.required("agency")?,
            old_code: object.optional("old_code")?,
            name_vi: object.text("name_vi", ORGANISATION_NAME_BYTES_MAX)?,
            name_en: object.optional_text("name_en", ORGANISATION_NAME_BYTES_MAX)?,
            kind: word(&mut object, "kind", path, REASON_CODE_BYTES_MAX)?,
            code_status: word(&mut object, "code_status", path, REASON_CODE_BYTES_MAX)?,
            valid_from: object.optional("valid_from")?,
            predicates: predicates(&mut object)?,
        };
        object.finish()?;
        Ok(agency)
    }
}

impl ToJson for AgencyJoined {
    fn write(&self, writer: &mut Writer) {
        writer.object(|w| {
            w.field("agency", &self.agency);
            w.optional("old_code", self.old_code.as_ref());
            w.field("name_vi", &self.name_vi);
            w.optional("name_en", self.name_en.as_ref());
            w.field("kind", &self.kind);
            w.field("code_status", &self.code_status);
            w.optional("valid_from", self.valid_from.as_ref());
            w.list_if_any("predicates", &self.predicates);
        });
    }
}

impl FromJson for Organisation {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        let mut object = Object::new(value, path)?;
        let organisation = Self {
            code: object.required("code")?,
            old_code: object.optional("old_code")?,
            name: object.optional_text("name", ORGANISATION_NAME_BYTES_MAX)?,
            served_by: object.required("served_by")?,
            parent: object.optional("parent")?,
            valid_from: object.optional("valid_from")?,
            valid_until: object.optional("valid_until")?,
            successors: object.list("successors", SUCCESSORS_MAX)?,
        };
        object.finish()?;
        Ok(organisation)
    }
}

impl ToJson for Organisation {
    fn write(&self, writer: &mut Writer) {
        writer.object(|w| {
            w.field("code", &self.code);
            w.optional("old_code", self.old_code.as_ref());
            w.optional("name", self.name.as_ref());
            w.field("served_by", &self.served_by);
            w.optional("parent", self.parent.as_ref());
            w.optional("valid_from", self.valid_from.as_ref());
            w.optional("valid_until", self.valid_until.as_ref());
            w.list_if_any("successors", &self.successors);
        });
    }
}

impl FromJson for CertificateAdded {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        let mut object = Object::new(value, path)?;
        let added = Self {
            agency: object.required("agency")?,
            role: object.required("role")?,
            certificate: base64_bytes(&mut object, "certificate", path, CERTIFICATE_BYTES_MAX)?,
        };
        object.finish()?;
        if added.role == SignerRole::Operator {
            let because = "the operator's certificate stands in genesis";
            return Err(StatementError::ForbiddenHere { path: path.key("role").to_string(), because });
        }
        Ok(added)
    }
}

impl ToJson for CertificateAdded {
    fn write(&self, writer: &mut Writer) {
        writer.object(|w| {
            w.field("agency", &self.agency);
            w.field("role", &self.role);
            w.field("certificate", self.certificate.as_slice());
        });
    }
}

impl FromJson for CertificateRevoked {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        let mut object = Object::new(value, path)?;
        let revoked = Self {
            keyid: object.required("keyid")?,
            at: object.required("at")?,
            reason: word(&mut object, "reason", path, REASON_CODE_BYTES_MAX)?,
            invalidity_date: object.optional("invalidity_date")?,
        };
        object.finish()?;
        Ok(revoked)
    }
}

impl ToJson for CertificateRevoked {
    fn write(&self, writer: &mut Writer) {
        writer.object(|w| {
            w.field("keyid", &self.keyid);
            w.field("at", &self.at);
            w.field("reason", &self.reason);
            w.optional("invalidity_date", self.invalidity_date.as_ref());
        });
    }
}
