//! How full the queues are, for metrics. Reads counters and the first of each lane, never a whole queue.

use truc_core::registry::AgencyIndex;
use truc_types::Lane;

use super::Sequencer;
use crate::meters::{Lanes, Load};

impl Sequencer {
    /// The load of all agencies but the axis' own.
    pub(super) fn load(&self) -> Load {
        let registry = self.state.registry();
        let own = registry.axis_agency();
        let mut load = Load { open_messages: self.state.open_messages(), ..Load::default() };
        for index in (0..registry.agencies().len()).filter_map(|index| u16::try_from(index).ok().map(AgencyIndex)) {
            if Some(index) == own {
                continue;
            }
            let mut lanes: Lanes = [(0, None); Lane::COUNT];
            if let Some(queue) = self.queues.get(usize::from(index.0)) {
                load.leases += queue.leased();
                for (shown, lane) in lanes.iter_mut().zip(queue.load()) {
                    let oldest = lane.oldest.and_then(|message_id| self.state.message(&message_id));
                    *shown = (lane.waiting, oldest.map(|message| message.accepted_at));
                }
            }
            load.queues.push((index, lanes));
            load.streams += usize::from(self.streams.get(usize::from(index.0)).is_some_and(Option::is_some));
        }
        load
    }
}
