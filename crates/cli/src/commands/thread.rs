//! `truc thread`: the correspondence that a document belongs to.

use clap::Args;
use truc_proto::edge::v1 as pb;

use super::remote::EdgeAddress;
use super::words;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Show the correspondence that a document belongs to, as far as this edge knows it, the oldest first.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    edge: EdgeAddress,
    /// Message id of any document of it.
    message: String,
}

pub(super) async fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let Arguments { edge, message } = arguments;
    let mut client = edge.connect().await?;
    let mut request = pb::GetThreadRequest { message_id: message, page_size: 0, page_token: String::new() };
    loop {
        let page = client.get_thread(request.clone()).await.map_err(|status| edge.failure(&status))?.into_inner();
        for document in &page.documents {
            let (text, row) = words::summary(document, output.language());
            output.data(&text, &row)?;
        }
        if page.next_page_token.is_empty() {
            if page.incomplete {
                output.talk(output.language().choose(
                    "the correspondence is larger than what the edge gathers: documents far from this one are missing",
                    "chuỗi văn bản dài hơn mức nút biên gom được: thiếu các văn bản ở xa văn bản này",
                ));
            }
            return Ok(Exit::Done);
        }
        request.page_token = page.next_page_token;
    }
}
