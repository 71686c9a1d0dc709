//! SIGHUP: reads the settings again and takes over what a running process can. Everything or nothing: on any mistake all stays as it was.

use truc_settings::{Applies, Entry, Section, Source, changes};
use truc_types::{Reason, Refusal};

use crate::notify::Notify;

/// Takes over what was prepared; says what, by the names of settings and files. Cannot fail.
pub type Commit = Box<dyn FnOnce() -> Vec<&'static str>>;

/// Reads everything that may be wrong, before anything is changed.
pub type Prepare<S> = Box<dyn Fn(&S) -> Result<Commit, Refusal> + Send>;

/// What a reload needs to know.
pub struct Reloader<S> {
    /// Where the settings come from.
    pub source: Source,
    /// What the process runs with.
    pub entries: Vec<Entry>,
    /// The part of this daemon.
    pub prepare: Prepare<S>,
}

impl<S: Section + Send> Reloader<S> {
    /// Reloads at every SIGHUP, for ever.
    ///
    /// # Errors
    /// When the signal cannot be listened to.
    pub fn start(mut self, notify: Notify) -> std::io::Result<()>
    where
        S: 'static,
    {
        let mut hangups = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
        tokio::spawn(async move {
            while hangups.recv().await.is_some() {
                notify.reloading();
                // Files are read and a key is decrypted.
                let status = tokio::task::block_in_place(|| self.reload());
                notify.ready(status);
            }
        });
        Ok(())
    }

    fn reload(&mut self) -> &'static str {
        let loaded = match truc_settings::load::<S>(&self.source) {
            Ok(loaded) => loaded,
            Err(mistakes) => {
                for mistake in &mistakes.mistakes {
                    tracing::error!(reason = %Reason::ConfigInvalid, file = %mistakes.file.display(), line = mistake.line, key = mistake.key, "{}", mistake.message);
                }
                tracing::error!("nothing was reloaded: the settings have mistakes");
                return "serving with the old settings: the new ones have mistakes";
            }
        };
        let commit = match (self.prepare)(&loaded.settings) {
            Ok(commit) => commit,
            Err(refusal) => {
                tracing::error!(reason = %refusal.reason, "nothing was reloaded: {}", refusal.message);
                return "serving with the old settings: a file of the new ones is wrong";
            }
        };
        let changed = changes(&self.entries, &loaded.entries);
        let keys =
            |applies| changed.iter().filter(|change| change.applies == applies).map(|change| change.key.as_str()).collect::<Vec<_>>();
        let (reloaded, restart) = (keys(Applies::OnReload), keys(Applies::AtStart));
        let files = commit();
        tracing::info!(settings = reloaded.join(", "), files = files.join(", "), "reloaded");
        if !restart.is_empty() {
            tracing::warn!(settings = restart.join(", "), "changed settings need a restart");
        }
        for (running, new) in self.entries.iter_mut().zip(loaded.entries) {
            if running.applies == Applies::OnReload {
                *running = new;
            }
        }
        "serving"
    }
}
