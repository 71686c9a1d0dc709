//! How many connections each owner of a certificate has. Not whether a certificate is good, which the handshake found out, nor what it may call.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use parking_lot::Mutex;
use truc_signing::Owner;
use truc_types::limits::CONNECTIONS_PER_AGENCY_MAX;

/// Connections of a listener by owner. Holds nothing of owners that have none. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Owners {
    connections: Arc<Mutex<HashMap<Owner, usize>>>,
}

/// One connection of an owner, until it is dropped.
#[derive(Debug)]
pub(crate) struct OwnerPlace {
    owners: Owners,
    owner: Owner,
}

impl Owners {
    /// A place for one more connection; none when the owner has as many as it may have.
    pub(crate) fn place(&self, owner: &Owner) -> Option<OwnerPlace> {
        let mut connections = self.connections.lock();
        let count = connections.entry(owner.clone()).or_default();
        if *count >= CONNECTIONS_PER_AGENCY_MAX {
            return None;
        }
        *count += 1;
        Some(OwnerPlace { owners: self.clone(), owner: owner.clone() })
    }
}

impl Drop for OwnerPlace {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.owners.connections.lock().entry(self.owner.clone()) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_owner_has_its_places_only_and_gets_them_back() {
        let owners = Owners::default();
        let [first, second] = ["H1", "H2"].map(|code| Owner::Agency(code.parse().unwrap()));
        let mut held: Vec<_> = std::iter::from_fn(|| owners.place(&first)).collect();
        assert_eq!(held.len(), CONNECTIONS_PER_AGENCY_MAX);
        assert!(owners.place(&second).is_some() && owners.place(&Owner::Operator).is_some());
        held.pop();
        assert!(owners.place(&first).is_some(), "a connection that ended makes room");
        drop(held);
        assert!(owners.connections.lock().is_empty());
    }
}
