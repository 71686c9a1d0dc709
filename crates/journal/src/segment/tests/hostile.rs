//! Arbitrary bytes in place of files: an answer or an error, never a panic, never more memory than a block.

use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::{Source, open};
use crate::contract::Journal;
use crate::segment::walk::{bundled_name, segment_name};
use crate::segment::{high_water, index, scrub};
use truc_types::BlockNumber;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn hostile_files_never_panic(
        which in 0..5usize, at in any::<prop::sample::Index>(), bytes in proptest::collection::vec(any::<u8>(), 0..200), mend in any::<bool>(), cut in any::<bool>(),
    ) {
        let folder = TempDir::new().unwrap();
        let mut journal = open(folder.path()).unwrap().0;
        let mut source = Source::default();
        for entries in [8, 9, 4, 1] {
            source.append(&mut journal, entries);
        }
        if which == 4 {
            journal.pack_now().unwrap();
        }
        drop(journal);
        let name = match which {
            0 => segment_name(BlockNumber(0)),
            1 => high_water::HIGH_WATER_FILE.to_owned(),
            2 => index::index_name(BlockNumber(0)),
            4 => bundled_name(BlockNumber(0)),
            _ => super::contents(folder.path()).into_keys().rfind(|name| name.ends_with(".seg")).unwrap(),
        };
        let path = folder.path().join(name);
        let mut file = fs::read(&path).unwrap();
        let at = at.index(file.len());
        let end = if cut { file.len() } else { (at + bytes.len()).min(file.len()) };
        file.splice(at..end, bytes);
        if mend && file.len() >= 284 {
            // The header of the first block gets a checksum that fits, so that its lengths and numbers are believed.
            let sum = crc32fast::hash(&file[176..280]).to_be_bytes();
            file[280..284].copy_from_slice(&sum);
        }
        fs::write(&path, file).unwrap();
        let _report = scrub(folder.path(), &mut |_| {});
        if let Ok((journal, _)) = open(folder.path()) {
            let reader = journal.reader();
            let _blocks: Vec<_> = reader.blocks_from(truc_types::Position(0)).collect();
            let _found = reader.find(&[7; 16]);
        }
    }
}
