//! The spellings that all C2SP texts share: base64 digests and decimal numbers, each in exactly one form.
//!
//! Not a codec for anything else; hexadecimal digests are [`Digest`]'s own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use truc_types::Digest;

/// Standard base64 with padding (RFC 4648 section 4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Reads standard base64; other alphabets, missing padding and stray bits are refused, so there is one spelling.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Reads 32 bytes of base64.
pub(crate) fn digest_from_base64(text: &str) -> Option<Digest> {
    from_base64(text)?.try_into().ok().map(Digest)
}

/// Reads a decimal number without sign, leading zeros or anything else around it.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    // An empty text passes the test above and fails here.
    if canonical { text.parse().ok() } else { None }
}

/// At most 100 characters of a hostile text, for error messages.
pub(crate) fn excerpt(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_spelling() {
        for number in [0, 1, 10, u64::MAX] {
            assert_eq!(decimal(&number.to_string()), Some(number));
        }
        for text in ["", "00", "01", "+1", "-1", " 1", "1 ", "1_0", "18446744073709551616", "١"] {
            assert_eq!(decimal(text), None, "{text:?}");
        }
    }

    #[test]
    fn base64_has_one_spelling() {
        assert_eq!(from_base64("AQ=="), Some(vec![1]));
        for text in ["AQ", "AR==", "AQ=", "AQ==\n", "-_=="] {
            assert_eq!(from_base64(text), None, "{text:?}");
        }
    }
}
