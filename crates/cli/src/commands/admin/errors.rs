//! `truc admin errors`: what a stable reason means, whose fault it is and what to do. Offline.

use clap::{Args, Subcommand};
use truc_types::Reason;

use super::remote::{heads, row};
use crate::failure::{Exit, Failure};
use crate::language::Language;
use crate::measure;
use crate::output::Output;

/// What to do with reasons.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Explain one reason, in either spelling: `seal.expired_reseal` or `SEAL_EXPIRED_RESEAL`.
    Explain(ExplainArguments),
    /// List all reasons.
    List,
}

/// Which reason.
#[derive(Debug, Args)]
pub struct ExplainArguments {
    /// The reason.
    reason: String,
}

#[derive(serde::Serialize)]
struct Explained {
    reason: &'static str,
    error_info: String,
    fault: &'static str,
    retry: &'static str,
    meaning: &'static str,
    meaning_vi: &'static str,
    advice: &'static str,
    advice_vi: &'static str,
}

pub(super) fn run(command: &Command, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        Command::Explain(arguments) => explain(&arguments.reason, output),
        Command::List => list(output),
    }
}

fn explain(text: &str, output: &mut Output) -> Result<Exit, Failure> {
    let reason: Reason =
        text.parse().map_err(|cause| Failure::Usage(format!("{cause}; `truc admin errors list` shows those of this release")))?;
    let explained = of(reason);
    let (blame, retry) = (reason.blame(), reason.retry());
    let lines = [
        format!("{} ({})", explained.reason, explained.error_info),
        format!("  what it means: {}", explained.meaning),
        format!("  whose fault:   {}", blame.who()),
        format!("  again:         {}", retry.when()),
        format!("  what to do:    {}", explained.advice),
        format!("  nghĩa là:      {}", explained.meaning_vi),
        format!("  lỗi của:       {}", blame.who_vi()),
        format!("  thử lại:       {}", retry.when_vi()),
        format!("  cần làm:       {}", explained.advice_vi),
    ];
    output.data(&lines.join("\n"), &explained)?;
    Ok(Exit::Done)
}

fn list(output: &mut Output) -> Result<Exit, Failure> {
    if output.is_json() {
        Reason::ALL.iter().try_for_each(|reason| output.data("", &of(*reason)))?;
        return Ok(Exit::Done);
    }
    let language = output.language();
    let cells = |reason: &Reason| {
        let explained = of(*reason);
        let cells = match language {
            Language::En => [explained.reason, explained.fault, explained.retry, explained.advice],
            Language::Vi => [explained.reason, reason.blame().who_vi(), reason.retry().when_vi(), explained.advice_vi],
        };
        row(cells)
    };
    let head = heads(language, [("REASON", "LÝ DO"), ("FAULT", "LỖI CỦA"), ("AGAIN", "THỬ LẠI"), ("WHAT TO DO", "CẦN LÀM")]);
    let rows: Vec<_> = std::iter::once(head).chain(Reason::ALL.iter().map(cells)).collect();
    output.data(&measure::table(&rows), &())?;
    Ok(Exit::Done)
}

fn of(reason: Reason) -> Explained {
    Explained {
        reason: reason.code(),
        error_info: reason.error_info(),
        fault: reason.blame().word(),
        retry: reason.retry().word(),
        meaning: reason.meaning(),
        meaning_vi: reason.meaning_vi(),
        advice: reason.advice(),
        advice_vi: reason.advice_vi(),
    }
}
