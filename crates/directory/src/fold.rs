//! Text without case and diacritics, so that people find "Tây Ninh" by typing "tay ninh". Not a transliteration: nothing is shown or stored folded.

/// The letters of Vietnamese with diacritics, by the letter that is typed for them.
const LETTERS: [(char, &str); 7] = [
    ('a', "àáạảãâầấậẩẫăằắặẳẵ"),
    ('e', "èéẹẻẽêềếệểễ"),
    ('i', "ìíịỉĩ"),
    ('o', "òóọỏõôồốộổỗơờớợởỡ"),
    ('u', "ùúụủũưừứựửữ"),
    ('y', "ỳýỵỷỹ"),
    ('d', "đ"),
];

/// Lower case, without the diacritics of Vietnamese; precomposed letters and combining marks alike.
#[must_use]
pub fn fold(text: &str) -> String {
    let lower = text.chars().flat_map(char::to_lowercase);
    lower.filter(|letter| !matches!(letter, '\u{300}'..='\u{36f}')).map(plain).collect()
}

fn plain(letter: char) -> char {
    if letter.is_ascii() {
        return letter;
    }
    LETTERS.iter().find(|(_, marked)| marked.contains(letter)).map_or(letter, |(plain, _)| *plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_equals_what_is_written() {
        assert_eq!(fold("Ủy ban nhân dân tỉnh Tây Ninh"), "uy ban nhan dan tinh tay ninh");
        assert_eq!(fold("ĐẮK LẮK – Bộ Kế hoạch và Đầu tư"), "dak lak – bo ke hoach va dau tu");
        // The same name with combining marks.
        assert_eq!(fold("Ta\u{302}y Ninh"), fold("Tây Ninh"));
    }

    #[test]
    fn every_letter_of_the_table_is_one_letter_and_folds_to_ascii() {
        for (plain, marked) in LETTERS {
            for letter in marked.chars() {
                assert_eq!(fold(&letter.to_string()), plain.to_string());
                assert_eq!(fold(&letter.to_uppercase().to_string()), plain.to_string());
            }
        }
    }
}
