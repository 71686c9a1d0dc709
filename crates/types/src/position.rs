//! Numbers that must not be mixed up: each counts one thing from one origin.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            /// The number after this one.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }

            /// This number and `count` more.
            #[must_use]
            pub const fn plus(self, count: u64) -> Self {
                Self(self.0 + count)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number! {
    /// Numbers the entries of a journal from 0, over all shards.
    Position
}
number! {
    /// Numbers the leaves of one log shard from 0: position − first position of the shard.
    LeafIndex
}
number! {
    /// Numbers the blocks of a journal from 0.
    BlockNumber
}
number! {
    /// Counts the sequencers of a journal: a higher term fences the lower ones.
    Term
}
number! {
    /// Numbers the deliveries of one recipient agency from 1, without gaps.
    QueuePosition
}
number! {
    /// Numbers the envelopes of one agency within one edge term from 1, assigned at sealing.
    SenderSeq
}
number! {
    /// Counts the edges of one agency that were ever active: a higher term fences the lower ones.
    EdgeTerm
}
