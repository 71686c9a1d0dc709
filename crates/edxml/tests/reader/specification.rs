//! docs/spec/edxml.md against the table of rules.

use truc_edxml::{Rule, Severity};

#[test]
fn the_specification_lists_exactly_the_rules_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/spec/edxml.md");
    let text = std::fs::read_to_string(path).unwrap();
    let documented: Vec<&str> = text.split('`').filter(|word| word.starts_with("edxml.") && !word.contains(' ')).collect();
    let (errors, warnings) = text.split_once("### Warnings").unwrap();
    for rule in Rule::ALL {
        let place = if rule.severity() == Severity::Error { errors } else { warnings };
        assert!(place.contains(&format!("`{}`", rule.code())), "{} is missing from its list in {path}", rule.code());
    }
    for code in documented {
        assert!(Rule::ALL.iter().any(|rule| rule.code() == code), "{path} lists {code}, which the code does not have");
    }
}

#[test]
fn codes_are_unique_and_both_languages_are_there() {
    let mut codes: Vec<&str> = Rule::ALL.iter().map(|rule| rule.code()).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), Rule::ALL.len());
    for rule in Rule::ALL {
        assert!(rule.code().starts_with("edxml.") && !rule.english().ends_with('.') && rule.english() != rule.vietnamese());
    }
}
