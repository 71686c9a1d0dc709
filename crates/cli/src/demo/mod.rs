//! `truc demo`: the whole axis on loopback, from nothing to verified evidence, with 94 agencies and a SIGKILL in between.
//!
//! Every daemon is a process, started from this binary: the broker, the edges of the three agencies of the story, and one that hosts the other 91.
//! Any step that fails ends the demo with its name.

mod axis;
mod broadcast;
mod burst;
mod letters;
mod memory;
mod proof;

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use crate::failure::{Exit, Failure};
use crate::language::Language;
use crate::output::Output;

/// Show the whole axis on loopback: 94 agencies, a document to all of them, a crash, evidence. Needs nothing and leaves nothing.
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
    show.act("1. Keys, certificates and a new log for 94 agencies", "1. Khoá, chứng thư và nhật ký mới cho 94 cơ quan")?;
    let mut axis = axis::Axis::make(&folder, &mut show)?;
    show.act("2. One broker, three edges and 91 more in one process", "2. Một trục, ba nút biên và 91 nút biên nữa trong một tiến trình")?;
    axis.start(&mut show)?;
    show.act(
        "3. The national sample from A80 to a unit of Tây Ninh, and a PDF to two agencies",
        "3. Bản tin mẫu quốc gia từ A80 đến một đơn vị của Tây Ninh, và một tệp PDF đến hai cơ quan",
    )?;
    let mut sent = letters::send(&axis, &mut show).await?;
    show.act("4. One PDF from A80 to all 94 agencies", "4. Một tệp PDF từ A80 đến cả 94 cơ quan")?;
    sent.push(broadcast::run(&axis, &mut show).await?);
    show.act("5. The broker is killed in the middle of a run", "5. Trục bị tắt đột ngột giữa chừng")?;
    burst::run(&mut axis, arguments.documents, &mut show).await?;
    show.act("6. Evidence, verified offline", "6. Chứng cứ, kiểm tra ngoại tuyến")?;
    proof::run(&axis, &sent, &mut show).await?;
    memory::check(&mut axis, &mut show)?;
    axis.stop().await?;
    let seconds = show.started.elapsed().as_secs_f32();
    let kept = |words: &str| arguments.keep.as_ref().map(|keep| format!("; {words} {}", keep.display())).unwrap_or_default();
    show.step(
        "done",
        &format!("every step held, in {seconds:.1} s{}", kept("everything is kept in")),
        &format!("mọi bước đều đạt, trong {seconds:.1} giây{}", kept("tất cả được giữ trong")),
    )?;
    Ok(Exit::Done)
}

/// What the demo shows: a line a step, with the time it came.
pub(crate) struct Show<'a> {
    output: &'a mut Output,
    language: Language,
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
        Self { language: output.language(), output, started: Instant::now() }
    }

    /// The text in the language that was asked for.
    const fn words<'t>(&self, english: &'t str, vietnamese: &'t str) -> &'t str {
        match self.language {
            Language::En => english,
            Language::Vi => vietnamese,
        }
    }

    /// A part of the demo begins.
    fn act(&mut self, english: &str, vietnamese: &str) -> Result<(), Failure> {
        if self.output.is_json() {
            return self.step("act", english, vietnamese);
        }
        let title = self.words(english, vietnamese);
        self.output.data(&format!("\n{title}"), &())
    }

    /// Something happened.
    fn step(&mut self, step: &str, english: &str, vietnamese: &str) -> Result<(), Failure> {
        let text = self.words(english, vietnamese);
        let millis = self.started.elapsed().as_millis();
        let seconds = self.started.elapsed().as_secs_f32();
        self.output.data(&format!("{seconds:6.2} s  {text}"), &Line { millis, step, text })
    }

    /// The same line again, while something takes long.
    fn progress(&mut self, english: &str, vietnamese: &str) {
        let text = self.words(english, vietnamese);
        self.output.progress(text);
    }
}
