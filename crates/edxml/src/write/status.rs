//! The envelope of a status packet: a header, and nothing else.

use truc_types::limits::DOC_TEXT_BYTES_MAX;

use super::WriteError;
use super::document::{answered_document, open_envelope, party, staff};
use super::fields::Fields;
use crate::status::Status;

pub(super) fn envelope(status: &Status, fields: &mut Fields) -> Result<(), WriteError> {
    open_envelope(fields);
    fields.element("MessageHeader", |fields| {
        fields.element("From", |fields| party(&status.from, fields))?;
        fields.element("ResponseFor", |fields| {
            if status.response_for.organisation.is_none() {
                return Err(WriteError::Missing { field: fields.path("OrganId") });
            }
            answered_document(&status.response_for, fields)
        })?;
        fields.element("StaffInfo", |fields| staff(status.staff.as_ref(), fields))?;
        fields.value("StatusCode", &status.code.to_string());
        fields.text("Description", status.description.as_deref(), DOC_TEXT_BYTES_MAX)?;
        fields.time("Timestamp", status.time)
    })?;
    fields.end("edXMLHeader");
    fields.end("edXMLEnvelope");
    Ok(())
}
