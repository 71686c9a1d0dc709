//! What the name of an attachment says: its extension, its media type, whether it leads out of a folder. Names are display text, never paths.

use truc_types::limits::MEDIA_TYPE_BYTES_MAX;

/// The extension of a display name, in lower case.
pub(crate) fn extension(name: &str) -> String {
    name.rsplit_once('.').map(|(_, extension)| extension.trim().to_ascii_lowercase()).unwrap_or_default()
}

/// Whether a name, taken as a path, would leave the folder it is joined to, on any system.
pub(crate) fn leads_out(name: &str) -> bool {
    let drive = name.as_bytes().get(1) == Some(&b':');
    drive || name.starts_with(['/', '\\']) || name.split(['/', '\\']).any(|part| part.trim_matches([' ', '\t']) == "..")
}

/// Whether a text has the form of a media type.
pub(crate) fn is_media_type(text: &str) -> bool {
    text.len() <= MEDIA_TYPE_BYTES_MAX
        && text.bytes().all(|byte| (b' '..0x7f).contains(&byte))
        && text.split_once('/').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty())
}

/// Media types of what agencies send besides PDF; everything else is bytes.
pub(crate) fn by_extension(name: &str) -> &'static str {
    match extension(name).as_str() {
        "pdf" => "application/pdf",
        "doc" => "application/msword",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xls" => "application/vnd.ms-excel",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "csv" => "text/csv",
        "txt" => "text/plain",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "zip" => "application/zip",
        _ => "application/octet-stream",
    }
}
