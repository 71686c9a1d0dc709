//! Tests of the signing library from outside, over its public interface.

#[cfg(test)]
mod certificates;
#[cfg(test)]
mod draw;
#[cfg(test)]
mod key_files;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod seals;
#[cfg(test)]
mod vectors;
