//! The five national priorities and the four lanes they travel in.

/// Urgency of a document (`OtherInfo/Priority` in edXML; Decision 28/2018 art. 10.2k, Decree 30/2020 art. 4.2c).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Urgency {
    /// 0, thường.
    Normal = 0,
    /// 1, khẩn.
    Urgent = 1,
    /// 2, thượng khẩn.
    VeryUrgent = 2,
    /// 3, hỏa tốc.
    Flash = 3,
    /// 4, hỏa tốc hẹn giờ: flash at a set hour; the hour is a field of its own.
    FlashAtHour = 4,
}

impl Urgency {
    /// The urgency of a national digit; `None` above 4.
    #[must_use]
    pub const fn from_digit(digit: u8) -> Option<Self> {
        match digit {
            0 => Some(Self::Normal),
            1 => Some(Self::Urgent),
            2 => Some(Self::VeryUrgent),
            3 => Some(Self::Flash),
            4 => Some(Self::FlashAtHour),
            _ => None,
        }
    }

    /// The national digit.
    #[must_use]
    pub const fn digit(self) -> u8 {
        self as u8
    }

    /// The lane documents of this urgency travel in.
    #[must_use]
    pub const fn lane(self) -> Lane {
        match self {
            Self::Normal => Lane::Normal,
            Self::Urgent => Lane::Urgent,
            Self::VeryUrgent => Lane::VeryUrgent,
            Self::Flash | Self::FlashAtHour => Lane::Flash,
        }
    }
}

/// One of the four lanes of a queue; a higher lane is drained first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Lane {
    /// Priority 0.
    Normal = 0,
    /// Priority 1.
    Urgent = 1,
    /// Priority 2.
    VeryUrgent = 2,
    /// Priorities 3 and 4.
    Flash = 3,
}

impl Lane {
    /// Number of lanes.
    pub const COUNT: usize = 4;

    /// Highest first: the order in which a queue is drained.
    pub const DRAIN_ORDER: [Self; Self::COUNT] = [Self::Flash, Self::VeryUrgent, Self::Urgent, Self::Normal];

    /// Index into an array of [`Lane::COUNT`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}
