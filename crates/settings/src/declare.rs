//! The declaration of settings: one struct whose field comments are the manual. The macro writes the reading, so that a setting cannot be declared
//! and not read, or read and not documented.

use crate::Reader;

/// A struct of settings that reads itself.
pub trait Section: Sized {
    /// Reads every setting. Mistakes go to the reader and leave the default in their place.
    fn read(reader: &mut Reader<'_>) -> Self;
}

/// Declares a struct of settings.
///
/// `pub name: Type = default, Applies [, rule];` is a setting: its documentation comment is what the manual, the written file and the table say.
/// A default may name the settings above it. `sections { pub name: Type; }` are tables of the file with settings of their own.
#[macro_export]
macro_rules! settings {
    (
        $(#[doc = $about:literal])*
        $vis:vis struct $name:ident {
            $( $(#[doc = $doc:literal])+ pub $field:ident : $type:ty = $default:expr, $applies:ident $(, $rule:expr)? ; )*
        }
        sections {
            $( $(#[doc = $section_doc:literal])+ pub $section:ident : $section_type:ty ; )*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        $vis struct $name {
            $( $(#[doc = $doc])+ pub $field: $type, )*
            $( $(#[doc = $section_doc])+ pub $section: $section_type, )*
        }

        impl $crate::Section for $name {
            fn read(reader: &mut $crate::Reader<'_>) -> Self {
                $(
                    let rule: $crate::Rule<$type> = $crate::any();
                    $( let rule: $crate::Rule<$type> = { let _no_rule = rule; $rule }; )?
                    let $field: $type = reader.setting($crate::Field {
                        name: stringify!($field),
                        doc: concat!($($doc, "\n"),+),
                        default: $default,
                        applies: $crate::Applies::$applies,
                        rule,
                    });
                )*
                $(
                    let $section = reader.section(stringify!($section), concat!($($section_doc, "\n"),+), <$section_type as $crate::Section>::read);
                )*
                Self { $($field,)* $($section,)* }
            }
        }
    };
}

/// Declares a setting that is one of a few words.
#[macro_export]
macro_rules! choice {
    ($(#[doc = $about:literal])* pub enum $name:ident as $kind:literal { $( $(#[doc = $doc:literal])* $variant:ident = $word:literal ),+ $(,)? }) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $( $(#[doc = $doc])* $variant, )+ }

        impl $name {
            /// The word of the settings file.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $( Self::$variant => $word, )+ }
            }

            /// The choice that a word names.
            #[must_use]
            pub fn of_word(word: &str) -> Option<Self> {
                match word { $( $word => Some(Self::$variant), )+ _ => None }
            }
        }

        impl $crate::Value for $name {
            const KIND: &'static str = $kind;

            fn from_raw(raw: &$crate::Raw) -> Result<Self, String> {
                Self::of_word(raw.text($kind)?).ok_or_else(|| raw.not($kind))
            }
            fn to_toml(&self) -> Option<String> {
                Some(format!("{:?}", self.word()))
            }
        }
    };
}
