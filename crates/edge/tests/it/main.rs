//! Tests of an edge from outside: data folders, and edges on a real broker in one process.

#[cfg(test)]
mod deceit;
#[cfg(test)]
mod edxml;
#[cfg(test)]
mod folder;
#[cfg(test)]
mod journey;
#[cfg(test)]
mod pki;
#[cfg(test)]
mod stalled;
