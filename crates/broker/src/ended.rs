//! A thread of the engine that ends, on purpose or by a panic, ends the process: a broker that lacks one answers some and not others.
//!
//! Not the reason of a failure that a thread returns: that comes with joining it.

use std::sync::Arc;

use parking_lot::Mutex;
use truc_transport::shutdown::Shutdown;

/// Whether a thread of the engine has ended. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Endings {
    some: Shutdown,
    panicked: Arc<Mutex<Option<String>>>,
}

/// Held by a thread of the engine as long as it lives.
#[derive(Debug)]
pub(crate) struct Ended(Endings);

impl Endings {
    /// For one more thread.
    pub(crate) fn guard(&self) -> Ended {
        Ended(self.clone())
    }

    /// Waits until a thread has ended.
    pub(crate) async fn begun(&self) {
        self.some.begun().await;
    }

    /// The first thread that panicked.
    pub(crate) fn panicked(&self) -> Option<String> {
        self.panicked.lock().clone()
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let name = std::thread::current().name().unwrap_or("without a name").to_owned();
            self.0.panicked.lock().get_or_insert(name);
        }
        self.0.some.begin();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_thread_that_panics_is_named_and_any_end_is_seen() {
        let endings = Endings::default();
        let guard = endings.guard();
        std::thread::spawn(move || drop(guard)).join().unwrap();
        assert!(endings.some.has_begun());
        assert_eq!(endings.panicked(), None);
        for name in ["admission-1", "sequencer"] {
            let guard = endings.guard();
            let thread = std::thread::Builder::new().name(name.to_owned());
            let thread = thread.spawn(move || {
                let _guard = guard;
                panic!("as asked");
            });
            assert!(thread.unwrap().join().is_err());
        }
        assert_eq!(endings.panicked().as_deref(), Some("admission-1"));
    }
}
