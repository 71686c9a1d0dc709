//! What the verifier says of good, damaged, incomplete and forged evidence.

use crate::language::Language;
use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect;
use truc_signing::statement::{Accepted, Receipt};

use super::sample::{Axis, Recipe};
use super::{Finding, Report, Verdict, verify_folder};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/evidence")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// What speaks against the evidence, as `check file`.
fn against(report: &Report) -> Vec<String> {
    let speaks = |finding| matches!(finding, Finding::Failed | Finding::Indeterminate);
    report.checks.iter().filter(|check| speaks(check.verdict)).map(|check| format!("{} {}", check.check, check.file)).collect()
}

fn forged(recipe: &Recipe) -> Vec<String> {
    let (axis, folder) = (Axis::new(), tempfile::tempdir().unwrap());
    axis.write_evidence(folder.path(), recipe);
    let report = verify_folder(folder.path(), None);
    assert_eq!(report.verdict(), Verdict::TotalFailed);
    against(&report)
}

/// Writes `testdata/evidence` anew. Its keys and dates are then others, and the expected output below has to follow.
fn write_golden_evidence() {
    let axis = Axis::new();
    let _absent = fs::remove_dir_all(golden());
    axis.write_evidence(&golden().join("folder"), &Recipe::default());
    axis.write_trust(&golden().join("trust"));
}

