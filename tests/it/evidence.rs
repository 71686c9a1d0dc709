//! Evidence that others verify: our CLI, a Python program and a shell script written from the public specifications. One flipped byte is refused.

use std::path::{Path, PathBuf};
use std::process::Command;

use truc_tests::axis::Axis;
use truc_tests::dms::{Letter, settled};
use truc_tests::tools::{program, python, root, run_truc};

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
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

fn accepts(verifier: &str, folder: &Path) -> bool {
    let folder = folder.to_str().unwrap();
    let status = match verifier {
        "truc" => run_truc(&["verify", folder]).status,
        "python" => Command::new(python()).arg(root().join("tools/verify.py")).arg(folder).output().unwrap().status,
        "openssl" => program("bash").arg(root().join("tools/verify.sh")).arg(folder).output().unwrap().status,
        other => panic!("no verifier is called {other}"),
    };
    status.success()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_verifiers_accept_the_evidence_and_refuse_it_after_one_flipped_byte_in_any_file() {
    // The script's own complaint would look like bad evidence.
    assert!(program("openssl").arg("version").output().unwrap().status.success());
    let axis = Axis::running();
    let (sender, finance) = (axis.dms("G22"), axis.dms("G12"));
    let message_id = sender.send(&Letter::new("evidence", &["G12"])).await.unwrap();
    finance.receive(None, 1).await.unwrap();
    finance.acknowledge(&message_id, "G12", "1").await.unwrap();
    sender.watch(&message_id, settled).await.unwrap();
    let folder = axis.path("evidence");
    sender.evidence(&message_id, "G12", &folder);

    let mut flipped = 0;
    for verifier in ["truc", "python", "openssl"] {
        assert!(accepts(verifier, &folder), "{verifier} refuses good evidence");
        for file in files(&folder) {
            // VERIFY.txt is for people; nothing rests on it.
            if file.file_name().is_some_and(|name| name == "VERIFY.txt") {
                continue;
            }
            let good = std::fs::read(&file).unwrap();
            let mut bad = good.clone();
            let at = bad.len() / 2;
            bad[at] ^= 0x01;
            std::fs::write(&file, &bad).unwrap();
            assert!(!accepts(verifier, &folder), "{verifier} accepts {} with byte {at} flipped", file.display());
            std::fs::write(&file, &good).unwrap();
            flipped += 1;
        }
        assert!(accepts(verifier, &folder), "{verifier} refuses the restored evidence");
    }
    // Envelope, fact and two receipts with a proof each, one attachment, three files of trust: three times.
    assert!(flipped >= 3 * 12, "only {flipped} files were tried");
}
