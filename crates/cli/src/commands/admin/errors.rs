//! `truc admin errors`: what a stable reason means, whose fault it is and what to do. Offline.

use clap::{Args, Subcommand};
use truc_types::{Blame, Reason, Retry};

use crate::failure::{Exit, Failure};
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
    advice: &'static str,
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
    let lines = [
        format!("{} ({})", explained.reason, explained.error_info),
        format!("  whose fault (lỗi của ai): {} / {}", fault(reason.blame()).0, fault(reason.blame()).1),
        format!("  again (thử lại): {} / {}", retry(reason.retry()).0, retry(reason.retry()).1),
        format!("  what to do (cần làm gì): {}", explained.advice),
    ];
    output.data(&lines.join("\n"), &explained)?;
    Ok(Exit::Done)
}

fn list(output: &mut Output) -> Result<Exit, Failure> {
    if output.is_json() {
        Reason::ALL.iter().try_for_each(|reason| output.data("", &of(*reason)))?;
        return Ok(Exit::Done);
    }
    let row = |reason: &Reason| {
        let explained = of(*reason);
        [explained.reason, explained.fault, explained.retry, explained.advice].map(str::to_owned).to_vec()
    };
    let head = ["REASON", "FAULT", "AGAIN", "WHAT TO DO"].map(str::to_owned).to_vec();
    let rows: Vec<_> = std::iter::once(head).chain(Reason::ALL.iter().map(row)).collect();
    output.data(&measure::table(&rows), &())?;
    Ok(Exit::Done)
}

fn of(reason: Reason) -> Explained {
    Explained {
        reason: reason.code(),
        error_info: reason.error_info(),
        fault: match reason.blame() {
            Blame::Caller => "caller",
            Blame::Peer => "peer",
            Blame::Operator => "operator",
            Blame::Us => "software",
        },
        retry: match reason.retry() {
            Retry::No => "no",
            Retry::Later => "later",
            Retry::AfterChange => "after_change",
        },
        advice: reason.advice(),
    }
}

/// English and Vietnamese.
const fn fault(blame: Blame) -> (&'static str, &'static str) {
    match blame {
        Blame::Caller => ("the caller sent something wrong", "bên gọi gửi sai"),
        Blame::Peer => ("another party did something wrong", "bên khác làm sai"),
        Blame::Operator => ("the operator of this process has to act", "người vận hành phải xử lý"),
        Blame::Us => ("this software or its load", "phần mềm hoặc tải của hệ thống"),
    }
}

const fn retry(retry: Retry) -> (&'static str, &'static str) {
    match retry {
        Retry::No => ("no, the same bytes are refused for ever", "không, cùng nội dung sẽ luôn bị từ chối"),
        Retry::Later => ("yes, after a pause", "có, sau một lúc"),
        Retry::AfterChange => ("yes, after something has been changed", "có, sau khi đã sửa"),
    }
}
