//! Notes, checkpoints and proof files: the specification's own examples, another implementation, golden files, hostile bytes.
#![cfg(test)]

use ed25519_dalek::SigningKey;
use expect_test::expect_file;
use proptest::prelude::*;
use std::path::PathBuf;
use truc_ledger::note::{NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX};
use truc_ledger::tlog_proof::{self, TLOG_PROOF_BYTES_MAX};
use truc_ledger::{
    Checkpoint, CheckpointError, EMPTY_ROOT, Extension, Frontier, KeyError, LogSigner, LogVerifier, Note, NoteError, ProofError,
    SignatureError, TlogProof, TlogProofError, TreeStore, checkpoint, leaf_hash,
};
use truc_types::LeafIndex;

/// The example of the signed-note specification, v1.0.0.
const NOTE_VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const NOTE: &str = "This is an example message.\n\n\
    — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
/// The example of the tlog-checkpoint specification; its key is not published.
const CHECKPOINT: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
    — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";

const ORIGIN: &str = "log.truc.example/2026";

/// The key of the golden files: published, so it must never sign anything else.
fn signer() -> LogSigner {
    let mut seed = [0u8; 32];
    seed.copy_from_slice(b"truc test vector, not a real key");
    LogSigner::new(ORIGIN, &SigningKey::from_bytes(&seed)).unwrap()
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/log")
}

fn leaves() -> Vec<Vec<u8>> {
    (0..7).map(|i| std::fs::read(folder().join(format!("leaf-{i}.json"))).unwrap()).collect()
}

fn checkpoint_of(frontier: &Frontier) -> Checkpoint {
    Checkpoint { origin: ORIGIN.to_owned(), size: frontier.size(), root: frontier.root() }
}

/// Signed checkpoint of 7 leaves and the proof file of leaf 4.
fn example() -> (String, TlogProof) {
    let hashes: Vec<_> = leaves().iter().map(|leaf| leaf_hash(leaf)).collect();
    let extension = Extension::new(&Frontier::new(), &hashes);
    let note = checkpoint::sign(&checkpoint_of(extension.frontier()), &signer()).unwrap();
    let proof = TlogProof::new(&extension.inclusion_proof(LeafIndex(4)).unwrap(), &note).unwrap();
    (note, proof)
}

#[test]
fn the_example_of_the_signed_note_specification_verifies() {
    let verifier: LogVerifier = NOTE_VKEY.parse().unwrap();
    assert_eq!((verifier.name(), verifier.id()), ("example.com/foo", 0x530d_903a));
    assert_eq!(verifier.to_string(), NOTE_VKEY);
    let note = Note::parse(NOTE.as_bytes()).unwrap();
    assert_eq!(note.text(), "This is an example message.\n");
    assert_eq!(note.verify(&verifier), Ok(()));
    assert_eq!(note.to_text(), NOTE);
    assert_eq!(checkpoint::open(NOTE.as_bytes(), &verifier), Err(CheckpointError::Lines { found: 1 }));
}

#[test]
fn the_example_of_the_checkpoint_specification_parses() {
    let note = Note::parse(CHECKPOINT.as_bytes()).unwrap();
    assert_eq!(note.to_text(), CHECKPOINT);
    let checkpoint = Checkpoint::parse_body(note.text()).unwrap();
    assert_eq!((checkpoint.origin.as_str(), checkpoint.size), ("example.com/behind-the-sofa", 20_852_163));
    assert_eq!(checkpoint.to_body(), note.text());
    assert!(matches!(note.verify(signer().verifier()), Err(SignatureError::Missing { .. })));
}

