//! Dates as they stand in edXML: `yyyy/MM/dd`, and the other spellings of the field as far as they have one meaning. Never guessed.

use truc_types::Date;

use crate::message::LocalTime;

/// The spellings that are read, as diagnostics show them.
pub(crate) const ACCEPTED: &str = "yyyy/MM/dd, yyyy-MM-dd, dd/MM/yyyy (dd > 12)";

/// A date and whether it is written as the format has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WireDate {
    pub(crate) date: Date,
    pub(crate) canonical: bool,
}

/// Why a text is no date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DateFault {
    /// Day and month are both below 13 and come before the year: these two days.
    Ambiguous(Date, Date),
    /// Another shape, or no such day.
    Invalid,
}

/// Why a text is no time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TimeFault {
    /// Two readings, as they would be written.
    Ambiguous(String),
    /// Another shape, or no such time.
    Invalid,
}

/// The date of `text`. Some writers put the day first, others the month: below 13 nobody can tell, so it is refused.
pub(crate) fn parse(text: &str) -> Result<WireDate, DateFault> {
    let separator = if text.contains('/') { '/' } else { '-' };
    let parts: Vec<&str> = text.splitn(4, separator).collect();
    let [first, second, third] = parts.as_slice() else { return Err(DateFault::Invalid) };
    if !parts.iter().all(|part| matches!(part.len(), 1 | 2 | 4) && part.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(DateFault::Invalid);
    }
    let number = |part: &str| part.parse::<u16>().map_err(|_| DateFault::Invalid);
    let (a, b, c) = (number(first)?, number(second)?, number(third)?);
    let day = |year: u16, month: u16, day: u16| {
        let (month, day) = (u8::try_from(month).ok()?, u8::try_from(day).ok()?);
        Date::new(year, month, day).ok()
    };
    match (first.len(), second.len(), third.len()) {
        (4, 1 | 2, 1 | 2) => {
            let date = day(a, b, c).ok_or(DateFault::Invalid)?;
            Ok(WireDate { date, canonical: separator == '/' && second.len() == 2 && third.len() == 2 })
        }
        (1 | 2, 1 | 2, 4) if a > 12 => Ok(WireDate { date: day(c, b, a).ok_or(DateFault::Invalid)?, canonical: false }),
        (1 | 2, 1 | 2, 4) if (1..=12).contains(&a) && (1..=12).contains(&b) => {
            let (first, second) = (day(c, b, a).ok_or(DateFault::Invalid)?, day(c, a, b).ok_or(DateFault::Invalid)?);
            // 05/05/2025 has one meaning, whichever comes first.
            if first == second { Ok(WireDate { date: first, canonical: false }) } else { Err(DateFault::Ambiguous(first, second)) }
        }
        _ => Err(DateFault::Invalid),
    }
}

/// The time of `text` and whether it is written as the format has it; a `T` may stand between date and time.
pub(crate) fn parse_time(text: &str) -> Result<(LocalTime, bool), TimeFault> {
    let (day, time) = text.split_once([' ', 'T']).ok_or(TimeFault::Invalid)?;
    let part = |part: &str| part.parse::<u8>().ok().filter(|_| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit()));
    let parts: Option<Vec<u8>> = time.splitn(4, ':').map(part).collect();
    let Some([hour @ 0..=23, minute @ 0..=59, second @ 0..=59]) = parts.as_deref() else { return Err(TimeFault::Invalid) };
    let at = |date| LocalTime { date, time_of_day: (*hour, *minute, *second) };
    match parse(day) {
        Ok(wire) => Ok((at(wire.date), wire.canonical && text.contains(' '))),
        Err(DateFault::Ambiguous(one, other)) => Err(TimeFault::Ambiguous(format!("{} | {}", at(one), at(other)))),
        Err(DateFault::Invalid) => Err(TimeFault::Invalid),
    }
}

