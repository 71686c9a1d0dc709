//! What mutation begins with: the repository's test data, or what a target makes for itself. Not kept between runs.

use std::path::{Path, PathBuf};

/// The contents of all files under a folder of `testdata/` whose names end so, in the order of their paths.
///
/// # Panics
/// When the folder cannot be read: a corpus that is silently empty tests nothing.
#[must_use]
#[expect(clippy::expect_used, reason = "a corpus that is silently empty tests nothing")]
pub fn files(folder: &str, end: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata").join(folder);
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths.retain(|path| path.to_string_lossy().ends_with(end));
    paths.sort();
    assert!(!paths.is_empty(), "no file in {} ends with {end:?}", root.display());
    paths.iter().map(|path| std::fs::read(path).expect("a file of the repository")).collect()
}

#[expect(clippy::expect_used, reason = "a corpus that is silently empty tests nothing")]
fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("a folder of the repository").path();
        if path.is_dir() { walk(&path, paths) } else { paths.push(path) }
    }
}

/// These texts.
#[must_use]
pub fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
