//! A journal in memory whose appends wait until the test lets them go, and which the test gets back when its owner has ended.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use parking_lot::Mutex;
use truc_journal::memory::MemoryJournal;
use truc_journal::{AppendError, Block, Journal, JournalEnd, JournalReader};

pub(super) struct Gate {
    inner: Arc<Mutex<Option<MemoryJournal>>>,
    arrived: Sender<()>,
    open: Receiver<()>,
}

/// The test's side.
pub(super) struct Keeper {
    pub(super) journal: Arc<Mutex<Option<MemoryJournal>>>,
    arrived: Receiver<()>,
    open: Option<Sender<()>>,
}

/// A gate before a journal. Nothing passes until the keeper says so.
pub(super) fn gate(journal: MemoryJournal) -> (Gate, Keeper) {
    let inner = Arc::new(Mutex::new(Some(journal)));
    let ((arriving, arrived), (opening, open)) = (channel(), channel());
    (Gate { inner: inner.clone(), arrived: arriving, open }, Keeper { journal: inner, arrived, open: Some(opening) })
}

impl Keeper {
    /// Waits until a block stands before the gate.
    pub(super) fn wait_for_block(&self) {
        self.arrived.recv().unwrap();
    }

    /// Lets one block pass.
    pub(super) fn pass_one(&self) {
        self.open.as_ref().unwrap().send(()).unwrap();
    }

    /// Lets all pass from now on.
    pub(super) fn pass_all(&mut self) {
        self.open = None;
    }
}

impl Gate {
    fn with<T>(&self, work: impl FnOnce(&mut MemoryJournal) -> T) -> T {
        work(self.inner.lock().as_mut().unwrap())
    }
}

impl Journal for Gate {
    fn append(&mut self, block: Block) -> Result<(), AppendError> {
        // The test may not listen any more.
        self.arrived.send(()).ok();
        // An error says that all may pass.
        self.open.recv().ok();
        self.with(|journal| journal.append(block))
    }

    fn end(&self) -> JournalEnd {
        self.with(|journal| journal.end())
    }

    fn reader(&self) -> Arc<dyn JournalReader> {
        self.with(|journal| journal.reader())
    }

    fn settle(&mut self) -> Result<(), AppendError> {
        self.with(|journal| journal.settle())
    }

    fn close(self: Box<Self>) -> Result<(), AppendError> {
        Ok(())
    }
}
