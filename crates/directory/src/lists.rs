//! Pages: agencies, organisations, changes. A token names the place in the order where the page ended, so changes in between shift nothing.

use std::ops::Bound;

use truc_core::registry::Registry;
use truc_proto::directory::v1 as pb;
use truc_types::limits::{DIRECTORY_QUERY_BYTES_MAX, DIRECTORY_SCAN_MAX, PAGE_ITEMS_MAX};
use truc_types::{AgencyCode, OrganisationCode, Reason, Refusal};

use crate::{fold, messages};

/// Which page is asked for.
#[derive(Debug, Clone, Default)]
pub struct Paging {
    /// At most so many items; 0 and more than the limit mean the limit.
    pub size: u32,
    /// From the page before; empty for the first.
    pub token: String,
}

/// A page.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// In the order of the list.
    pub items: Vec<T>,
    /// For the next page; empty after the last one.
    pub next_token: String,
    /// Version of the registry.
    pub version: u64,
}

/// Which organisations are asked for.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only those that this agency serves; empty for all.
    pub served_by: String,
    /// Only those with this in name or code, without case and diacritics; empty for all.
    pub query: String,
}

impl Paging {
    fn size(&self) -> usize {
        usize::try_from(self.size).ok().filter(|size| (1..=PAGE_ITEMS_MAX).contains(size)).unwrap_or(PAGE_ITEMS_MAX)
    }

    /// The code that the page before ended with.
    fn after(&self) -> Result<Option<OrganisationCode>, Refusal> {
        if self.token.is_empty() { Ok(None) } else { self.token.parse().map(Some).map_err(|_| foreign_token()) }
    }
}

/// The agencies, by code.
///
/// # Errors
/// [`Reason::RequestInvalid`] for a token that is none.
pub fn agencies(registry: &Registry, paging: &Paging) -> Result<Page<pb::Agency>, Refusal> {
    let after = paging.after()?;
    let own = registry.axis_agency().and_then(|index| registry.agency(index)).map(|agency| &agency.code);
    let mut agencies: Vec<_> = registry.agencies().iter().filter(|agency| Some(&agency.code) != own).collect();
    agencies.sort_by(|a, b| a.code.cmp(&b.code));
    let mut rest = agencies.into_iter().filter(|agency| after.as_ref().is_none_or(|after| agency.code.as_str() > after.as_str()));
    let items: Vec<_> = rest.by_ref().take(paging.size()).map(messages::agency).collect();
    let more = rest.next().is_some();
    let next_token = items.last().filter(|_| more).map(|last| last.code.clone()).unwrap_or_default();
    Ok(Page { items, next_token, version: registry.version() })
}

/// The organisations, by code. A page ends early where few match: a call looks at no more than [`DIRECTORY_SCAN_MAX`] entries.
///
/// # Errors
/// [`Reason::RequestInvalid`] for a token that is none, an agency that is not there, or too long a query.
pub fn organisations(registry: &Registry, filter: &Filter, paging: &Paging) -> Result<Page<pb::Organisation>, Refusal> {
    let after = paging.after()?;
    let served_by = match filter.served_by.as_str() {
        "" => None,
        code => {
            let agency = code.parse::<AgencyCode>().ok().and_then(|code| registry.agency_index(&code));
            Some(agency.ok_or_else(|| invalid(format!("served_by: {code:.60?} is no agency of this axis")))?)
        }
    };
    if filter.query.len() > DIRECTORY_QUERY_BYTES_MAX {
        return Err(invalid(format!("query has {} bytes, at most {DIRECTORY_QUERY_BYTES_MAX} are allowed", filter.query.len())));
    }
    let query = fold(filter.query.trim());
    let mut rest = registry.organisations().range(after.as_ref().map_or(Bound::Unbounded, Bound::Excluded)).peekable();
    let (mut items, mut last) = (Vec::new(), None);
    for (code, organisation) in rest.by_ref().take(DIRECTORY_SCAN_MAX) {
        last = Some(code);
        let is_served = served_by.is_none_or(|agency| organisation.served_by == agency);
        let named = || fold(organisation.name.as_deref().unwrap_or_default()).contains(&query) || fold(code.as_str()).contains(&query);
        if is_served && (query.is_empty() || named()) {
            items.push(messages::organisation(registry, code, organisation));
            if items.len() == paging.size() {
                break;
            }
        }
    }
    let next_token = last.filter(|_| rest.peek().is_some()).map(ToString::to_string).unwrap_or_default();
    Ok(Page { items, next_token, version: registry.version() })
}

/// What changed since a version, each organisation once, as it is now.
///
/// # Errors
/// [`Reason::RequestInvalid`] for a token that is none, or a version that is not there yet.
pub fn changes(registry: &Registry, from_version: u64, paging: &Paging) -> Result<Page<pb::Change>, Refusal> {
    if from_version > registry.version() {
        let message = format!("from_version is {from_version}, the registry has version {}: take it whole", registry.version());
        return Err(invalid(message).with("registry_version", registry.version()));
    }
    let after = match paging.token.split_once('/') {
        None if paging.token.is_empty() => (from_version, None),
        None => return Err(foreign_token()),
        Some((version, code)) => {
            (version.parse().map_err(|_| foreign_token())?, Some(code.parse::<OrganisationCode>().map_err(|_| foreign_token())?))
        }
    };
    let mut rest = registry.changes_after(&after);
    let (mut items, mut last) = (Vec::new(), None);
    for (code, organisation) in rest.by_ref().take(paging.size()) {
        items.push(messages::change(registry, from_version, code, organisation));
        last = Some((organisation.changed_in, code));
    }
    let more = rest.next().is_some();
    let next_token = last.filter(|_| more).map(|(version, code)| format!("{version}/{code}")).unwrap_or_default();
    Ok(Page { items, next_token, version: registry.version() })
}

fn foreign_token() -> Refusal {
    invalid("page_token is none that this service gave out".to_owned())
}

fn invalid(message: String) -> Refusal {
    Refusal::new(Reason::RequestInvalid, message)
}
