//! Codes of agencies and organisations, in both national schemes.
//!
//! Old scheme (QCVN 102:2016): 13 characters in four groups, `000.00.13.H53`. New scheme (Decision 20/2020/QĐ-TTg art. 4–6): up to 35 characters,
//! level 1 first, `H53.13`. Real traffic also carries mixtures (`28.22.H17`, `000.1137.H53`). A code is therefore only checked for its alphabet and
//! length: what it *means* comes from the directory, never from arithmetic on its groups.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use crate::limits::CODE_BYTES_MAX;

/// Why a text is not a code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Empty text.
    #[error("a code is empty")]
    Empty,
    /// Longer than [`CODE_BYTES_MAX`].
    #[error("a code has {bytes} bytes, at most {CODE_BYTES_MAX} are allowed")]
    TooLong {
        /// Length of the offending text.
        bytes: usize,
    },
    /// A character outside `0-9 A-Z .`.
    #[error("a code has the character {found:?}, only 0-9, A-Z and dots are allowed")]
    BadCharacter {
        /// The first offending character.
        found: char,
    },
    /// Two dots in a row, or a dot at an end.
    #[error("a code has an empty group: a dot at an end or two dots in a row")]
    EmptyGroup,
}

/// The length of a code.
fn check(text: &str) -> Result<u8, CodeError> {
    if text.is_empty() {
        return Err(CodeError::Empty);
    }
    let too_long = CodeError::TooLong { bytes: text.len() };
    let length = u8::try_from(text.len()).ok().filter(|length| usize::from(*length) <= CODE_BYTES_MAX).ok_or(too_long)?;
    // As if a dot came before: a dot after a dot has no group between them.
    let (mut before, mut has_empty_group, mut is_foreign) = (b'.', false, false);
    for byte in text.bytes() {
        has_empty_group |= byte == b'.' && before == b'.';
        is_foreign |= !matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b'.');
        before = byte;
    }
    if is_foreign {
        let found = text.chars().find(|c| !matches!(c, '0'..='9' | 'A'..='Z' | '.'));
        return Err(CodeError::BadCharacter { found: found.unwrap_or_default() });
    }
    if has_empty_group || before == b'.' { Err(CodeError::EmptyGroup) } else { Ok(length) }
}

macro_rules! code {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        // In place: a fact about 94 recipients has 188 codes, and whoever reads it makes them all.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name {
            /// Zeros after the code, which none has: the order is that of the texts.
            bytes: [u8; CODE_BYTES_MAX],
            length: u8,
        }

        impl $name {
            /// The code as it is written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                let code = self.bytes.get(..usize::from(self.length));
                code.and_then(|code| std::str::from_utf8(code).ok()).unwrap_or_default()
            }
        }

        impl FromStr for $name {
            type Err = CodeError;
            fn from_str(text: &str) -> Result<Self, CodeError> {
                let length = check(text)?;
                let mut bytes = [0; CODE_BYTES_MAX];
                if let Some(start) = bytes.get_mut(..text.len()) {
                    start.copy_from_slice(text.as_bytes());
                }
                Ok(Self { bytes, length })
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                state.write(self.bytes.get(..usize::from(self.length)).unwrap_or_default());
                state.write_u8(self.length);
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

code! {
    /// The code of an agency: one that runs an edge and owns keys (94 of them).
    AgencyCode
}

code! {
    /// The code of an organisation: any addressable unit (over 110,000 in the national directory), served by the edge of one agency.
    OrganisationCode
}

impl From<&AgencyCode> for OrganisationCode {
    /// Every agency is itself an addressable organisation.
    fn from(agency: &AgencyCode) -> Self {
        Self { bytes: agency.bytes, length: agency.length }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_schemes_parse_and_keep_their_spelling() {
        for text in ["G22", "H53.13", "000.00.13.H53", "28.22.H17", "000.1137.H53", "H37.DN.001", "000.00.00.A80"] {
            assert_eq!(text.parse::<OrganisationCode>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn codes_are_in_the_order_of_their_texts() {
        let texts = ["000.00.13.H53", "000.1137.H53", "G2", "G22", "G3", "H53", "H53.13"];
        let codes = texts.map(|text| text.parse::<AgencyCode>().unwrap());
        assert!(codes.is_sorted() && codes.iter().all(|code| codes.iter().filter(|other| *other == code).count() == 1));
        let longest = "Z".repeat(CODE_BYTES_MAX);
        assert_eq!(longest.parse::<OrganisationCode>().unwrap().as_str(), longest);
    }

    #[test]
    fn everything_else_is_refused_by_name() {
        assert_eq!("".parse::<AgencyCode>(), Err(CodeError::Empty));
        assert_eq!("h53".parse::<AgencyCode>(), Err(CodeError::BadCharacter { found: 'h' }));
        assert_eq!("H53/../x".parse::<AgencyCode>(), Err(CodeError::BadCharacter { found: '/' }));
        assert_eq!("Đ53".parse::<AgencyCode>(), Err(CodeError::BadCharacter { found: 'Đ' }));
        assert_eq!("H53.".parse::<AgencyCode>(), Err(CodeError::EmptyGroup));
        assert_eq!("H..53".parse::<AgencyCode>(), Err(CodeError::EmptyGroup));
        let long = "1".repeat(CODE_BYTES_MAX + 1);
        assert_eq!(long.parse::<AgencyCode>(), Err(CodeError::TooLong { bytes: 36 }));
    }
}
