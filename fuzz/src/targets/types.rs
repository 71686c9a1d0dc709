//! Codes, ids, digests, dates, times, reasons: what parses is written so that it parses to the same.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use truc_types::{AgencyCode, Date, Digest, MessageId, OrganisationCode, Reason, Timestamp};

pub(super) fn words(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let read = [
        round_trip::<AgencyCode>(text),
        round_trip::<OrganisationCode>(text),
        round_trip::<MessageId>(text),
        round_trip::<Digest>(text),
        round_trip::<Date>(text),
        round_trip::<Timestamp>(text),
        round_trip::<Reason>(text),
    ];
    read.contains(&true)
}

fn round_trip<T: FromStr + Display + PartialEq + Debug>(text: &str) -> bool {
    let Ok(value) = text.parse::<T>() else { return false };
    let written = value.to_string();
    assert!(written.parse::<T>().is_ok_and(|again| again == value), "{text:?} is {value:?}, which is written {written:?}");
    true
}
