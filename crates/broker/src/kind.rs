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

impl Kind {
    /// The kind of a statement file. The first predicate type decides, and it stands near the beginning: the rest is not looked at.
    pub(crate) fn of(file: &[u8]) -> Self {
        let fields = &*FIELDS;
        let heads = fields.each_ref().map(|field| field.name.first_chunk::<4>().copied().unwrap_or_default());
        let mut rest = file;
        while let Some(head) = rest.first_chunk::<4>() {
            if heads.contains(head)
                && let Some(field) = fields.iter().find(|field| rest.starts_with(&field.name))
            {
                return if rest.starts_with(&field.receipt) { Self::Receipt } else { Self::Other };
            }
            rest = rest.get(1..).unwrap_or_default();
        }
        Self::Other
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use truc_core::Entry;
    use truc_signing::Statement;

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
            assert_eq!(Kind::of(STANDARD.encode(payload).as_bytes()), Kind::Receipt, "{before}");
        }
        assert_eq!(Kind::of(b"\xff"), Kind::Other);
    }
}
