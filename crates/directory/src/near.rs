//! Codes like one that nobody has: what somebody who mistyped or used the wrong scheme may have meant. A suggestion for people, never an answer.

use truc_core::registry::Registry;
use truc_types::OrganisationCode;
use truc_types::limits::NEAR_CODES_MAX;

/// Letters by which a suggestion may differ: one in a short code, where two would match half the directory.
const fn reach(code: &str) -> usize {
    if code.len() <= 4 { 1 } else { 2 }
}

/// Codes of either scheme near to one that is unknown, nearest first.
#[must_use]
pub fn near(registry: &Registry, code: &OrganisationCode) -> Vec<OrganisationCode> {
    let text = code.as_str();
    // The same code in the other scheme's order: what it means is said by the directory alone, so it is only suggested.
    let turned: Option<OrganisationCode> = other_order(text).parse().ok();
    let turned = turned.filter(|turned| turned != code).and_then(|turned| registry.organisation(&turned).map(|_| turned));
    let own = registry.organisations().range(std::ops::Bound::Unbounded).map(|(code, _)| code);
    let old = registry.aliases().range(std::ops::Bound::Unbounded).map(|(code, _)| code);
    let (reach, mut row) = (reach(text), Vec::new());
    let mut found: Vec<_> = own
        .chain(old)
        .filter(|candidate| candidate.as_str().len().abs_diff(text.len()) <= reach && !is_of_the_axis(registry, candidate))
        .map(|candidate| (distance(text, candidate.as_str(), &mut row), candidate.clone()))
        .filter(|(distance, _)| *distance <= reach)
        .chain(turned.map(|turned| (0, turned)))
        .collect();
    found.sort();
    found.dedup_by(|a, b| a.1 == b.1);
    found.into_iter().take(NEAR_CODES_MAX).map(|(_, code)| code).collect()
}

/// The axis' own organisation receives nothing but its loopback message: nobody can have meant it.
fn is_of_the_axis(registry: &Registry, code: &OrganisationCode) -> bool {
    let served_by = registry.organisation(code).map(|(_, organisation)| organisation.served_by);
    served_by.is_some() && served_by == registry.axis_agency()
}

/// The groups the other way round, without groups of zeros.
fn other_order(text: &str) -> String {
    let groups: Vec<_> = text.split('.').rev().filter(|group| group.bytes().any(|byte| byte != b'0')).collect();
    groups.join(".")
}

/// Letters to insert, delete or change to make one text of the other (Levenshtein). `row` is scratch: a search calls this 100,000 times.
fn distance(a: &str, b: &str, row: &mut Vec<usize>) -> usize {
    row.clear();
    row.extend(1..=b.len());
    for (i, x) in a.bytes().enumerate() {
        let (mut diagonal, mut left) = (i, i + 1);
        for (cell, y) in row.iter_mut().zip(b.bytes()) {
            let changed = diagonal + usize::from(x != y);
            diagonal = *cell;
            left = changed.min(*cell + 1).min(left + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_levenshtein() {
        for (a, b, expected) in
            [("H53", "H53", 0), ("H53", "H35", 2), ("H53.13", "H53.3", 1), ("", "G22", 3), ("G22", "", 3), ("G2", "G22", 1)]
        {
            assert_eq!(distance(a, b, &mut Vec::new()), expected, "{a} {b}");
        }
    }

    #[test]
    fn the_other_order_drops_empty_levels() {
        assert_eq!(other_order("000.00.13.H53"), "H53.13");
        assert_eq!(other_order("H53.13"), "13.H53");
        assert_eq!(other_order("000"), "");
    }
}