#[test]
fn the_golden_files_are_what_the_code_writes_and_stand_in_the_specification() {
    let (note, proof) = example();
    expect_file!["../../../testdata/log/vkey"].assert_eq(&format!("{}\n", signer().verifier()));
    expect_file!["../../../testdata/log/checkpoint"].assert_eq(&note);
    expect_file!["../../../testdata/log/leaf-4.tlog-proof"].assert_eq(&proof.to_text());
    let mut store = TreeStore::default();
    let mut old = Frontier::new();
    for (i, leaf) in leaves().iter().enumerate() {
        store.push(leaf_hash(leaf));
        if i < 3 {
            old.append(leaf_hash(leaf));
        }
    }
    let old_note = checkpoint::sign(&checkpoint_of(&old), &signer()).unwrap();
    expect_file!["../../../testdata/log/checkpoint-3"].assert_eq(&old_note);
    let consistency = store.prove_consistency(3, 7, Err::<Vec<_>, u64>).unwrap();
    let lines: String = consistency.path.iter().map(|hash| format!("{hash}\n")).collect();
    expect_file!["../../../testdata/log/consistency-3-7"].assert_eq(&lines);
    let specification = std::fs::read_to_string(folder().join("../../docs/spec/log.md")).unwrap();
    let leaf = String::from_utf8(leaves().swap_remove(4)).unwrap();
    for part in [signer().verifier().to_string(), old_note, proof.to_text(), lines, leaf, leaf_hash(&leaves()[4]).to_string()] {
        assert!(specification.contains(&part), "docs/spec/log.md lacks\n{part}");
    }
}

#[test]
fn a_stranger_verifies_the_golden_files_with_nothing_else() {
    let read = |name: &str| std::fs::read(folder().join(name)).unwrap();
    let verifier: LogVerifier = String::from_utf8(read("vkey")).unwrap().trim_end().parse().unwrap();
    let proved = tlog_proof::verify(&read("leaf-4.json"), &read("leaf-4.tlog-proof"), &verifier).unwrap();
    assert_eq!((proved.leaf_index, proved.checkpoint.size), (LeafIndex(4), 7));
    assert_eq!(proved.checkpoint, checkpoint::open(&read("checkpoint"), &verifier).unwrap());
    let wrong = tlog_proof::verify(&read("leaf-5.json"), &read("leaf-4.tlog-proof"), &verifier);
    assert!(matches!(wrong, Err(TlogProofError::Proof(ProofError::RootMismatch { .. }))));
}

#[test]
fn another_implementation_accepts_our_checkpoints_and_we_accept_its_vkeys() {
    let (note, _) = example();
    let theirs = signed_note::Note::from_bytes(note.as_bytes()).unwrap();
    let key = signed_note::StandardVerifier::new(&signer().verifier().to_string()).unwrap();
    let (verified, unverified) = theirs.verify(&signed_note::VerifierList::new(vec![Box::new(key)])).unwrap();
    assert_eq!((verified.len(), unverified.len()), (1, 0));
    assert_eq!(theirs.text(), Note::parse(note.as_bytes()).unwrap().text().as_bytes());
    let checkpoint = tlog_tiles::Checkpoint::from_bytes(theirs.text()).unwrap();
    assert_eq!((checkpoint.origin(), checkpoint.size()), (ORIGIN, 7));
    let peter = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    assert_eq!(peter.parse::<LogVerifier>().unwrap().to_string(), peter);
}

#[test]
fn signing_again_gives_the_same_bytes() {
    let (first, proof) = example();
    assert_eq!(example(), (first.clone(), proof));
    let opened = checkpoint::open(first.as_bytes(), signer().verifier()).unwrap();
    assert_eq!(checkpoint::sign(&opened, &signer()).unwrap(), first);
}