#[test]
fn golden_evidence_passes_and_says_what_it_checked() {
    if std::env::var_os("TRUC_WRITE_VECTORS").is_some() {
        write_golden_evidence();
    }
    let report = verify_folder(&golden().join("folder"), Some(&golden().join("trust")));
    let lines: String = report.checks.iter().map(|check| format!("{}\n", check.text(Language::En))).collect();
    expect![[r#"
        passed        folder.files      .: 14 files, all of them known
        passed        folder.guide      VERIFY.txt: the instructions of this release
        passed        trust.authority   trust/ca.pem: 1 read
        passed        trust.log_keys    trust/vkeys.txt: 1 read
        passed        trust.signers     trust/chain.pem: 2 read
        passed        trust.issued      trust/chain.pem: signed by the authority
        passed        trust.source      trust: authority and log keys of your trust folder were used; those of the evidence are the same
        passed        log.inclusion     envelope.dsse.json: leaf 3 of 5 in truc.example/axis/2026
        passed        log.inclusion     facts/01-accepted.json: leaf 4 of 5 in truc.example/axis/2026
        passed        log.inclusion     receipts/01-fetched.dsse.json: leaf 6 of 7 in truc.example/axis/2026
        passed        log.inclusion     receipts/02-acknowledged.dsse.json: leaf 7 of 8 in truc.example/axis/2026
        passed        log.consistent    .: 3 checkpoints agree on 12 subtrees
        passed        envelope.form     envelope.dsse.json: message 01040G2081040G2081040G2081 from G12 (G12) to 2 recipients
        passed        fact.accepted     facts/01-accepted.json: accepted at 2026-11-22T03:00:02.000Z as leaf 3, queued for 2 recipients
        passed        envelope.seal     envelope.dsse.json: sealed by G12, 1 signers, certificates valid at 2026-11-22T03:00:02.000Z
        passed        envelope.time     envelope.dsse.json: sealed at 2026-11-22T03:00:01.000Z, accepted at 2026-11-22T03:00:02.000Z
        passed        log.observed      envelope.dsse.json: sealed after the log had 3 leaves
        passed        receipt.seal      receipts/01-fetched.dsse.json: sealed by H53, 1 signers, certificates valid at 2026-11-22T03:00:05.010Z
        passed        receipt.subject   receipts/01-fetched.dsse.json: fetched by H53 for H53.13
        passed        receipt.time      receipts/01-fetched.dsse.json: sealed at 2026-11-22T03:00:05.010Z
        passed        receipt.place     receipts/01-fetched.dsse.json: leaf 6 follows
        passed        log.observed      receipts/01-fetched.dsse.json: sealed after the log had 3 leaves
        passed        receipt.seal      receipts/02-acknowledged.dsse.json: sealed by H53, 1 signers, certificates valid at 2026-11-22T03:01:00.010Z
        passed        receipt.subject   receipts/02-acknowledged.dsse.json: acknowledged by H53 for H53.13
        passed        receipt.time      receipts/02-acknowledged.dsse.json: sealed at 2026-11-22T03:01:00.010Z
        passed        receipt.place     receipts/02-acknowledged.dsse.json: leaf 7 follows
        passed        log.observed      receipts/02-acknowledged.dsse.json: sealed after the log had 7 leaves
        passed        recipient.story   H53.13: fetched 2026-11-22T03:00:05.000Z, acknowledged 2026-11-22T03:01:00.000Z, arrival number 88
        note          recipient.story   H53: in the queue of H53 at position 13; no receipt here
        passed        content.digest    attachments/00: 15 bytes, digest b5d4c2daa152f53c02621a70601b11dc5b4aecbda1cc3f5962bc5f7f491bad40
        passed        content.digest    message.edxml: 21 bytes, digest c837fe93b95ea8f8f39baceace2742670e5abba23134ac998a1967db5fc4b91a
        TOTAL-PASSED: chứng cứ hợp lệ"#]].assert_eq(&format!("{lines}{}", report.verdict()));
}

#[test]
fn evidence_that_brings_its_own_trust_passes_with_a_note() {
    let report = verify_folder(&golden().join("folder"), None);
    assert_eq!(report.verdict(), Verdict::TotalPassed);
    assert!(report.checks.iter().any(|check| check.check == "trust.source" && check.verdict == Finding::Note));
}

#[test]
fn evidence_of_another_axis_fails_against_own_trust() {
    let (axis, trust) = (Axis::new(), tempfile::tempdir().unwrap());
    axis.write_trust(trust.path());
    let report = verify_folder(&golden().join("folder"), Some(trust.path()));
    assert_eq!(report.verdict(), Verdict::TotalFailed);
    assert!(against(&report).contains(&"trust.source trust".to_owned()));
    assert!(against(&report).contains(&"envelope.seal envelope.dsse.json".to_owned()));
}

#[test]
fn no_flipped_bit_passes() {
    let folder = tempfile::tempdir().unwrap();
    copy(&golden().join("folder"), folder.path());
    let mut flips = 0;
    for path in files(folder.path()) {
        let original = fs::read(&path).unwrap();
        // Every 11th byte and both ends: with prime steps all columns of base64 lines and all fields are hit.
        let positions = (0..original.len()).step_by(11).chain([original.len() - 1]);
        for at in positions {
            let mut bytes = original.clone();
            bytes[at] ^= 1 << (at % 7);
            fs::write(&path, &bytes).unwrap();
            let report = verify_folder(folder.path(), None);
            assert_eq!(report.verdict(), Verdict::TotalFailed, "byte {at} of {}: {:#?}", path.display(), report.checks);
            flips += 1;
        }
        fs::write(&path, &original).unwrap();
    }
    assert!(flips > 1_000, "only {flips} positions");
    assert_eq!(verify_folder(folder.path(), None).verdict(), Verdict::TotalPassed);
}

#[test]
fn no_truncated_or_lengthened_file_passes() {
    let folder = tempfile::tempdir().unwrap();
    copy(&golden().join("folder"), folder.path());
    for path in files(folder.path()) {
        let original = fs::read(&path).unwrap();
        for length in [0, 1, original.len() / 2, original.len() - 1] {
            fs::write(&path, &original[..length]).unwrap();
            let verdict = verify_folder(folder.path(), None).verdict();
            assert_ne!(verdict, Verdict::TotalPassed, "{length} bytes of {}", path.display());
        }
        fs::write(&path, [original.as_slice(), b"\n"].concat()).unwrap();
        assert_eq!(verify_folder(folder.path(), None).verdict(), Verdict::TotalFailed, "{}", path.display());
        fs::write(&path, &original).unwrap();
    }
}

#[test]
fn a_missing_file_leaves_the_verdict_open() {
    let folder = tempfile::tempdir().unwrap();
    copy(&golden().join("folder"), folder.path());
    for path in files(folder.path()) {
        let original = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        // The guide for people is the only file that nothing depends on.
        let expected = if path.ends_with("VERIFY.txt") { Verdict::TotalPassed } else { Verdict::Indeterminate };
        let report = verify_folder(folder.path(), None);
        assert_eq!(report.verdict(), expected, "without {}: {:?}", path.display(), against(&report));
        fs::write(&path, &original).unwrap();
    }
}

#[test]
fn files_that_nobody_knows_fail_the_folder() {
    for name in
        ["extra.txt", "facts/1-accepted.json", "receipts/01-refused.dsse.json", "attachments/99", "attachments/01", "trust/x/y", ".hidden"]
    {
        let folder = tempfile::tempdir().unwrap();
        copy(&golden().join("folder"), folder.path());
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, b"x").unwrap();
        assert_eq!(verify_folder(folder.path(), None).verdict(), Verdict::TotalFailed, "{name}");
    }
    let folder = tempfile::tempdir().unwrap();
    copy(&golden().join("folder"), folder.path());
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("attachments/01")).unwrap();
    assert_eq!(verify_folder(folder.path(), None).verdict(), Verdict::TotalFailed);
}

