//! Instants and dates as values with exactly one spelling each; nobody reads a clock here.
//!
//! Our own 100 lines because statements need one spelling per value, byte for byte: RFC 3339 in UTC with milliseconds and `Z`.

use std::fmt;
use std::str::FromStr;

/// An instant: milliseconds since 1970-01-01T00:00:00Z. Written `2026-11-22T10:03:04.005Z`.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// A calendar date without a zone. Written `2026-11-22`; in law it is a date in Vietnam (UTC+7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

/// Why a text is not a time or date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Another spelling than the one allowed.
    #[error("a time is written like 2026-11-22T10:03:04.005Z, found {found:?}")]
    TimeShape {
        /// The text, cut to 40 characters.
        found: String,
    },
    /// Another spelling than the one allowed.
    #[error("a date is written like 2026-11-22, found {found:?}")]
    DateShape {
        /// The text, cut to 40 characters.
        found: String,
    },
    /// No such day in the calendar, or a year before 1970 or after 9999.
    #[error("there is no day {year:04}-{month:02}-{day:02} between 1970 and 9999")]
    NoSuchDay {
        /// Year.
        year: u16,
        /// Month.
        month: u8,
        /// Day.
        day: u8,
    },
}

const DAY_MILLIS: u64 = 86_400_000;

