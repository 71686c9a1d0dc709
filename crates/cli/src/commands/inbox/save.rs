//! `truc inbox save`: writes the attachments of a document to a folder, under names that are safe whatever the sender called them.

use std::fs;
use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use sha2::{Digest as _, Sha256};
use tokio::fs::OpenOptions;
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};
use tokio::time::Instant;
use truc_proto::edge::v1 as pb;
use truc_proto::edge::v1::get_document_response::Document as Found;

use crate::commands::remote::{Client, EdgeAddress};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::{hashing, measure};

/// Bytes of a file name that we write: below the 255 of file systems, with room for an index and a suffix.
const NAME_BYTES_MAX: usize = 200;

/// How often a person sees how far it is.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Write the attachments of a document to a folder. Each is numbered, and checked against its digest. Run again after a cut, it goes on where it was.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    edge: EdgeAddress,
    /// The message id.
    message: String,
    /// Code of the recipient, if the document arrived for several organisations of this edge.
    #[arg(long, value_name = "CODE", default_value = "")]
    recipient: String,
    /// Folder to write to; nothing in it is overwritten, and a file that is there already with the right bytes is left as it is.
    folder: PathBuf,
}

#[derive(serde::Serialize)]
struct Saved<'a> {
    path: &'a Path,
    name: &'a str,
    size: u64,
    sha256: &'a str,
}

pub(super) async fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let Arguments { edge, message, recipient, folder } = arguments;
    let mut client = edge.connect().await?;
    let document = find(&mut client, &edge, &message, recipient).await?;
    fs::create_dir_all(&folder).map_err(|source| Failure::file(&folder, source))?;
    for (index, attachment) in (0u32..).zip(&document.attachments) {
        let path = folder.join(safe_name(index, &attachment.name));
        save(&mut client, &edge, &message, index, attachment, &path, output).await?;
        let pb::Attachment { name, size, sha256, .. } = attachment;
        output.data(&path.display().to_string(), &Saved { path: &path, name, size: *size, sha256 })?;
    }
    Ok(Exit::Done)
}

/// The document, whether it arrived or was sent.
async fn find(client: &mut Client, edge: &EdgeAddress, message: &str, recipient: String) -> Result<pb::Document, Failure> {
    let request = pb::GetDocumentRequest { message_id: message.to_owned(), recipient };
    let found = client.get_document(request).await.map_err(|status| edge.failure(&status))?.into_inner().document;
    let document = match found {
        Some(Found::Received(received)) => received.document,
        Some(Found::Sent(sent)) => sent.document,
        None => None,
    };
    document.ok_or_else(|| Failure::BadAnswer("no document".to_owned()))
}

/// Writes one attachment beside its name and renames it once digest and length are right. What an earlier try left beside it is gone on with.
async fn save(
    client: &mut Client,
    edge: &EdgeAddress,
    message: &str,
    index: u32,
    attachment: &pb::Attachment,
    path: &Path,
    output: &mut Output,
) -> Result<(), Failure> {
    if path.exists() {
        let (hash, size) = hashing::of_file(path, attachment.size).map_err(|source| Failure::file(path, source))?;
        let same = size == attachment.size && hashing::digest(&hash).to_hex() == attachment.sha256;
        return if same { Ok(()) } else { Err(Failure::Exists(path.to_owned())) };
    }
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let failed = |source| Failure::file(&partial, source);
    let (mut hash, mut size) =
        if partial.exists() { hashing::of_file(&partial, attachment.size).map_err(failed)? } else { (Sha256::new(), 0) };
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(&partial).await.map_err(failed)?;
    // A longer one is of something else, or was written by another program.
    if size > attachment.size {
        (hash, size) = (Sha256::new(), 0);
    }
    file.set_len(size).await.map_err(failed)?;
    file.seek(SeekFrom::End(0)).await.map_err(failed)?;
    if size < attachment.size {
        let request = pb::DownloadAttachmentRequest { message_id: message.to_owned(), index, offset: size };
        let mut pieces = client.download_attachment(request).await.map_err(|status| edge.failure(&status))?.into_inner();
        let mut shown = Instant::now();
        while let Some(piece) = pieces.message().await.map_err(|status| edge.failure(&status))? {
            size = size.saturating_add(u64::try_from(piece.data.len()).unwrap_or(u64::MAX));
            if size > attachment.size {
                return Err(Failure::BadAnswer(format!("more than the {} bytes of attachment {index}", attachment.size)));
            }
            hash.update(&piece.data);
            file.write_all(&piece.data).await.map_err(failed)?;
            if shown.elapsed() > PROGRESS_EVERY {
                output.progress(&format!("{index:02}  {}", measure::bytes_bar(size, attachment.size)));
                shown = Instant::now();
            }
        }
    }
    output.progress_end();
    file.sync_all().await.map_err(failed)?;
    let found = hashing::digest(&hash).to_hex();
    if (size, found.as_str()) != (attachment.size, attachment.sha256.as_str()) {
        // The next try begins anew: nothing tells which of its bytes are wrong.
        if size == attachment.size {
            fs::remove_file(&partial).map_err(failed)?;
        }
        return Err(Failure::BadAnswer(format!("attachment {index} with digest {found}, expected {}", attachment.sha256)));
    }
    fs::rename(&partial, path).map_err(|source| Failure::file(path, source))
}

/// `NN-name`: what the sender called the file, without anything that a file system or a terminal would act on. The number keeps two files
/// of one name apart and a name from beginning with a dot or a dash.
pub(crate) fn safe_name(index: u32, name: &str) -> String {
    let safe =
        |letter: char| if letter.is_alphanumeric() || matches!(letter, '.' | '-' | '_' | ' ' | '(' | ')' | ',') { letter } else { '_' };
    let mut kept = String::new();
    for letter in name.chars().map(safe) {
        if kept.len() + letter.len_utf8() > NAME_BYTES_MAX {
            break;
        }
        kept.push(letter);
    }
    format!("{index:02}-{}", kept.trim_end_matches(['.', ' ']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_others_become_safe_names() {
        assert_eq!(safe_name(0, "Công văn 4127.pdf"), "00-Công văn 4127.pdf");
        assert_eq!(safe_name(1, "../../etc/passwd"), "01-.._.._etc_passwd");
        assert_eq!(safe_name(2, "a\0b\u{202e}fdp.exe"), "02-a_b_fdp.exe");
        assert_eq!(safe_name(3, ".."), "03-");
        assert_eq!(safe_name(4, &"đ".repeat(300)).len(), 3 + NAME_BYTES_MAX);
        assert_eq!(safe_name(5, "C:\\x: y?*|"), "05-C__x_ y___");
    }
}
