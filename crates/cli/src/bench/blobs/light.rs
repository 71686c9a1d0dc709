//! The legs through the broker alone: uploaded by a light edge, downloaded by another, which hashes what it gets and seals that it has it.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use truc_edge::light::{LightEdge, Manner};
use truc_signing::statement::{Attachment, Encoding};

use super::content::Content;
use super::{Found, Meter};
use crate::bench::axis::Axis;
use crate::bench::edges;
use crate::bench::figures::defect;
use crate::bench::stock::draft;
use crate::failure::Failure;
use crate::output::Output;

pub(super) async fn run(axis: &Axis, contents: &[Content], meter: &Meter, output: &mut Output) -> Result<Vec<Found>, Failure> {
    let [from, to, ..] = axis.agencies.as_slice() else { return Err(defect("too few agencies")) };
    let returned = Arc::new(Notify::new());
    let (told, mut loops) = (Arc::clone(&returned), JoinSet::new());
    let connected = LightEdge::connect(&edges::open(axis, &from.code)?, Manner::Registers, move |_| told.notify_one()).await;
    let (sender, running) = connected.map_err(Failure::Refused)?;
    loops.spawn(running.run());
    let connected = LightEdge::connect(&edges::open(axis, &to.code)?, Manner::Registers, |_| {}).await;
    let (_recipient, running) = connected.map_err(Failure::Refused)?;
    loops.spawn(running.run());
    let legs = async {
        output.talk("up to the broker");
        let up = meter.begin("up to the broker")?;
        let pieces = contents.iter().map(|content| (content.digest, content.size, content.chunks()));
        sender.upload_all(pieces).await.map_err(Failure::Refused)?;
        let up = up.end()?;
        output.talk("down from the broker");
        let mut document = draft(&from.code, 1, &[(&to.code).into()]);
        document.attachments = (1..).zip(contents).map(|(number, content)| attachment(number, content)).collect();
        let down = meter.begin("down from the broker")?;
        sender.submit(sender.seal(document)).await.map_err(Failure::Refused)?;
        returned.notified().await;
        Ok(vec![up, down.end()?])
    };
    tokio::select! {
        found = legs => found,
        Some(ended) = loops.join_next() => Err(ended.map_or_else(|cause| defect(&cause.to_string()), Failure::Refused)),
    }
}

fn attachment(number: usize, content: &Content) -> Attachment {
    Attachment {
        name: format!("Phụ lục {number}.pdf"),
        media_type: "application/pdf".to_owned(),
        size: content.size,
        sha256: content.digest,
        encoding: Encoding::Identity,
        commit: None,
    }
}
