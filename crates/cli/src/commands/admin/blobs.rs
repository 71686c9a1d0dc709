//! `truc admin blobs`: how much the attachments are, who is uploading, and what is known of one digest.

use clap::Args;
use truc_proto::admin::v1 as pb;
use truc_types::Digest;

use super::remote::{BrokerAddress, heads};
use crate::failure::{Exit, Failure};
use crate::language::Language;
use crate::measure;
use crate::output::Output;

/// Show how many attachments are stored, which uploads are not finished, and how many agencies brought one attachment.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    broker: BrokerAddress,
    /// Look up the attachment with this SHA-256, in hexadecimal.
    #[arg(long, value_name = "SHA256")]
    digest: Option<String>,
}

#[derive(serde::Serialize)]
struct Use {
    blobs: u64,
    bytes: u64,
    pinned: u64,
    partial: bool,
    uploads: Vec<Uploads>,
    looked_up: Option<LookedUp>,
}

#[derive(serde::Serialize)]
struct Uploads {
    agency: String,
    uploads: u64,
    bytes: u64,
    oldest_at: String,
}

#[derive(serde::Serialize)]
struct LookedUp {
    sha256: String,
    stored: bool,
    bytes: u64,
    owners: u64,
}

pub(super) async fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let digest = match &arguments.digest {
        Some(text) => Some(text.parse::<Digest>().map_err(|_| Failure::Usage(format!("{text:?} is no SHA-256 in hexadecimal")))?),
        None => None,
    };
    let mut client = arguments.broker.connect().await?;
    let request = pb::GetBlobUseRequest { sha256: digest.map(|digest| digest.0.to_vec()).unwrap_or_default().into() };
    let answer = client.get_blob_use(request).await.map_err(|status| arguments.broker.failure(&status))?.into_inner();
    let uploads = answer.uploads.into_iter().map(|uploads| Uploads {
        agency: uploads.agency,
        uploads: uploads.uploads,
        bytes: uploads.bytes,
        oldest_at: uploads.oldest_at,
    });
    let looked_up = digest.zip(answer.looked_up).map(|(digest, found)| LookedUp {
        sha256: digest.to_hex(),
        stored: found.stored,
        bytes: found.bytes,
        owners: found.owners,
    });
    let used = Use {
        blobs: answer.blobs,
        bytes: answer.bytes,
        pinned: answer.pinned,
        partial: answer.partial,
        uploads: uploads.collect(),
        looked_up,
    };
    output.data(&text(&used, output.language()), &used)?;
    Ok(Exit::Done)
}

fn text(used: &Use, language: Language) -> String {
    let at_least = if used.partial { language.choose("at least ", "ít nhất ") } else { "" };
    let (stored, bytes) = (language.count(used.blobs, "attachment", "attachments", "tệp đính kèm"), measure::bytes(used.bytes));
    let held = language.count(used.pinned, "is held", "are held", "tệp đang được giữ");
    let why = language.choose("by statements under decision", "bởi bản tin chờ quyết định");
    let mut text = format!("{at_least}{stored}, {bytes}; {held} {why}");
    if !used.uploads.is_empty() {
        let head = [("AGENCY", "CƠ QUAN"), ("UPLOADS", "LƯỢT TẢI LÊN"), ("ARRIVED", "ĐÃ NHẬN"), ("LAST ADDED TO", "LẦN CUỐI")];
        let mut rows = vec![heads(language, head)];
        let cells = |uploads: &Uploads| {
            vec![uploads.agency.clone(), uploads.uploads.to_string(), measure::bytes(uploads.bytes), uploads.oldest_at.clone()]
        };
        rows.extend(used.uploads.iter().map(cells));
        let unfinished = language.choose("uploads that are not finished:", "lượt tải lên chưa xong:");
        text = format!("{text}\n{unfinished}\n{}", measure::table(&rows));
    }
    match &used.looked_up {
        Some(found) if found.stored => {
            let owners = language.count(found.owners, "agency", "agencies", "cơ quan");
            let brought = language.choose("brought by", "do");
            let by = language.choose("", " gửi lên");
            format!("{text}\n{}: {}, {brought} {owners}{by}", found.sha256, measure::bytes(found.bytes))
        }
        Some(found) => format!("{text}\n{} {}", found.sha256, language.choose("is not stored", "không có trong kho")),
        None => text,
    }
}
