//! Several faults of one request in one status: `google.rpc.BadRequest` beside the refusal's `ErrorInfo`, as many as fit a header.

use tonic::Status;
use tonic_types::{FieldViolation, LocalizedMessage, StatusExt};
use truc_types::Refusal;
use truc_types::limits::STATUS_VIOLATIONS_BYTES_MAX;

use crate::status::{code, details};

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where: an element path or a field.
    pub field: String,
    /// Stable rule, `GROUP_NAME`.
    pub rule: String,
    /// One sentence in English.
    pub english: String,
    /// One sentence in Vietnamese.
    pub vietnamese: String,
}

impl Violation {
    fn bytes(&self) -> usize {
        self.field.len() + self.rule.len() + self.english.len() + self.vietnamese.len()
    }
}

/// The status of a refusal with its faults, in order, up to [`STATUS_VIOLATIONS_BYTES_MAX`]; how many there were is a value of the refusal.
#[must_use]
pub fn status(refusal: &Refusal, violations: &[Violation]) -> Status {
    let mut bytes = 0;
    let fits = |violation: &&Violation| {
        bytes += violation.bytes();
        bytes <= STATUS_VIOLATIONS_BYTES_MAX
    };
    let to_field = |violation: &Violation| FieldViolation {
        field: violation.field.clone(),
        description: violation.english.clone(),
        reason: violation.rule.clone(),
        localized_message: Some(LocalizedMessage { locale: "vi".to_owned(), message: violation.vietnamese.clone() }),
    };
    let kept: Vec<FieldViolation> = violations.iter().take_while(fits).map(to_field).collect();
    let mut details = details(refusal);
    if !kept.is_empty() {
        details.set_bad_request(kept);
    }
    Status::with_error_details(code(refusal.reason), refusal.message.clone(), details)
}

/// The faults that a status names.
#[must_use]
pub fn of_status(status: &Status) -> Vec<Violation> {
    let details = status.get_error_details();
    let violation = |violation: &FieldViolation| Violation {
        field: violation.field.clone(),
        rule: violation.reason.clone(),
        english: violation.description.clone(),
        vietnamese: violation.localized_message.as_ref().map(|message| message.message.clone()).unwrap_or_default(),
    };
    details.bad_request().map(|request| request.field_violations.iter().map(violation).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use truc_types::Reason;

    #[test]
    fn faults_survive_the_wire_and_never_fill_a_header() {
        let refusal = Refusal::new(Reason::EdxmlInvalid, "a".repeat(2_000));
        let violation = |number: usize| Violation {
            field: format!("edXML/To[{number}]"),
            rule: "EDXML_MISSING".to_owned(),
            english: "line 1".repeat(20),
            vietnamese: "dòng 1".repeat(20),
        };
        let few: Vec<_> = (0..3).map(violation).collect();
        let sent = status(&refusal, &few);
        assert_eq!(of_status(&sent), few);
        assert_eq!(crate::status::refusal(&sent).unwrap().reason, Reason::EdxmlInvalid);
        let many: Vec<_> = (0..100).map(violation).collect();
        let sent = status(&refusal, &many);
        let told = of_status(&sent);
        assert!(told.len() > 5 && told == many[..told.len()]);
        assert!(sent.details().len() < 6_000, "{} bytes of details are more than 8 KiB in base64", sent.details().len());
        assert!(of_status(&status(&refusal, &[])).is_empty());
    }
}
