//! The end-to-end tests: one file per promise.

#[cfg(test)]
mod clients;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod evidence;
#[cfg(test)]
mod journey;
#[cfg(test)]
mod recovery;
#[cfg(test)]
mod syscalls;
#[cfg(test)]
mod tidy;
