//! Reader and writer against real samples, hostile bytes and every tolerance it promises. Constant memory is shown in `memory.rs`.

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod specification;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tolerance;
#[cfg(test)]
mod writer;
