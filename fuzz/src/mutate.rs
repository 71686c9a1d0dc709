//! Mutations that keep enough structure to get behind the first check: bit flips, splices, truncations, repeats, words of the format.
//!
//! The generator is fixed, so a failing round happens again with the same seed.

/// Longest input: a statement file at its limit, and a bit.
pub const INPUT_BYTES_MAX: usize = 70_000;

/// xorshift64*: small, fast, and the same on every machine.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Any seed but 0 works; 0 becomes another.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(if seed == 0 { 0x9e37_79b9_7f4a_7c15 } else { seed })
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`; 0 when that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX);
        usize::try_from(self.next().checked_rem(end).unwrap_or(0)).unwrap_or(0)
    }

    /// One of these; none when there are none.
    pub fn one<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len()))
    }
}

/// A mutant of `seeds`: one of them, changed one to three times.
#[must_use]
pub fn mutant(random: &mut Random, seeds: &[Vec<u8>], words: &[&[u8]]) -> Vec<u8> {
    let mut input = random.one(seeds).cloned().unwrap_or_default();
    for _ in 0..=random.below(3) {
        change(random, &mut input, seeds, words);
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}

fn change(random: &mut Random, input: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[&[u8]]) {
    let at = random.below(input.len() + 1);
    let until = (at + random.below(64)).min(input.len());
    match random.below(8) {
        0 => {
            let bit = 1 << random.below(8);
            if let Some(byte) = input.get_mut(at) {
                *byte ^= bit;
            }
        }
        1 => {
            let value = random.next().to_le_bytes();
            if let Some(byte) = input.get_mut(at) {
                *byte = value.first().copied().unwrap_or_default();
            }
        }
        2 => input.truncate(at),
        3 => drop(input.drain(at..until)),
        4 => {
            let piece = input.get(at..until).unwrap_or_default().repeat(1 + random.below(200));
            input.splice(at..at, piece);
        }
        5 => {
            let other = random.one(seeds).cloned().unwrap_or_default();
            let from = random.below(other.len() + 1);
            input.splice(at.., other.into_iter().skip(from));
        }
        _ => {
            let word = random.one(words).map(|word| word.to_vec()).unwrap_or_default();
            // In place of something as often as beside it.
            let until = if random.below(2) == 0 { at } else { until };
            input.splice(at..until, word);
        }
    }
}
