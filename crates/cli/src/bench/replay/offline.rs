//! A random sample of the log, verified from the broker's folder alone once the broker has ended: seals, and inclusion under the last checkpoint that it
//! signed. And what the entries weigh.

use std::ops::ControlFlow;
use std::path::Path;

use truc_journal::segment::export;
use truc_journal::{Block, EMPTY_ROOT};
use truc_ledger::{Checkpoint, TreeStore, leaf_hash};
use truc_signing::statement::{SignerRole, Statement};
use truc_signing::{Certificate, TrustedKey, open_sealed};
use truc_types::{Digest, LeafIndex, Position, Timestamp};

use crate::bench::axis::Axis;
use crate::bench::disk;
use crate::failure::Failure;
use crate::pki;

/// What was found in the folder.
pub(super) struct Weighed {
    pub(super) entries: u64,
    pub(super) entry_bytes: u64,
    /// Entries of the sample, all of which hold.
    pub(super) verified: u64,
}

/// An entry of the sample.
struct Sampled {
    leaf: LeafIndex,
    bytes: Vec<u8>,
    at: Timestamp,
}

/// Reads the journal in the broker's folder, which must have stopped, and verifies `count` random entries against a checkpoint.
pub(super) fn verify(axis: &Axis, checkpoint: &Checkpoint, count: usize) -> Result<Weighed, Failure> {
    let folder = disk::journal(axis);
    let mut found = Weighed { entries: 0, entry_bytes: 0, verified: 0 };
    // Every how many entries one is taken, at a place that the root of the tree chooses: nobody knew it before.
    let step = (checkpoint.size / count.max(1) as u64).max(1);
    let seed = checkpoint.root.0.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    let (mut tree, mut sample) = (TreeStore::new(checkpoint.size), Vec::new());
    each(&folder, |block| {
        for (leaf, bytes) in (block.header.leaf.0..).zip(&block.entries) {
            found.entries += 1;
            found.entry_bytes += bytes.len() as u64;
            if leaf < checkpoint.size {
                tree.push(leaf_hash(bytes));
                let chosen = (seed ^ (leaf / step).wrapping_mul(0x9e37_79b9_7f4a_7c15)) % step;
                if leaf % step == chosen && sample.len() < count {
                    sample.push(Sampled { leaf: LeafIndex(leaf), bytes: bytes.to_vec(), at: block.header.time });
                }
            }
        }
    })?;
    let keys = keys(axis)?;
    for sampled in &sample {
        check(sampled, &tree, checkpoint, &keys).map_err(|cause| Failure::BadAnswer(format!("leaf {}: {cause}", sampled.leaf)))?;
        found.verified += 1;
    }
    if checkpoint.root == EMPTY_ROOT || found.verified == 0 {
        return Err(Failure::BadAnswer("there is nothing in the log to verify".to_owned()));
    }
    Ok(found)
}

fn check(sampled: &Sampled, tree: &TreeStore, checkpoint: &Checkpoint, keys: &[TrustedKey]) -> Result<(), String> {
    let none = |_: u64| -> Result<Vec<Digest>, String> { Err("all leaves are in memory".to_owned()) };
    let proof = tree.prove_inclusion(sampled.leaf, checkpoint.size, none).map_err(|cause| cause.to_string())?;
    proof.verify(&leaf_hash(&sampled.bytes), &checkpoint.root).map_err(|cause| cause.to_string())?;
    if sampled.bytes.starts_with(b"{\"_type\"") {
        // A fact of the axis, which the checkpoint signs.
        return match Statement::parse(&sampled.bytes) {
            Ok(Statement::Fact(_)) => Ok(()),
            other => Err(format!("a plain entry that is no fact: {other:?}")),
        };
    }
    let sealed = open_sealed(&sampled.bytes).map_err(|cause| cause.to_string())?;
    sealed.verify(sampled.at, |keyid| keys.iter().find(|key| key.keyid == *keyid)).map_err(|cause| cause.to_string())
}

/// The keys of the agencies and of the operator, from the certificates that they were issued.
fn keys(axis: &Axis) -> Result<Vec<TrustedKey>, Failure> {
    let read = |path: &Path, role| {
        let certificate = Certificate::from_pem(&pki::read_text(path)?).map_err(|cause| Failure::BadAnswer(cause.to_string()))?;
        Ok::<_, Failure>(certificate.trusted_key(role))
    };
    let pki = &axis.layout.pki;
    let mut keys = vec![read(&pki.join("operator.cert.pem"), SignerRole::Operator)?];
    // The axis' own agency, if there is one.
    let own = axis.layout.broker.join("keys/loopback.seal.cert.pem");
    if own.exists() {
        keys.push(read(&own, SignerRole::Seal)?);
    }
    for agency in &axis.agencies {
        keys.push(read(&pki.join("agencies").join(agency.code.as_str()).join("seal.cert.pem"), SignerRole::Seal)?);
    }
    Ok(keys)
}

fn each(folder: &Path, mut on_block: impl FnMut(&Block)) -> Result<(), Failure> {
    let exported = export(folder, Position(0), &mut |block| {
        on_block(&block);
        ControlFlow::Continue(())
    });
    exported.map(drop).map_err(|cause| Failure::BadAnswer(cause.to_string()))
}
