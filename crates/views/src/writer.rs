//! The thread that writes batches to a view, off the path of whoever decides them. Not the store: a failed write stops this thread, never the journal.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;
use truc_types::Position;

use crate::ViewError;
use crate::batch::ViewBatch;
use crate::contain::bounded;
use crate::store::ViewStore;

/// Batches that may wait for the thread: enough that it never idles, few enough that memory stays small.
pub const WRITER_QUEUE_MAX: usize = 4;

/// What the thread is told.
enum Work {
    Write(ViewBatch),
    /// Everything before this is written.
    Tell(SyncSender<()>),
}

/// Writes batches in the background, in order.
pub struct Writer {
    store: Arc<ViewStore>,
    /// `None` only while it is dropped.
    queue: Option<SyncSender<Work>>,
    thread: Option<JoinHandle<()>>,
    broken: Arc<Mutex<Option<String>>>,
}

impl Writer {
    /// Starts the thread, `nice` levels of priority behind the others. `written` is called on it after each batch with the position that is durable now;
    /// [`crate::Overlay::written`] belongs there.
    ///
    /// # Errors
    /// [`ViewError::Io`] if the system gives no thread.
    pub fn start(store: Arc<ViewStore>, nice: i32, written: impl FnMut(Position) + Send + 'static) -> Result<Self, ViewError> {
        let (queue, work) = sync_channel(WRITER_QUEUE_MAX);
        let broken = Arc::new(Mutex::new(None));
        let (thread_store, thread_broken) = (Arc::clone(&store), Arc::clone(&broken));
        let thread = thread::Builder::new()
            .name("view-writer".into())
            .spawn(move || {
                step_back(nice);
                write_all(&thread_store, &work, &thread_broken, written);
            })
            .map_err(|source| ViewError::Io { doing: "start the writer of", path: "the view".into(), source })?;
        Ok(Self { store, queue: Some(queue), thread: Some(thread), broken })
    }

    /// Hands a batch over, waiting while the queue is full. Not for async code.
    ///
    /// # Errors
    /// [`ViewError::Broken`] when an earlier write failed, see [`Writer::broken`]: nothing is written any more until the next start rebuilds the view.
    pub fn write(&self, batch: ViewBatch) -> Result<(), ViewError> {
        let sent = self.queue.as_ref().map(|queue| queue.send(Work::Write(batch)));
        sent.and_then(Result::ok).ok_or(ViewError::Broken)
    }

    /// Waits until all that was handed over is written, or a write has failed. Not for async code.
    pub fn wait(&self) {
        let (tell, told) = sync_channel(1);
        if self.queue.as_ref().is_some_and(|queue| queue.send(Work::Tell(tell)).is_ok()) {
            // An error: the thread has ended, see `broken`.
            let _ended = told.recv();
        }
    }

    /// The position that is durable in the view.
    #[must_use]
    pub fn reached(&self) -> Position {
        self.store.position()
    }

    /// Why the view takes no more batches, if it does not.
    #[must_use]
    pub fn broken(&self) -> Option<String> {
        self.broken.lock().clone()
    }

    /// Writes what is queued, then ends the thread.
    pub fn close(self) {
        drop(self);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the writer of the view panicked");
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("store", &self.store).field("broken", &self.broken()).finish_non_exhaustive()
    }
}

/// Of this thread alone, and of those that sled starts from it.
fn step_back(nice: i32) {
    if nice != 0
        && let Err(error) = rustix::process::nice(nice)
    {
        tracing::debug!(%error, "the writer of the view runs like the others");
    }
}

/// Ends when the queue is closed or a write failed; then the channel closes and callers see [`ViewError::Broken`].
fn write_all(store: &ViewStore, queue: &Receiver<Work>, broken: &Mutex<Option<String>>, mut written: impl FnMut(Position)) {
    for work in queue {
        let batch = match work {
            Work::Write(batch) => batch,
            Work::Tell(waiting) => {
                // Who does not wait any more need not know.
                let _gone = waiting.send(());
                continue;
            }
        };
        let position = batch.position;
        if let Err(error) = store.write(batch) {
            tracing::error!(%position, %error, "the writer of the view stops");
            *broken.lock() = Some(bounded(&error.to_string()));
            return;
        }
        written(position);
    }
}
