//! The attachment store from outside, on real folders.

#[cfg(test)]
mod crashes;
#[cfg(test)]
mod keeping;
#[cfg(test)]
mod scratch;
#[cfg(test)]
mod uploads;
