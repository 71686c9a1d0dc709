//! Codes of agencies and organisations, in both national schemes.
//!
//! Old scheme (QCVN 102:2016): 13 characters in four groups, `000.00.13.H53`. New scheme (Decision 20/2020/QĐ-TTg art. 4–6): up to 35 characters,
//! level 1 first, `H53.13`. Real traffic also carries mixtures (`28.22.H17`, `000.1137.H53`). A code is therefore only checked for its alphabet and
//! length: what it *means* comes from the directory, never from arithmetic on its groups.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

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

fn check(text: &str) -> Result<(), CodeError> {
    if text.is_empty() {
        return Err(CodeError::Empty);
    }
    if text.len() > CODE_BYTES_MAX {
        return Err(CodeError::TooLong { bytes: text.len() });
    }
    if let Some(found) = text.chars().find(|c| !matches!(c, '0'..='9' | 'A'..='Z' | '.')) {
        return Err(CodeError::BadCharacter { found });
    }
    if text.split('.').any(str::is_empty) {
        return Err(CodeError::EmptyGroup);
    }
    Ok(())
}

macro_rules! code {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The code as it is written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = CodeError;
            fn from_str(text: &str) -> Result<Self, CodeError> {
                check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
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
        Self(agency.0.clone())
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
