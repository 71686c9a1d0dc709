//! The evidence of the demo: a folder per recipient, verified offline by this binary, and the commands that verify it without us.

use super::Show;
use super::axis::Axis;
use super::letters::Sent;
use crate::commands::evidence;
use crate::failure::Failure;
use crate::verify::{Verdict, verify_folder};

/// Two verifiers that share no code with this one.
const SCRIPTS: &str = "tools/verify.sh, tools/verify.py";

/// Writes and verifies the evidence of each document for each recipient.
pub(super) async fn run(axis: &Axis, sent: &[Sent], show: &mut Show<'_>) -> Result<(), Failure> {
    let trust = axis.path("pki/trust");
    let mut last = None;
    for Sent { message_id, recipients } in sent {
        for recipient in recipients {
            let folder = axis.path("evidence").join(format!("{message_id}-{recipient}"));
            let (files, _) = evidence::write(&axis.edge("G22"), message_id, recipient, &folder).await?;
            let report = verify_folder(&folder, Some(&trust));
            if report.verdict() != Verdict::TotalPassed {
                return Err(Failure::BadAnswer(format!("evidence that does not verify: run `truc verify {}`", folder.display())));
            }
            let checks = report.checks.len();
            show.step(
                "verified",
                &format!("{message_id} for {recipient}: {files} files, {checks} checks passed"),
                &format!("{message_id} gửi {recipient}: {files} tệp, đạt {checks} phép kiểm tra"),
            )?;
            last = Some(folder);
        }
    }
    if let Some(folder) = last {
        let commands = commands(&folder);
        show.step(
            "openssl",
            &format!("the seal of the last one without our software (--keep DIR keeps the files):\n{commands}\neverything, with the Merkle proofs: {SCRIPTS}"),
            &format!("dấu của chứng cứ cuối, không dùng phần mềm của chúng tôi (--keep DIR giữ các tệp):\n{commands}\ntất cả, cùng các bằng chứng Merkle: {SCRIPTS}"),
        )?;
    }
    Ok(())
}

/// The seal of an envelope, checked with nothing of ours. The script does the same for all files, and the Merkle proofs.
fn commands(folder: &std::path::Path) -> String {
    let folder = folder.display();
    format!(
        "  cd {folder}
  sed 's/.*\"payload\":\"\\([^\"]*\\)\".*/\\1/' envelope.dsse.json | base64 -d > /tmp/payload
  {{ printf 'DSSEv1 28 application/vnd.in-toto+json %s ' \"$(stat -c %s /tmp/payload)\"; cat /tmp/payload; }} > /tmp/pae
  sed 's/.*\"sig\":\"\\([^\"]*\\)\".*/\\1/' envelope.dsse.json | base64 -d > /tmp/sig
  openssl x509 -in trust/chain.pem -pubkey -noout > /tmp/key.pem
  openssl pkeyutl -verify -rawin -pubin -inkey /tmp/key.pem -in /tmp/pae -sigfile /tmp/sig
  openssl verify -CAfile trust/ca.pem trust/chain.pem"
    )
}
