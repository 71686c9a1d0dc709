//! `truc demo`: the whole axis on loopback, from nothing to verified evidence, with a SIGKILL in between.
//!
//! Every daemon is a process of its own, started from this binary. Any step that fails ends the demo with its name.

mod axis;
mod burst;
mod letters;
mod proof;

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Show the whole axis on loopback: three agencies, a document, a crash, evidence. Needs nothing and leaves nothing.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Keep keys, journals and evidence in this folder, which must not exist or be empty.
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Documents that are sent while the broker is killed.
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(10..=10_000))]
    pub documents: u32,
}

/// Runs the demo.
///
/// # Errors
/// The step that failed.
pub async fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let mut show = Show::new(output);
    let scratch = tempfile::TempDir::with_prefix("truc-demo-").map_err(|source| Failure::file(&std::env::temp_dir(), source))?;
    let folder = match &arguments.keep {
        Some(keep) => keep.clone(),
        None => scratch.path().to_owned(),
    };
    show.act("1. Keys, certificates and a new log")?;
    let mut axis = axis::Axis::make(&folder, &mut show)?;
    show.act("2. One broker and three edges, each a process of its own")?;
    axis.start(&mut show)?;
    show.act("3. The national sample from A80 to a unit of Tây Ninh, and a PDF to two agencies")?;
    let sent = letters::send(&axis, &mut show).await?;
    show.act("4. The broker is killed in the middle of a run")?;
    burst::run(&mut axis, arguments.documents, &mut show).await?;
    show.act("5. Evidence for every recipient, verified offline")?;
    proof::run(&axis, &sent, &mut show).await?;
    axis.stop().await?;
    let seconds = show.started.elapsed().as_secs_f32();
    let kept = arguments.keep.as_ref().map(|keep| format!("; everything is kept in {}", keep.display())).unwrap_or_default();
    show.step("done", &format!("Every step held, in {seconds:.1} s{kept}. Mọi bước đều đạt."))?;
    Ok(Exit::Done)
}

/// What the demo shows: a line a step, with the time it came.
pub(crate) struct Show<'a> {
    output: &'a mut Output,
    started: Instant,
}

#[derive(serde::Serialize)]
struct Line<'a> {
    millis: u128,
    step: &'a str,
    text: &'a str,
}

impl<'a> Show<'a> {
    #[expect(clippy::disallowed_methods, reason = "how long the demo takes is shown to people; nothing depends on it")]
    fn new(output: &'a mut Output) -> Self {
        Self { output, started: Instant::now() }
    }

    /// A part of the demo begins.
    fn act(&mut self, title: &str) -> Result<(), Failure> {
        if self.output.is_json() { self.step("act", title) } else { self.output.data(&format!("\n{title}"), &()) }
    }

    /// Something happened.
    fn step(&mut self, step: &str, text: &str) -> Result<(), Failure> {
        let millis = self.started.elapsed().as_millis();
        let seconds = self.started.elapsed().as_secs_f32();
        self.output.data(&format!("{seconds:6.2} s  {text}"), &Line { millis, step, text })
    }

    /// The same line again, while something takes long.
    fn progress(&mut self, text: &str, last: bool) {
        self.output.progress(text, last);
    }
}
