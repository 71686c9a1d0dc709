//! In which language the command explains a failure: what `--lang` says, else the locale of the environment. Data and names stay as they are.

use std::str::FromStr;

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    En,
    /// Vietnamese.
    Vi,
}

impl FromStr for Language {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "en" => Ok(Self::En),
            "vi" => Ok(Self::Vi),
            _ => Err("there are en and vi"),
        }
    }
}

impl Language {
    /// What was asked for, else what the environment says.
    #[must_use]
    pub fn chosen(asked: Option<Self>) -> Self {
        asked.unwrap_or_else(|| Self::of_locale(["LC_ALL", "LC_MESSAGES", "LANG"].map(|name| std::env::var(name).ok())))
    }

    /// The text in this language.
    #[must_use]
    pub const fn choose<'a>(self, english: &'a str, vietnamese: &'a str) -> &'a str {
        match self {
            Self::En => english,
            Self::Vi => vietnamese,
        }
    }

    /// A number with its noun, which English bends and Vietnamese does not: "1 file", "2 files", "2 tệp".
    #[must_use]
    pub fn count(self, number: impl Into<u64>, one: &str, many: &str, vietnamese: &str) -> String {
        let number = number.into();
        format!("{number} {}", self.choose(if number == 1 { one } else { many }, vietnamese))
    }

    /// POSIX: the first of these that is set and not empty decides.
    fn of_locale(settings: [Option<String>; 3]) -> Self {
        let decides = settings.into_iter().flatten().find(|setting| !setting.is_empty());
        if decides.is_some_and(|setting| setting == "vi" || setting.starts_with("vi_")) { Self::Vi } else { Self::En }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_noun_agrees_with_its_number() {
        let files = |language: Language, number: u64| language.count(number, "file", "files", "tệp");
        assert_eq!([files(Language::En, 0), files(Language::En, 1), files(Language::En, 2)], ["0 files", "1 file", "2 files"]);
        assert_eq!([files(Language::Vi, 1), files(Language::Vi, 2)], ["1 tệp", "2 tệp"]);
    }

    #[test]
    fn the_first_setting_that_is_not_empty_decides() {
        let chosen = |settings: [&str; 3]| Language::of_locale(settings.map(|setting| Some(setting.to_owned())));
        assert_eq!(chosen(["", "", "vi_VN.UTF-8"]), Language::Vi);
        assert_eq!(chosen(["C", "", "vi_VN.UTF-8"]), Language::En);
        assert_eq!(chosen(["", "vi_VN", "en_GB"]), Language::Vi);
        assert_eq!(Language::of_locale([None, None, None]), Language::En);
    }
}