#[test]
fn an_empty_folder_and_no_folder_prove_nothing() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(verify_folder(folder.path(), None).verdict(), Verdict::Indeterminate);
    assert_eq!(verify_folder(&folder.path().join("nothing"), None).verdict(), Verdict::TotalFailed);
}

#[test]
fn facts_that_the_axis_signed_wrongly_fail() {
    let check = |accepted: fn(&mut Accepted), expected: &str| {
        let found = forged(&Recipe { accepted, ..Recipe::default() });
        assert!(found.contains(&expected.to_owned()), "{expected}: {found:?}");
    };
    check(|fact| fact.envelope.0[0] ^= 1, "fact.accepted facts/01-accepted.json");
    check(|fact| fact.leaf.0 = 2, "fact.accepted facts/01-accepted.json");
    check(|fact| fact.queue.truncate(1), "fact.accepted facts/01-accepted.json");
    check(|fact| fact.block_time = "2026-11-01T00:00:00.000Z".parse().unwrap(), "envelope.time envelope.dsse.json");
    check(|fact| fact.block_time = "2029-11-01T00:00:00.000Z".parse().unwrap(), "envelope.seal envelope.dsse.json");
}

#[test]
fn receipts_that_do_not_fit_fail() {
    let check = |fetched: fn(&mut Receipt), expected: &str| {
        let found = forged(&Recipe { fetched, ..Recipe::default() });
        assert!(found.contains(&expected.to_owned()), "{expected}: {found:?}");
    };
    check(|receipt| receipt.items[0].envelope.0[0] ^= 1, "receipt.subject receipts/01-fetched.dsse.json");
    check(|receipt| receipt.items[0].recipient = "H54".parse().unwrap(), "receipt.subject receipts/01-fetched.dsse.json");
    check(|receipt| receipt.original_sender = "G13".parse().unwrap(), "receipt.subject receipts/01-fetched.dsse.json");
    check(|receipt| receipt.issuer = "G12".parse().unwrap(), "receipt.seal receipts/01-fetched.dsse.json");
    check(
        |receipt| receipt.items[0].queue_position = None.or(Some(truc_types::QueuePosition(1))),
        "receipt.subject receipts/01-fetched.dsse.json",
    );
    check(
        |receipt| receipt.items[0].event_time = "2026-11-22T02:00:00.000Z".parse().unwrap(),
        "receipt.time receipts/01-fetched.dsse.json",
    );
    check(|receipt| receipt.observed_log.as_mut().unwrap().size = 50, "log.observed receipts/01-fetched.dsse.json");
    let twice = forged(&Recipe { acknowledged: |receipt| receipt.observed_log.as_mut().unwrap().root.0[0] ^= 1, ..Recipe::default() });
    assert_eq!(twice, ["log.observed receipts/02-acknowledged.dsse.json"]);
}

#[test]
fn a_tls_key_cannot_seal() {
    assert_eq!(forged(&Recipe { sealed_with: "tls", ..Recipe::default() }), ["envelope.seal envelope.dsse.json"]);
}
