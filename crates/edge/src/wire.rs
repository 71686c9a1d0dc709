//! How the value types of `truc_types` stand in records and rows: fixed bytes, numbers and texts. For `#[serde(with = "…")]`.
//!
//! Not in `truc_types`: a value type is not serializable by itself, every format says how it writes one.

macro_rules! with {
    ($(#[$doc:meta])* $name:ident, $type:ty, $form:ty, $to:expr, $from:expr) => {
        $(#[$doc])*
        pub(crate) mod $name {
            use serde::{Deserialize, Deserializer, Serialize, Serializer};

            pub(crate) fn serialize<S: Serializer>(value: &$type, serializer: S) -> Result<S::Ok, S::Error> {
                let to: fn(&$type) -> $form = $to;
                to(value).serialize(serializer)
            }

            pub(crate) fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<$type, D::Error> {
                let from: fn($form) -> Result<$type, String> = $from;
                from(<$form>::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

with!(
    /// 16 bytes.
    message_id,
    truc_types::MessageId,
    [u8; 16],
    |id| id.to_bytes(),
    |bytes| Ok(truc_types::MessageId::from_bytes(bytes))
);
with!(
    /// 32 bytes.
    digest,
    truc_types::Digest,
    [u8; 32],
    |digest| digest.0,
    |bytes| Ok(truc_types::Digest(bytes))
);
with!(
    /// Text.
    organisation,
    truc_types::OrganisationCode,
    String,
    |code| code.to_string(),
    |text| text.parse().map_err(|cause: truc_types::CodeError| cause.to_string())
);
with!(
    /// Text.
    agency,
    truc_types::AgencyCode,
    String,
    |code| code.to_string(),
    |text| text.parse().map_err(|cause: truc_types::CodeError| cause.to_string())
);
with!(
    /// Milliseconds.
    time,
    truc_types::Timestamp,
    u64,
    |time| time.as_millis(),
    |millis| Ok(truc_types::Timestamp::from_millis(millis))
);
with!(
    /// Number.
    term,
    truc_types::EdgeTerm,
    u64,
    |term| term.0,
    |number| Ok(truc_types::EdgeTerm(number))
);
with!(
    /// Number.
    seq,
    truc_types::SenderSeq,
    u64,
    |seq| seq.0,
    |number| Ok(truc_types::SenderSeq(number))
);
with!(
    /// Number.
    queue_position,
    truc_types::QueuePosition,
    u64,
    |position| position.0,
    |number| Ok(truc_types::QueuePosition(number))
);
with!(
    /// Number.
    leaf_index,
    truc_types::LeafIndex,
    u64,
    |leaf| leaf.0,
    |number| Ok(truc_types::LeafIndex(number))
);
with!(
    /// Number.
    position,
    truc_types::Position,
    u64,
    |position| position.0,
    |number| Ok(truc_types::Position(number))
);

/// Bytes as one run, not one by one.
pub(crate) mod bytes {
    use serde::{Deserializer, Serializer, de};

    pub(crate) fn serialize<S: Serializer>(value: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(value)
    }

    pub(crate) fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Run;
        impl de::Visitor<'_> for Run {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
        }
        deserializer.deserialize_byte_buf(Run)
    }
}
