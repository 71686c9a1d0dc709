//! The only place that reads the wall clock and the system's random source; everything below takes them as values.

use std::time::{SystemTime, UNIX_EPOCH};

use truc_types::{MessageId, Timestamp};

/// Now, by the wall clock of this machine. A clock before 1970 reads as 1970.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock at the edge that everybody else takes time from")]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Random bytes from the operating system.
///
/// # Panics
/// When the operating system has none: no key or nonce made then would be safe.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0u8; N];
    #[expect(clippy::expect_used, reason = "going on without randomness would make guessable keys and nonces")]
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// A new message id.
#[must_use]
pub fn mint() -> MessageId {
    MessageId::mint(now(), random())
}