#[test]
fn unknown_signatures_are_kept_and_ignored_and_known_ones_must_hold() {
    let (note, _) = example();
    let verifier = signer().verifier().clone();
    let ours = note.lines().last().unwrap().to_owned();
    let witness = "— witness.example mJirIkljAAAAAAAAAAAAAAAA\n";
    let id_only = ours.replace(ORIGIN, "other.example");
    let cosigned = format!("{note}{witness}{id_only}\n");
    let parsed = Note::parse(cosigned.as_bytes()).unwrap();
    assert_eq!((parsed.signatures().len(), parsed.to_text()), (3, cosigned.clone()));
    assert!(checkpoint::open(cosigned.as_bytes(), &verifier).is_ok());
    // A second line of our key that does not hold spoils the note, in either order.
    let body = note.split_once("\n\n").unwrap().0;
    let bad = format!("{}AAAA=", &ours[..ours.len() - 5]);
    for lines in [format!("{ours}\n{bad}\n"), format!("{bad}\n{ours}\n")] {
        let error = checkpoint::open(format!("{body}\n\n{lines}").as_bytes(), &verifier).unwrap_err();
        assert!(matches!(error, CheckpointError::Signature(SignatureError::Invalid { .. })), "{error}");
    }
    let stripped = format!("{body}\n\n{witness}");
    let error = checkpoint::open(stripped.as_bytes(), &verifier).unwrap_err();
    assert!(matches!(error, CheckpointError::Signature(SignatureError::Missing { .. })), "{error}");
}

#[test]
fn each_fault_of_a_note_has_its_own_name() {
    let ours = "— a.example AAAAAAAA\n";
    let check = |note: &str, expected: NoteError| assert_eq!(Note::parse(note.as_bytes()), Err(expected), "{note:?}");
    check(&"x".repeat(NOTE_BYTES_MAX + 1), NoteError::TooLarge { found: NOTE_BYTES_MAX + 1 });
    assert_eq!(Note::parse(b"a\xff\n"), Err(NoteError::NotUtf8 { at: 1 }));
    check("a\r\n\n— a AAAAAAAA\n", NoteError::ControlCharacter('\r'));
    check("a\n", NoteError::NoSignatures);
    check("", NoteError::NoSignatures);
    check("a\n\n", NoteError::NoSignatures);
    check("a\n\n— a.example AAAAAAAA", NoteError::NoFinalNewline);
    check(&format!("a\n\n{}", ours.repeat(17)), NoteError::TooManySignatures { found: 17 });
    check("a\n\n- a AAAAAAAA\n", NoteError::SignatureLine("- a AAAAAAAA".to_owned()));
    check("a\n\n— a+b AAAAAAAA\n", NoteError::KeyName("a+b".to_owned()));
    check("a\n\n—  AAAAAAAA\n", NoteError::KeyName(String::new()));
    check("a\n\n— a AAAAAAA\n", NoteError::SignatureEncoding("a".to_owned()));
    check("a\n\n— a  AAAAAAAA\n", NoteError::SignatureEncoding("a".to_owned()));
    check("a\n\n— a AAAAAA==\n", NoteError::SignatureTooShort("a".to_owned()));
    assert_eq!(Note::parse(format!("a\n\n{}", ours.repeat(NOTE_SIGNATURES_MAX)).as_bytes()).unwrap().signatures().len(), 16);
    assert_eq!(Note::sign("a", &signer()), Err(NoteError::TextUnfinished));
    assert_eq!(Note::sign("a\tb\n", &signer()), Err(NoteError::ControlCharacter('\t')));
    assert_eq!(Note::parse("a\n\nb\n\n— a AAAAAAAA\n".as_bytes()).unwrap().text(), "a\n\nb\n");
}

#[test]
fn each_fault_of_a_verifier_key_has_its_own_name() {
    let check = |vkey: &str, expected: KeyError| assert_eq!(vkey.parse::<LogVerifier>(), Err(expected), "{vkey:?}");
    let key = NOTE_VKEY.rsplit_once('+').unwrap().1;
    check("a", KeyError::Parts);
    check("a+530d903a", KeyError::Parts);
    check(&format!("+530d903a+{key}"), KeyError::Name(String::new()));
    check(&format!("a\u{2003}b+530d903a+{key}"), KeyError::Name("a\u{2003}b".to_owned()));
    check(&NOTE_VKEY.replace("530d903a", "530D903A"), KeyError::IdText("530D903A".to_owned()));
    check(&NOTE_VKEY.replace("530d", "530e"), KeyError::IdMismatch { expected: "530d903a".to_owned(), found: "530e903a".to_owned() });
    check("a+00000000+A", KeyError::Encoding);
    check("a+00000000+", KeyError::Encoding);
    check("a+00000000+BA==", KeyError::Type(4));
    check("a+00000000+AQAA", KeyError::Length(2));
    check(&format!("a+00000000+AQ{}", "A".repeat(42)), KeyError::Weak);
}

