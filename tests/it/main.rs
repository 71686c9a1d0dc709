//! The end-to-end tests: one file per promise.

#[cfg(test)]
mod crash;
#[cfg(test)]
mod directory;
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