impl Timestamp {
    /// The last instant that can be written: the end of the year 9999.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// The instant so many milliseconds after the epoch; later ones than [`Timestamp::MAX`] become it.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        if millis > Self::MAX.0 { Self::MAX } else { Self(millis) }
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This instant and so many milliseconds more.
    #[must_use]
    pub const fn plus_millis(self, millis: u64) -> Self {
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this instant, 0 if it is later.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Date {
    /// The date, if there is such a day between 1970 and 9999.
    ///
    /// # Errors
    /// [`TimeError::NoSuchDay`].
    pub fn new(year: u16, month: u8, day: u8) -> Result<Self, TimeError> {
        if (1970..=9999).contains(&year) && day >= 1 && day <= days_in_month(year, month) {
            Ok(Self { year, month, day })
        } else {
            Err(TimeError::NoSuchDay { year, month, day })
        }
    }

    /// Year, month, day.
    #[must_use]
    pub const fn parts(self) -> (u16, u8, u8) {
        (self.year, self.month, self.day)
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub fn days_since_epoch(self) -> u32 {
        let mut days = u32::from(self.day) - 1;
        days += (1..self.month).map(|month| u32::from(days_in_month(self.year, month))).sum::<u32>();
        days + days_before_year(self.year)
    }

    /// The date so many days after 1970-01-01, if before the year 10000.
    #[must_use]
    pub fn from_days_since_epoch(days: u32) -> Option<Self> {
        let guess = u16::try_from(1970 + days / 366).ok()?;
        let year = (guess..=9999).take_while(|year| days_before_year(*year) <= days).last()?;
        let mut rest = days - days_before_year(year);
        for month in 1..=12 {
            let length = u32::from(days_in_month(year, month));
            if rest < length {
                return Self::new(year, month, u8::try_from(rest + 1).ok()?).ok();
            }
            rest -= length;
        }
        None
    }
}

const fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_in_month(year: u16, month: u8) -> u8 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 0,
    }
}

/// Days from 1970-01-01 to the first of January of `year`, by the Gregorian rule of leap years.
fn days_before_year(year: u16) -> u32 {
    let leaps = |year: u32| year / 4 - year / 100 + year / 400;
    let year = u32::from(year);
    365 * (year - 1970) + leaps(year - 1) - leaps(1969)
}

/// The digits of `text[range]` as a number; `None` if one is no digit.
fn number(text: &str, range: std::ops::Range<usize>) -> Option<u16> {
    text.get(range)?.bytes().try_fold(0u16, |value, byte| byte.is_ascii_digit().then(|| value * 10 + u16::from(byte - b'0')))
}

fn parse_date(text: &str) -> Option<Result<Date, TimeError>> {
    let separators = [(4, b'-'), (7, b'-')];
    if text.len() != 10 || separators.iter().any(|(at, byte)| text.as_bytes().get(*at) != Some(byte)) {
        return None;
    }
    let (year, month, day) = (number(text, 0..4)?, number(text, 5..7)?, number(text, 8..10)?);
    Some(Date::new(year, u8::try_from(month).ok()?, u8::try_from(day).ok()?))
}

impl FromStr for Date {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, TimeError> {
        parse_date(text).unwrap_or_else(|| Err(TimeError::DateShape { found: text.chars().take(40).collect() }))
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let shape = || TimeError::TimeShape { found: text.chars().take(40).collect() };
        let separators = [(10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (23, b'Z')];
        if text.len() != 24 || separators.iter().any(|(at, byte)| text.as_bytes().get(*at) != Some(byte)) {
            return Err(shape());
        }
        let date = text.get(0..10).and_then(parse_date).ok_or_else(shape)??;
        let part = |range| number(text, range).map(u64::from).ok_or_else(shape);
        let (hour, minute, second, millis) = (part(11..13)?, part(14..16)?, part(17..19)?, part(20..23)?);
        if hour > 23 || minute > 59 || second > 59 {
            return Err(shape());
        }
        let of_day = ((hour * 60 + minute) * 60 + second) * 1000 + millis;
        Ok(Self(u64::from(date.days_since_epoch()) * DAY_MILLIS + of_day))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = u32::try_from(self.0 / DAY_MILLIS).map_err(|_| fmt::Error)?;
        let date = Date::from_days_since_epoch(days).ok_or(fmt::Error)?;
        let of_day = self.0 % DAY_MILLIS;
        let (seconds, millis) = (of_day / 1000, of_day % 1000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let [year, month, day] = [date.year, date.month.into(), date.day.into()].map(u64::from);
        // By hand: every statement and fact has one, and the formatter takes longer than hashing it.
        let mut text = *b"0000-00-00T00:00:00.000Z";
        for (end, number) in [(4, year), (7, month), (10, day), (13, hour), (16, minute), (19, second), (23, millis)] {
            let mut left = number;
            for at in (0..end).rev() {
                if left == 0 {
                    break;
                }
                if let Some(to) = text.get_mut(at) {
                    *to = b'0' + u8::try_from(left % 10).unwrap_or(0);
                }
                left /= 10;
            }
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn times_round_trip_and_order_like_their_texts(a in 0..=Timestamp::MAX.0, b in 0..=Timestamp::MAX.0) {
            let (a, b) = (Timestamp(a), Timestamp(b));
            prop_assert_eq!(a.to_string().parse(), Ok(a));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }
    }

    #[test]
    fn every_day_of_four_centuries_round_trips() {
        for days in 0..146_097 {
            let date = Date::from_days_since_epoch(days).unwrap();
            assert_eq!(date.days_since_epoch(), days);
        }
    }

    #[test]
    fn known_instants() {
        assert_eq!("2024-02-29T23:59:59.999Z".parse::<Timestamp>().unwrap().as_millis(), 1_709_251_199_999);
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn other_spellings_and_days_that_do_not_exist_are_refused() {
        for text in [
            "2026-11-22T10:03:04Z",
            "2026-11-22T10:03:04.005+07:00",
            "2026-11-22 10:03:04.005Z",
            "2026-11-22T24:00:00.000Z",
            "2026-11-22T10:03:04.０Z",
        ] {
            assert!(matches!(text.parse::<Timestamp>(), Err(TimeError::TimeShape { .. })), "{text}");
        }
        assert_eq!("2025-02-29".parse::<Date>(), Err(TimeError::NoSuchDay { year: 2025, month: 2, day: 29 }));
        assert!(matches!("22/11/2026".parse::<Date>(), Err(TimeError::DateShape { .. })));
    }
}