#[test]
fn each_fault_of_a_checkpoint_has_its_own_name() {
    let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    let check = |body: String, expected: CheckpointError| {
        assert_eq!(Checkpoint::parse_body(&body), Err(expected.clone()), "{body:?}");
        let signed = Note::sign(&body, &signer()).unwrap().to_text();
        assert_eq!(checkpoint::open(signed.as_bytes(), signer().verifier()), Err(expected), "{body:?}");
    };
    check(format!("{ORIGIN}\n1\n"), CheckpointError::Lines { found: 2 });
    check(format!("{ORIGIN}\n1\n{root}\nextension\n"), CheckpointError::Extension("extension".to_owned()));
    check(format!("{ORIGIN}\n1\n{root}\n\n"), CheckpointError::Extension(String::new()));
    check(format!("{ORIGIN}\n01\n{root}\n"), CheckpointError::Size("01".to_owned()));
    check(format!("{ORIGIN}\n\n{root}\n"), CheckpointError::Size(String::new()));
    check(format!("{ORIGIN}\n{}\n{root}\n", u64::MAX), CheckpointError::TreeTooLarge(u64::MAX));
    check(format!("{ORIGIN}\n1\nAAAA\n"), CheckpointError::Root("AAAA".to_owned()));
    check(format!("a b\n1\n{root}\n"), CheckpointError::Origin(KeyError::Name("a b".to_owned())));
    let parsed = Checkpoint::parse_body(&format!("{ORIGIN}\n1\n{root}\n")).unwrap();
    check(format!("{ORIGIN}\n0\n{root}\n"), CheckpointError::EmptyRoot(parsed.root));
    assert_eq!(Checkpoint::parse_body(&format!("{ORIGIN}\n1\n{root}")), Err(CheckpointError::Lines { found: 2 }));
    let foreign = Checkpoint { origin: "other.example".to_owned(), ..parsed };
    let mismatch = CheckpointError::OriginMismatch { origin: "other.example".to_owned(), key_name: ORIGIN.to_owned() };
    assert_eq!(checkpoint::sign(&foreign, &signer()), Err(mismatch.clone()));
    let signed = Note::sign(&foreign.to_body(), &signer()).unwrap().to_text();
    assert_eq!(checkpoint::open(signed.as_bytes(), signer().verifier()), Err(mismatch));
    let empty = Checkpoint { origin: ORIGIN.to_owned(), size: 0, root: EMPTY_ROOT };
    let signed = checkpoint::sign(&empty, &signer()).unwrap();
    assert_eq!(checkpoint::open(signed.as_bytes(), signer().verifier()), Ok(empty));
}

#[test]
fn each_fault_of_a_proof_file_has_its_own_name() {
    let (note, proof) = example();
    let text = proof.to_text();
    let check = |text: &str, expected: TlogProofError| assert_eq!(TlogProof::parse(text.as_bytes()), Err(expected), "{text:?}");
    check(&"x".repeat(TLOG_PROOF_BYTES_MAX + 1), TlogProofError::TooLarge { found: TLOG_PROOF_BYTES_MAX + 1 });
    assert_eq!(TlogProof::parse(b"\xff"), Err(TlogProofError::NotUtf8 { at: 0 }));
    check("", TlogProofError::NoCheckpoint);
    check(&text.replace("@v1", "@v2"), TlogProofError::FirstLine("c2sp.org/tlog-proof@v2".to_owned()));
    check(&text.replace("index", "extra !\nindex"), TlogProofError::Extra);
    check(&text.replace("index 4", "index 04"), TlogProofError::Index("index 04".to_owned()));
    check(&text.replace("index 4", "index"), TlogProofError::Index("index".to_owned()));
    check(&text.replace("index 4", "index 4\nextra AAAA"), TlogProofError::PathHash("extra AAAA".to_owned()));
    let line = format!("{}\n", text.lines().nth(2).unwrap());
    check(&text.replace(&line, &line.repeat(62)), TlogProofError::PathTooLong);
    check(&text.replace("\n\n— ", "\n— "), TlogProofError::Note(NoteError::NoSignatures));
    let extra = TlogProof { extra: Some(vec![1, 2, 3]), ..proof.clone() };
    assert_eq!(TlogProof::parse(extra.to_text().as_bytes()), Ok(extra));
    assert_eq!(TlogProof::parse(text.as_bytes()), Ok(proof));
    assert_eq!(text.strip_suffix(&note).map(|head| head.ends_with("\n\n")), Some(true));
}

