//! What people bring to the command: settings, directory files, the manifest of a backup, a mirror of the log, the refusal of a server.

use std::path::Path;

use tempfile::TempDir;
use tonic::{Code, Status};
use truc::backup::Manifest;
use truc::directory::{read_agencies, read_organisations};
use truc::exported::{Entry, Mirror};
use truc_edge::settings::EdgeSettings;
use truc_settings::{Source, load};
use truc_transport::status;

/// The manifest with its right digest around these bytes: else mutation would never get behind the digest.
pub(super) fn manifest(input: &[u8]) -> bool {
    drop(Manifest::parse(input));
    let Ok(inner) = std::str::from_utf8(input) else { return false };
    let Ok(manifest) = Manifest::parse(Manifest::sealed(inner).as_bytes()) else { return false };
    for kept in &manifest.files {
        let within = Path::new("folder").join(&kept.path);
        let leaves = within.components().any(|part| !matches!(part, std::path::Component::Normal(_)));
        assert!(!leaves && within.starts_with("folder"), "{:?} leaves the folder that is restored into", kept.path);
    }
    true
}

pub(super) fn export(mut input: &[u8]) -> bool {
    let mut mirror = Mirror::default();
    let length = input.len() as u64;
    let read = mirror.read(&mut input).is_ok();
    assert!(mirror.bytes <= length, "more lines than bytes");
    assert!(mirror.tree.as_ref().is_none_or(|tree| tree.size() <= mirror.entries), "more leaves than entries");
    read && mirror.entries > 0
}

/// Three entries from the beginning of a log.
pub(super) fn exports() -> Vec<Vec<u8>> {
    let lines = (0..3u64).map(|number| {
        let entry = Entry::of(number, number, number, "2026-01-01T00:00:00.000Z".to_owned(), format!("entry {number}").as_bytes());
        serde_json::to_string(&entry).unwrap_or_default() + "\n"
    });
    let whole = lines.collect::<String>();
    let signed = format!("{whole}{{\"checkpoint\":\"truc.example/axis/2026\\n3\\nAAAA\\n\"}}\n");
    vec![whole.into_bytes(), signed.into_bytes()]
}

pub(super) fn agencies(input: &[u8]) -> bool {
    with_file(input, |path| read_agencies(path).is_ok())
}

pub(super) fn organisations(input: &[u8]) -> bool {
    with_file(input, |path| read_organisations(path).is_ok())
}

pub(super) fn settings(input: &[u8]) -> bool {
    with_file(input, |path| match load::<EdgeSettings>(&Source { file: path.to_owned(), overrides: Vec::new() }) {
        Ok(_) => true,
        Err(mistakes) => {
            assert!(!mistakes.mistakes.is_empty(), "refused without a mistake");
            false
        }
    })
}

fn with_file(input: &[u8], read: impl FnOnce(&Path) -> bool) -> bool {
    let Ok(folder) = TempDir::with_prefix("truc-fuzz-") else { return false };
    let path = folder.path().join("file");
    std::fs::write(&path, input).is_ok() && read(&path)
}

/// The details that a server, or what stands between, sends with a status.
pub(super) fn refusal(input: &[u8]) -> bool {
    let status = Status::with_details(Code::InvalidArgument, "message", input.to_vec().into());
    let Some(refusal) = status::refusal(&status) else { return false };
    let again = status::refusal(&status::status(&refusal));
    assert_eq!(again.map(|again| again.reason), Some(refusal.reason), "a refusal that was passed on has another reason");
    true
}

/// A refusal with a value, one with a field and one to try again.
pub(super) fn refusals() -> Vec<Vec<u8>> {
    use truc_types::{Reason, Refusal};
    let refusals = [
        Refusal::new(Reason::SealInvalid, "a seal does not hold").with("keyid", "abc"),
        Refusal::new(Reason::RequestInvalid, "a field is wrong").with("field", "subject"),
        Refusal::new(Reason::DiskFull, "the disk is full"),
    ];
    refusals.iter().map(|refusal| status::status(refusal).details().to_vec()).collect()
}
