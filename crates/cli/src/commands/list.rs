//! `truc list`: documents of both directions, the newest first.

use clap::{Args, ValueEnum};
use truc_proto::edge::v1 as pb;

use super::remote::EdgeAddress;
use super::words;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// List documents that were sent or received, the newest first. All filters that are given must hold.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    edge: EdgeAddress,
    /// Only one direction.
    #[arg(long, value_enum)]
    direction: Option<Direction>,
    /// Only sent documents at this stage.
    #[arg(long, value_enum)]
    stage: Option<Stage>,
    /// Only received documents at this step, and sent ones with a recipient at it.
    #[arg(long, value_enum)]
    step: Option<Step>,
    /// Only documents from this organisation, or with it among the recipients.
    #[arg(long, value_name = "CODE", default_value = "")]
    with: String,
    /// Only documents that came into the list at or after this time, e.g. 2026-03-02T01:15:00.000Z.
    #[arg(long, value_name = "TIME", default_value = "")]
    since: String,
    /// Only documents that came into the list before this time.
    #[arg(long, value_name = "TIME", default_value = "")]
    until: String,
    /// Only documents with this number.
    #[arg(long, default_value = "")]
    number: String,
    /// Only documents with this notation.
    #[arg(long, default_value = "")]
    notation: String,
    /// Only what waits: received and not answered, sent and not answered by every recipient.
    #[arg(long)]
    open: bool,
    /// At most so many.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: usize,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Direction {
    Sent,
    Received,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Stage {
    Stored,
    Sealed,
    Accepted,
    RefusedByAxis,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Step {
    Waiting,
    Queued,
    Fetched,
    Acknowledged,
    Refused,
}

pub(super) async fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let edge = arguments.edge.clone();
    let (mut client, mut left) = (edge.connect().await?, arguments.limit);
    let mut request = request(arguments);
    while left > 0 {
        request.page_size = u32::try_from(left).unwrap_or(u32::MAX);
        let page = client.list_documents(request.clone()).await.map_err(|status| edge.failure(&status))?.into_inner();
        for document in page.documents.iter().take(left) {
            let (text, row) = words::summary(document, output.language());
            output.data(&text, &row)?;
        }
        left = left.saturating_sub(page.documents.len());
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    Ok(Exit::Done)
}

fn request(arguments: Arguments) -> pb::ListDocumentsRequest {
    let direction = match arguments.direction {
        None => pb::Direction::Unspecified,
        Some(Direction::Sent) => pb::Direction::Sent,
        Some(Direction::Received) => pb::Direction::Received,
    };
    let stage = match arguments.stage {
        None => pb::Stage::Unspecified,
        Some(Stage::Stored) => pb::Stage::Stored,
        Some(Stage::Sealed) => pb::Stage::Sealed,
        Some(Stage::Accepted) => pb::Stage::Accepted,
        Some(Stage::RefusedByAxis) => pb::Stage::RefusedByAxis,
    };
    let step = match arguments.step {
        None => pb::Step::Unspecified,
        Some(Step::Waiting) => pb::Step::Waiting,
        Some(Step::Queued) => pb::Step::Queued,
        Some(Step::Fetched) => pb::Step::Fetched,
        Some(Step::Acknowledged) => pb::Step::Acknowledged,
        Some(Step::Refused) => pb::Step::Refused,
    };
    pb::ListDocumentsRequest {
        page_size: 0,
        page_token: String::new(),
        direction: direction.into(),
        stage: stage.into(),
        step: step.into(),
        counterpart: arguments.with,
        since: arguments.since,
        until: arguments.until,
        number: arguments.number,
        notation: arguments.notation,
        open_only: arguments.open,
    }
}
