//! What kind of statement waits, guessed from its bytes before anybody has parsed it. Only the order in the line of its own agency rests on the guess.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use truc_types::names::RECEIPT_V1;

/// What alternates in the line of an agency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A receipt: what became of the documents of others.
    Receipt,
    /// Everything else.
    Other,
}

/// The name of the predicate type, and name and value of a receipt, in base64, at the three places where they may begin in a group of three bytes. Quotes
/// inside a text are escaped, so no text is taken for them.
static FIELDS: LazyLock<[Field; 3]> = LazyLock::new(|| {
    [0, 1, 2].map(|before| Field {
        name: encoded(before, "\"predicateType\":\""),
        receipt: encoded(before, &format!("\"predicateType\":\"{RECEIPT_V1}\"")),
    })
});

struct Field {
    name: Vec<u8>,
    receipt: Vec<u8>,
}

/// A text in base64 behind so many other bytes: the groups that hold nothing else, because the others look different each time.
fn encoded(before: usize, text: &str) -> Vec<u8> {
    let all = STANDARD.encode("x".repeat(before) + text);
    let (from, until) = (if before == 0 { 0 } else { 4 }, (before + text.len()) / 3 * 4);
    all.as_bytes().get(from..until).unwrap_or_default().to_vec()
}

/// What comes before the payload in a file as everybody writes it.
const BEFORE_PAYLOAD: &[u8] = b"\"payload\":\"";
/// Bytes of a file among which that is looked for: the payload type comes before it.
const BEFORE_PAYLOAD_BYTES_MAX: usize = 96;

impl Kind {
    /// The kind of a statement file. The first predicate type decides: the rest is not looked at. A receipt names its documents before it, so that only
    /// places are looked at where a group of base64 begins.
    pub(crate) fn of(file: &[u8]) -> Self {
        let head = file.get(..BEFORE_PAYLOAD_BYTES_MAX).unwrap_or(file);
        let before = head.windows(BEFORE_PAYLOAD.len()).position(|window| window == BEFORE_PAYLOAD);
        let payload = before.and_then(|before| file.get(before + BEFORE_PAYLOAD.len()..)).unwrap_or_default();
        let fields = &*FIELDS;
        let heads = fields.each_ref().map(|field| field.name.first_chunk::<4>().copied().unwrap_or_default());
        let (groups, _) = payload.as_chunks::<4>();
        for (number, group) in groups.iter().enumerate() {
            let is_head = heads.iter().any(|head| u32::from_ne_bytes(*head) == u32::from_ne_bytes(*group));
            let rest = if is_head { payload.get(4 * number..).unwrap_or_default() } else { continue };
            if let Some(field) = fields.iter().find(|field| rest.starts_with(&field.name)) {
                return if rest.starts_with(&field.receipt) { Self::Receipt } else { Self::Other };
            }
        }
        Self::Other
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use truc_core::Entry;
    use truc_signing::Statement;
    use truc_types::names::PAYLOAD_TYPE;

    use super::*;

    #[test]
    fn every_golden_statement_is_guessed_right() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/statements");
        let (mut receipts, mut others) = (0, 0);
        for path in std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).filter(|path| path.is_file()) {
            let bytes = std::fs::read(path).unwrap();
            let Ok(entry) = Entry::parse(bytes.as_slice().into()) else { continue };
            let expected = if matches!(entry.statement, Statement::Receipt(_)) { Kind::Receipt } else { Kind::Other };
            *if expected == Kind::Receipt { &mut receipts } else { &mut others } += 1;
            assert_eq!(Kind::of(&bytes), expected, "{}", String::from_utf8_lossy(&bytes));
        }
        assert!(receipts >= 1 && others >= 3, "{receipts} receipts, {others} others");
    }

    #[test]
    fn a_receipt_is_seen_wherever_its_type_stands() {
        for before in 0..6 {
            let payload = format!("{}\"predicateType\":\"{RECEIPT_V1}\",\"predicate\":{{}}", " ".repeat(before));
            let file = format!("{{\"payloadType\":\"{PAYLOAD_TYPE}\",\"payload\":\"{}\"", STANDARD.encode(payload));
            assert_eq!(Kind::of(file.as_bytes()), Kind::Receipt, "{before}");
        }
        assert_eq!(Kind::of(b"\xff"), Kind::Other);
    }
}
