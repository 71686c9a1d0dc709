//! Properties of the reader and the writer: what is written reads back, and no bytes make the reader panic.

use proptest::prelude::*;
use truc_signing::statement::Statement;
use truc_signing::{Certificate, DsseFile, keyfile, open_sealed, seal};

use crate::draw::Draw;
use crate::samples;

fn mutate(bytes: &mut Vec<u8>, draw: &mut Draw) {
    for _ in 0..=draw.below(3) {
        let at = usize::try_from(draw.below(bytes.len() as u64)).unwrap();
        match draw.below(4) {
            0 => bytes[at] ^= 1 << draw.below(8),
            1 => bytes.truncate(at.max(1)),
            2 => bytes.insert(at, b"\"{}[],:0\\"[usize::try_from(draw.below(9)).unwrap()]),
            _ => {
                let end = (at + 7).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_written_reads_back(seed: u64) {
        let statement = Draw::new(seed).statement();
        let payload = statement.to_json();
        prop_assert_eq!(Statement::parse(&payload), Ok(statement));
    }

    #[test]
    fn fields_may_stand_in_any_order(seed: u64) {
        let statement = Draw::new(seed).statement();
        // In the order of the alphabet, which ours is not.
        let sorted: serde_json::Value = serde_json::from_slice(&statement.to_json()).unwrap();
        prop_assert_eq!(Statement::parse(&serde_json::to_vec(&sorted).unwrap()), Ok(statement));
    }

    #[test]
    fn mutated_statements_never_panic_and_what_still_reads_is_written_and_read_back(seed: u64) {
        let mut draw = Draw::new(seed);
        let mut payload = draw.statement().to_json();
        mutate(&mut payload, &mut draw);
        if let Ok(statement) = Statement::parse(&payload) {
            prop_assert_eq!(Statement::parse(&statement.to_json()), Ok(statement));
        }
    }

    #[test]
    fn mutated_files_never_panic(seed: u64) {
        let mut draw = Draw::new(seed);
        let key = samples::key(1);
        let mut file = seal(&draw.statement().to_json(), &[&key]);
        mutate(&mut file, &mut draw);
        if let Ok(sealed) = open_sealed(&file) {
            prop_assert_eq!(DsseFile::parse(&sealed.dsse.to_bytes()), Ok(sealed.dsse));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, text: String) {
        prop_assert!(Statement::parse(&bytes).is_err());
        prop_assert!(open_sealed(&bytes).is_err());
        prop_assert!(Certificate::from_der(&bytes).is_err());
        prop_assert!(Certificate::from_pem(&text).is_err());
        prop_assert!(keyfile::read_encrypted(&text, b"x").is_err());
    }
}