#[test]
fn a_proof_file_with_any_byte_changed_is_refused() {
    let (_, proof) = example();
    let (text, leaf) = (proof.to_text().into_bytes(), leaves().swap_remove(4));
    assert!(tlog_proof::verify(&leaf, &text, signer().verifier()).is_ok());
    for at in 0..text.len() {
        for bit in 0..8 {
            let mut changed = text.clone();
            changed[at] ^= 1 << bit;
            assert!(tlog_proof::verify(&leaf, &changed, signer().verifier()).is_err(), "byte {at} bit {bit}");
        }
        assert!(tlog_proof::verify(&leaf, &text[..at], signer().verifier()).is_err(), "cut at {at}");
    }
    for at in 0..leaf.len() {
        let mut changed = leaf.clone();
        changed[at] ^= 1;
        assert!(tlog_proof::verify(&changed, &text, signer().verifier()).is_err(), "leaf byte {at}");
    }
}

proptest! {
    #[test]
    fn whatever_parses_has_one_spelling(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(note) = Note::parse(&bytes) {
            prop_assert_eq!(note.to_text().into_bytes(), bytes.clone());
        }
        if let Ok(proof) = TlogProof::parse(&bytes) {
            prop_assert_eq!(proof.to_text().into_bytes(), bytes);
        }
    }

    #[test]
    fn texts_of_the_right_letters_never_panic_and_have_one_spelling(
        text in "(c2sp.org/tlog-proof@v1\n)?(extra [A-Z=]{0,8}\n)?(index [0-9]{0,3}\n)?([A-Za-z0-9+/]{43}=\n){0,3}\n?[a-z.]{0,3}\n[0-9]{0,2}\n\n?(— [a-z+ ]{0,3} ?[A-Z]{0,12}={0,2}\n){0,2}"
    ) {
        if let Ok(note) = Note::parse(text.as_bytes()) {
            prop_assert_eq!(note.to_text(), text.clone());
            if let Ok(checkpoint) = Checkpoint::parse_body(note.text()) {
                prop_assert_eq!(checkpoint.to_body(), note.text());
            }
        }
        if let Ok(proof) = TlogProof::parse(text.as_bytes()) {
            prop_assert_eq!(proof.to_text(), text.clone());
        }
        if let Ok(verifier) = text.parse::<LogVerifier>() {
            prop_assert_eq!(verifier.to_string(), text);
        }
    }

    #[test]
    fn a_mutated_proof_file_never_panics_or_verifies(at in 0usize..2_000, with: Vec<u8>, removed in 0usize..40) {
        let (_, proof) = example();
        let text = proof.to_text().into_bytes();
        let start = at % text.len();
        let end = text.len().min(start + removed);
        let mut changed = text[..start].to_vec();
        changed.extend(&with);
        changed.extend(&text[end..]);
        prop_assume!(changed != text);
        prop_assert!(tlog_proof::verify(&leaves()[4], &changed, signer().verifier()).is_err());
    }

    #[test]
    fn every_checkpoint_that_is_signed_opens_again(size in 1u64..1 << 63, root: [u8; 32]) {
        let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size, root: truc_types::Digest(root) };
        let note = checkpoint::sign(&checkpoint, &signer()).unwrap();
        prop_assert_eq!(checkpoint::open(note.as_bytes(), signer().verifier()), Ok(checkpoint));
    }
}
