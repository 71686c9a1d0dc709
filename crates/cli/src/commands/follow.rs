//! Follows a document that was sent, step by step, until it is far enough: for `truc status --watch` and `truc send --wait`.

use std::time::Duration;

use clap::ValueEnum;
use tokio::time::{Instant, MissedTickBehavior};
use truc_proto::edge::v1::{self as pb, Stage, Step};

use super::remote::{Client, EdgeAddress};
use super::stages::step_word;
use super::status::print;
use crate::failure::{Exit, Failure};
use crate::language::Language;
use crate::output::Output;

/// How long nothing happens before a person is told what is waited for.
const QUIET: Duration = Duration::from_secs(3);
/// How often a person at a terminal sees that the time goes on.
const TICK: Duration = Duration::from_secs(1);
/// Names in one line of what is waited for.
const NAMED_MAX: usize = 5;

/// When a document is far enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Until {
    /// The axis has it in its log.
    Accepted,
    /// Every recipient's edge has it (01, đã đến).
    Fetched,
    /// Every recipient has registered or returned it (03, 02): for that somebody has to work there.
    Answered,
}

impl Until {
    /// Whether a document is so far. One that the axis refused goes no further.
    fn is_reached(self, status: &pb::DocumentStatus) -> bool {
        match status.stage() {
            Stage::RefusedByAxis => true,
            Stage::Accepted => status.recipients.iter().all(|recipient| self.has(recipient)),
            Stage::Unspecified | Stage::Stored | Stage::Sealed => false,
        }
    }

    fn has(self, recipient: &pb::RecipientStatus) -> bool {
        match (self, recipient.step()) {
            (Self::Accepted, _) | (_, Step::Acknowledged | Step::Refused) => true,
            (Self::Fetched, step) => step == Step::Fetched,
            (Self::Answered, _) => false,
        }
    }

    /// What is missing, with names.
    fn missing(self, status: &pb::DocumentStatus, language: Language) -> String {
        if status.stage() != Stage::Accepted {
            let axis = language.choose(
                "for the axis to accept it; it may be away, and the edge goes on trying for days",
                "trục nhận vào nhật ký; trục có thể đang gián đoạn, nút biên vẫn thử tiếp trong nhiều ngày",
            );
            return axis.to_owned();
        }
        let late: Vec<&pb::RecipientStatus> = status.recipients.iter().filter(|recipient| !self.has(recipient)).collect();
        let named = late.iter().take(NAMED_MAX).map(|late| format!("{} ({})", late.recipient, step_word(late.step(), language)));
        let named = named.collect::<Vec<_>>().join(", ");
        let more = if late.len() > NAMED_MAX { ", …" } else { "" };
        let what = match self {
            Self::Accepted | Self::Fetched => language.choose("for the edges of", "nút biên của"),
            Self::Answered => language.choose("for an answer of", "trả lời của"),
        };
        let count = late.len();
        let of = language.choose("of", "trên");
        format!("{what} {named}{more} ({count} {of} {})", status.recipients.len())
    }
}

/// How long to follow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) until: Until,
    /// `None`: until the edge ends it.
    pub(super) seconds_max: Option<u64>,
}

/// Prints every change until the document is far enough. Exit code 1 when the axis refused it.
///
/// # Errors
/// [`Failure::NotYet`] when the time is over, with what is missing.
pub(super) async fn follow(
    client: &mut Client,
    edge: &EdgeAddress,
    message_id: &str,
    patience: Patience,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let request = pb::WatchStatusRequest { message_id: message_id.to_owned() };
    let mut changes = client.watch_status(request).await.map_err(|status| edge.failure(&status))?.into_inner();
    let mut now = pb::DocumentStatus::default();
    let mut waiting = Waiting::begin(patience);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let change = tokio::select! {
            change = changes.message() => change.map_err(|status| edge.failure(&status))?,
            _ = ticks.tick() => {
                waiting.tick(&now, output)?;
                continue;
            }
        };
        // The edge ends the stream when nothing can change any more.
        let Some(change) = change else { break };
        let Some(status) = change.status else { continue };
        waiting.moved(output);
        print(&status, output)?;
        now = status;
        if patience.until.is_reached(&now) {
            break;
        }
    }
    Ok(if now.stage() == Stage::RefusedByAxis { Exit::Failed } else { Exit::Done })
}

/// What a person is shown while nothing happens.
struct Waiting {
    patience: Patience,
    begun: Instant,
    last: Instant,
    /// A line that will be written over is on the screen.
    shown: bool,
    told: bool,
}

impl Waiting {
    fn begin(patience: Patience) -> Self {
        let begun = Instant::now();
        Self { patience, begun, last: begun, shown: false, told: false }
    }

    fn moved(&mut self, output: &mut Output) {
        if std::mem::take(&mut self.shown) {
            output.progress_end();
        }
        (self.last, self.told) = (Instant::now(), false);
    }

    fn tick(&mut self, now: &pb::DocumentStatus, output: &mut Output) -> Result<(), Failure> {
        let (language, seconds) = (output.language(), self.begun.elapsed().as_secs());
        let what = self.patience.until.missing(now, language);
        if self.patience.seconds_max.is_some_and(|most| seconds >= most) {
            self.moved(output);
            return Err(Failure::NotYet { seconds, what });
        }
        if self.last.elapsed() < QUIET {
            return Ok(());
        }
        let waiting = language.choose("waiting", "đang chờ");
        if output.shows_progress() {
            output.progress(&format!("{seconds:>4} s  {waiting} {what}"));
            self.shown = true;
        } else if !std::mem::replace(&mut self.told, true) {
            output.talk(&format!("{waiting} {what}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(stage: Stage, steps: &[Step]) -> pb::DocumentStatus {
        let recipients = steps.iter().zip(["G12", "H53"]);
        let recipients =
            recipients.map(|(step, code)| pb::RecipientStatus { recipient: code.to_owned(), step: (*step).into(), ..Default::default() });
        pb::DocumentStatus { stage: stage.into(), recipients: recipients.collect(), ..Default::default() }
    }

    #[test]
    fn far_enough_is_what_was_asked_for_by_every_recipient() {
        let all = [Until::Accepted, Until::Fetched, Until::Answered];
        let reached = |status: &pb::DocumentStatus| all.map(|until| until.is_reached(status));
        assert_eq!(reached(&status(Stage::Sealed, &[Step::Waiting])), [false; 3]);
        assert_eq!(reached(&status(Stage::Accepted, &[Step::Queued, Step::Fetched])), [true, false, false]);
        assert_eq!(reached(&status(Stage::Accepted, &[Step::Acknowledged, Step::Fetched])), [true, true, false]);
        assert_eq!(reached(&status(Stage::Accepted, &[Step::Acknowledged, Step::Refused])), [true; 3]);
        assert_eq!(reached(&status(Stage::RefusedByAxis, &[Step::Waiting])), [true; 3]);
    }

    #[test]
    fn what_is_waited_for_has_names() {
        let queued = status(Stage::Accepted, &[Step::Fetched, Step::Queued]);
        assert_eq!(Until::Fetched.missing(&queued, Language::En), "for the edges of H53 (queued) (1 of 2)");
        assert_eq!(Until::Answered.missing(&queued, Language::Vi), "trả lời của G12 (đã đến), H53 (chờ bên nhận lấy) (2 trên 2)");
        assert!(Until::Fetched.missing(&status(Stage::Stored, &[Step::Waiting]), Language::En).starts_with("for the axis"));
    }
}