/// How a text that is no date would be written, if it can mean one day only, or two days with ` | ` between them; else the form, for an element of this name.
pub(crate) fn suggestion(text: &str, element: &str) -> String {
    let form = || form(element);
    // A time behind the date, and any other sign between its parts.
    let day = text.trim().split(['T', ' ']).next().unwrap_or_default();
    let parts: Vec<&str> = day.split(|letter: char| !letter.is_ascii_digit()).collect();
    let plain = match parts.as_slice() {
        [digits] if digits.len() == 8 => match (digits.get(..4), digits.get(4..6), digits.get(6..)) {
            (Some(year), Some(month), Some(day)) => format!("{year}/{month}/{day}"),
            _ => return form(),
        },
        [_, _, _] => parts.join("/"),
        _ => return form(),
    };
    match parse(&plain) {
        Ok(wire) if (2000..=2100).contains(&wire.date.parts().0) => canonical(wire.date),
        Err(DateFault::Ambiguous(one, other)) => format!("{} | {}", canonical(one), canonical(other)),
        // The month first: no day has a month above 12.
        _ => match plain.split('/').collect::<Vec<_>>().as_slice() {
            [month, day, year] if year.len() == 4 => {
                parse(&format!("{year}/{month}/{day}")).map_or_else(|_| form(), |wire| canonical(wire.date))
            }
            _ => form(),
        },
    }
}

/// An element with the form of a date in it.
pub(crate) fn form(element: &str) -> String {
    format!("<edXML:{element}>yyyy/MM/dd</edXML:{element}>")
}

/// The date in the spelling of the format.
pub(crate) fn canonical(date: Date) -> String {
    let (year, month, day) = date.parts();
    format!("{year:04}/{month:02}/{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(&str, bool), DateFault>) {
        let read = parse(text).map(|wire| (wire.date.to_string(), wire.canonical));
        assert_eq!(read, expected.map(|(date, canonical)| (date.to_owned(), canonical)), "{text}");
    }

    #[test]
    fn dates_with_one_meaning_are_read_and_others_are_never_guessed() {
        check("2025/11/17", Ok(("2025-11-17", true)));
        check("2025-11-17", Ok(("2025-11-17", false)));
        check("2025/1/7", Ok(("2025-01-07", false)));
        check("17/11/2025", Ok(("2025-11-17", false)));
        let date = |month, day| Date::new(2025, month, day).unwrap();
        check("05/11/2025", Err(DateFault::Ambiguous(date(11, 5), date(5, 11))));
        check("12/11/2025", Err(DateFault::Ambiguous(date(11, 12), date(12, 11))));
        check("13/01/2025", Ok(("2025-01-13", false)));
        check("05/05/2025", Ok(("2025-05-05", false)));
        for text in
            ["", "2025", "11/17/2025", "2025/02/30", "2025/13/01", "31/02/2025", "0011/05/18", "2025/11-17", "20251117", "2025/11/17/1"]
        {
            check(text, Err(DateFault::Invalid));
        }
        check("1２/11/2025", Err(DateFault::Invalid));
        check("0/11/2025", Err(DateFault::Invalid));
    }

    #[test]
    fn what_is_no_date_is_told_how_to_write_it() {
        for (text, expected) in [
            ("20251117", "2025/11/17"),
            ("17.11.2025", "2025/11/17"),
            ("2025/11-17", "2025/11/17"),
            ("11/17/2025", "2025/11/17"),
            ("2025-11-17T08:30:00+07:00", "2025/11/17"),
            ("17/11/2025 08:30", "2025/11/17"),
            ("05.11.2025", "2025/11/05 | 2025/05/11"),
            ("31/02/2025", "<edXML:DueDate>yyyy/MM/dd</edXML:DueDate>"),
            ("2025/13/01", "<edXML:DueDate>yyyy/MM/dd</edXML:DueDate>"),
            ("17112025", "<edXML:DueDate>yyyy/MM/dd</edXML:DueDate>"),
            ("ngày 17 tháng 11", "<edXML:DueDate>yyyy/MM/dd</edXML:DueDate>"),
            ("", "<edXML:DueDate>yyyy/MM/dd</edXML:DueDate>"),
        ] {
            assert_eq!(suggestion(text, "DueDate"), expected, "{text}");
        }
    }
}
