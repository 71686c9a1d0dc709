//! How every daemon is started: the flags that all have, the settings file behind them, and the two questions about it that start nothing.

use std::path::{Path, PathBuf};

use truc_settings::{Loaded, Mistakes, Override, Raw, Section, Source, Style};
use truc_types::{Reason, Refusal};

use crate::daemon::{PASSWORD_VARIABLE, password};

/// Flags of every daemon. What a flag says overrules the settings file.
#[derive(Debug, Clone, clap::Args)]
pub struct LaunchArgs {
    /// The settings file.
    #[arg(long, value_name = "FILE", required_unless_present = "data", conflicts_with = "data")]
    pub config: Option<PathBuf>,
    /// A data folder with the settings file in it that `init` wrote.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// File with the password of the key files; without it TRUC_KEY_PASSWORD is read.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Log lines as JSON.
    #[arg(long)]
    pub log_json: bool,
    /// Print every mistake of the settings and start nothing.
    #[arg(long, conflicts_with = "dump_config")]
    pub check_config: bool,
    /// Print the effective settings as a settings file and start nothing.
    #[arg(long)]
    pub dump_config: bool,
    /// Print the ready line and mistakes as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What a daemon is to do.
#[derive(Debug)]
pub enum Launch<S> {
    /// Run with these settings, which came from there.
    Run(Box<Loaded<S>>, Source),
    /// Nothing: a question was answered.
    Answered,
}

impl LaunchArgs {
    /// Reads the settings, and answers `--check-config` and `--dump-config`. `kind` is `broker` or `edge`; `open` reads the keys and looks whether they
    /// fit together.
    ///
    /// # Errors
    /// [`Reason::ConfigInvalid`] with all mistakes of the settings, one a line; for a check also what `open` refuses.
    pub fn settings<S: Section>(
        &self,
        kind: &'static str,
        mut overrides: Vec<Override>,
        open: impl FnOnce(&S, &[u8]) -> Result<(), Refusal>,
        password_file: impl FnOnce(&S) -> Option<&Path>,
    ) -> Result<Launch<S>, Refusal> {
        let file = self.file(kind)?;
        if let Some(path) = &self.password_file {
            overrides.push(Override { key: "password_file", value: Raw::Text(path.display().to_string()) });
        }
        if self.log_json {
            overrides.push(Override { key: "log.format", value: Raw::Text("json".to_owned()) });
        }
        let source = Source { file, overrides };
        let loaded = truc_settings::load::<S>(&source).map_err(|mistakes| self.refuse(&mistakes))?;
        if self.dump_config {
            print(truc_settings::write(&title(kind), &loaded.entries, Style::Effective).trim_end());
            return Ok(Launch::Answered);
        }
        if !self.check_config {
            return Ok(Launch::Run(Box::new(loaded), source));
        }
        let password_file = password_file(&loaded.settings);
        let keys = if password_file.is_some() || std::env::var_os(PASSWORD_VARIABLE).is_some() {
            let opened = password(password_file).and_then(|password| open(&loaded.settings, &password));
            opened.inspect_err(|refusal| drop(self.refuse(&Mistakes::of_file(source.file.clone(), refusal.message.clone()))))?;
            "checked"
        } else {
            "not checked, no password was given"
        };
        let path = source.file.display();
        print(&if self.json {
            let object = serde_json::json!({ "file": path.to_string(), "mistakes": [], "keys": keys });
            object.to_string()
        } else {
            format!("{path}: {} settings, no mistake; keys {keys}", loaded.entries.len())
        });
        Ok(Launch::Answered)
    }

    fn file(&self, kind: &str) -> Result<PathBuf, Refusal> {
        let Some(data) = &self.data else { return Ok(self.config.clone().unwrap_or_default()) };
        let file = data.join(format!("{kind}.toml"));
        if file.is_file() {
            return Ok(file);
        }
        let data = data.display();
        Err(Refusal::new(Reason::ConfigInvalid, format!("{data} holds no {kind}: `truc {kind} init` makes one")))
    }

    /// The refusal; who asked for a check also gets the mistakes as the answer.
    fn refuse(&self, mistakes: &Mistakes) -> Refusal {
        if !self.check_config {
            return Refusal::new(Reason::ConfigInvalid, mistakes.to_string());
        }
        if self.json {
            print(&mistakes.to_json());
        } else {
            print(&mistakes.to_string());
        }
        let (count, file) = (mistakes.mistakes.len(), mistakes.file.display());
        Refusal::new(Reason::ConfigInvalid, format!("{file} has {count} mistake{}", if count == 1 { "" } else { "s" }))
    }
}

/// First line of a settings file.
#[must_use]
pub fn title(kind: &str) -> String {
    format!("Settings of a Truc {kind}. `truc-{kind} --config FILE --check-config` shows every mistake.")
}

#[expect(clippy::print_stdout, reason = "the answer to a question goes to standard output")]
fn print(text: &str) {
    println!("{text}");
}
