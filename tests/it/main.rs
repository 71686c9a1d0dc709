//! The end-to-end tests: one file per promise.

#[cfg(test)]
mod admin;
#[cfg(test)]
mod backup;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod clock;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod deploy;
#[cfg(test)]
mod directory;
#[cfg(test)]
mod dms;
#[cfg(test)]
mod dms_refusals;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod evidence;
#[cfg(test)]
mod exhaustion;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod journey;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod observability;
#[cfg(test)]
mod recovery;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod registry;
#[cfg(test)]
mod running;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod small_disk;
#[cfg(test)]
mod syscalls;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod watch_folder;
