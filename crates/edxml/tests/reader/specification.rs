//! docs/spec/edxml.md against the table of rules and the limits. `UPDATE_EXPECT=1` writes the table anew.

use truc_edxml::{Rule, Severity, limits};
use truc_types::limits::{ATTACHMENT_BYTES_MAX, ATTACHMENTS_MAX};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/spec/edxml.md");
const START: &str = "<!-- The table is made from the code by a test. -->\n";
const END: &str = "<!-- End of the table. -->";

fn table() -> String {
    let mut table = "| rule | | what is wrong | tiếng Việt |\n|---|---|---|---|\n".to_owned();
    for rule in Rule::ALL {
        let severity = if rule.severity() == Severity::Error { "error" } else { "warning" };
        table.push_str(&format!("| `{}` | {severity} | {} | {} |\n", rule.code(), rule.english(), rule.vietnamese()));
    }
    table
}

#[test]
fn the_specification_has_the_table_of_the_code() {
    let text = std::fs::read_to_string(PATH).unwrap();
    let (before, rest) = text.split_once(START).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(PATH, format!("{before}{START}{}{END}{after}", table())).unwrap();
    } else {
        assert_eq!(found, table(), "run again with UPDATE_EXPECT=1");
    }
    for code in text.split('`').filter(|word| word.starts_with("edxml.") && !word.contains(' ')) {
        assert!(Rule::ALL.iter().any(|rule| rule.code() == code), "{PATH} names {code}, which the code does not have");
    }
}

#[test]
fn the_specification_has_the_limits_of_the_code() {
    let text = std::fs::read_to_string(PATH).unwrap();
    let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
    for row in [
        format!("| attachments; bytes of one, unpacked | {ATTACHMENTS_MAX}; {} |", mib(ATTACHMENT_BYTES_MAX)),
        format!("| hops of a trace; bytes of a ContentId | {}; {} |", limits::TRACE_HOPS_MAX, limits::CONTENT_ID_BYTES_MAX),
        format!(
            "| depth; attributes of one element; bytes of its name | {}; {}; {} |",
            limits::DEPTH_MAX,
            limits::ATTRIBUTES_MAX,
            limits::NAME_BYTES_MAX
        ),
        format!("| expansion of an archive | {} : 1 above {} |", limits::EXPANSION_RATIO_MAX, mib(limits::EXPANSION_FREE_BYTES)),
        format!("| diagnostics kept; characters of a value quoted | {}; {} |", limits::DIAGNOSTICS_MAX, limits::FOUND_CHARACTERS_MAX),
    ] {
        assert!(text.contains(&row), "{PATH} lacks {row}");
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
