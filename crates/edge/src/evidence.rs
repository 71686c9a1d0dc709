//! The evidence folder of a document that was sent, for one recipient: exact bytes and their proofs, made from the journal's records.
//!
//! The leaf of each `.tlog-proof` is the exact bytes of the file of the same stem. Nothing here is signed or computed anew.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use truc_ledger::{InclusionProof, TlogProof};
use truc_signing::open_sealed;
use truc_signing::statement::{Envelope, Receipt, RegistryEvent, Statement, attachment_subject};
use truc_types::names::EDXML_SUBJECT;
use truc_types::{Digest, MessageId, OrganisationCode, Position, Reason, Refusal};

use crate::node::Node;
use crate::record::{Leaf, Record};
use crate::trust::checkpoint::{path, read_unverified};

/// What a file holds.
pub(crate) enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Content of the attachments' folder.
    Blob { digest: Digest, size: u64 },
}

/// One file of the folder.
pub(crate) struct EvidenceFile {
    /// Lower-case letters, digits, `-`, `_`, `.`, `/`.
    pub(crate) path: String,
    pub(crate) content: Content,
}

fn file(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> EvidenceFile {
    EvidenceFile { path: path.into(), content: Content::Bytes(bytes.into()) }
}

/// All files, or why there is no evidence yet.
pub(crate) async fn files(node: &Node, message_id: MessageId, recipient: &OrganisationCode) -> Result<Vec<EvidenceFile>, Refusal> {
    let row = node.store.read(move |state| state.outbox(&message_id)).await?;
    let unknown = || Refusal::new(Reason::MessageUnknown, format!("{message_id} was not sent from here to {recipient}"));
    let row = row.ok_or_else(unknown)?;
    let to = row.recipients.iter().find(|row| row.code == *recipient).ok_or_else(unknown)?;
    let (Some(accepted), Some(sealed)) = (row.accepted, row.sealed) else {
        return Err(Refusal::new(Reason::BrokerAway, format!("{message_id} is not in the log yet")));
    };
    let Record::Sealed { file: sealed_file, .. } = node.store.record_at(sealed.position).await? else {
        return Err(misplaced(sealed.position));
    };
    let acceptance = node.store.record_at(accepted.position).await?;
    let Record::Accepted { envelope_leaf, fact, fact_leaf, checkpoint, .. } = acceptance else { return Err(misplaced(accepted.position)) };
    let Statement::Envelope(envelope) = statement(&sealed_file)? else { return Err(misplaced(sealed.position)) };
    let mut signers: Vec<Digest> = envelope.required_signers.iter().map(|signer| signer.keyid).collect();
    let mut files = vec![
        file("VERIFY.txt", VERIFY),
        file("envelope.dsse.json", sealed_file),
        file("envelope.tlog-proof", proof(&envelope_leaf, &checkpoint)?),
        file("facts/01-accepted.json", fact),
        file("facts/01-accepted.tlog-proof", proof(&fact_leaf, &checkpoint)?),
    ];
    for (number, position) in (1u32..).zip(&to.receipts) {
        let position = Position(*position);
        let Record::FeedReceipt { file: receipt_file, leaf, checkpoint, .. } = node.store.record_at(position).await? else {
            return Err(misplaced(position));
        };
        let Statement::Receipt(receipt) = statement(&receipt_file)? else { return Err(misplaced(position)) };
        let Receipt { event, required_signers, .. } = receipt;
        signers.extend(required_signers.iter().map(|signer| signer.keyid));
        let stem = format!("receipts/{number:02}-{}", event.as_str().replace('_', "-"));
        files.push(file(format!("{stem}.dsse.json"), receipt_file));
        files.push(file(format!("{stem}.tlog-proof"), proof(&leaf, &checkpoint)?));
    }
    files.extend(attachments(&envelope));
    files.push(file("trust/vkeys.txt", format!("{}\n", node.trust.log().key())));
    files.push(file("trust/ca.pem", node.config.tls.authority_pem().as_bytes()));
    files.push(file("trust/chain.pem", chain(node, &signers).await?));
    Ok(files)
}

fn attachments(envelope: &Envelope) -> Vec<EvidenceFile> {
    let blob = |path: String, digest, size| EvidenceFile { path, content: Content::Blob { digest, size } };
    let files = envelope.attachments.iter().enumerate().map(|(index, file)| blob(attachment_subject(index), file.sha256, file.size));
    files.chain(envelope.edxml.iter().map(|source| blob(EDXML_SUBJECT.to_owned(), source.sha256, source.size))).collect()
}

fn statement(file: &[u8]) -> Result<Statement, Refusal> {
    Ok(open_sealed(file).map_err(|cause| cause.to_refusal())?.statement)
}

fn misplaced(position: Position) -> Refusal {
    Refusal::new(Reason::JournalCorrupt, format!("the record at position {position} is not what the rows say"))
}

/// A C2SP `.tlog-proof` file of a recorded leaf.
fn proof(leaf: &Leaf, checkpoint: &str) -> Result<String, Refusal> {
    let corrupt = |cause: String| Refusal::new(Reason::JournalCorrupt, format!("a recorded proof does not read: {cause}"));
    let tree_size = read_unverified(checkpoint).map_err(|cause| corrupt(cause.to_string()))?.size;
    let path = path(&leaf.path).map_err(|cause| corrupt(cause.to_string()))?;
    let proof = TlogProof::new(&InclusionProof { leaf_index: leaf.index, tree_size, path }, checkpoint);
    Ok(proof.map_err(|cause| corrupt(cause.to_string()))?.to_text())
}

/// The seal certificates of all signers, the sender's first, each once.
async fn chain(node: &Node, signers: &[Digest]) -> Result<String, Refusal> {
    let mut done: Vec<Digest> = Vec::new();
    let mut text = String::new();
    for keyid in signers {
        if done.contains(keyid) {
            continue;
        }
        done.push(*keyid);
        let wanted = *keyid;
        let Some(position) = node.store.read(move |state| state.certificate_of(&wanted)).await? else { continue };
        let Record::RegistryEntry { file, .. } = node.store.record_at(position).await? else { return Err(misplaced(position)) };
        if let Statement::Registry(registry) = statement(&file)?
            && let RegistryEvent::CertificateAdded(added) = registry.event
        {
            text.push_str(&pem(&added.certificate));
        }
    }
    Ok(text)
}

/// A certificate as PEM (RFC 7468 section 5): base64 in lines of 64 characters.
fn pem(der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for (index, character) in encoded.chars().enumerate() {
        if index > 0 && index.is_multiple_of(64) {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str("\n-----END CERTIFICATE-----\n");
    text
}

/// What lies in the folder and how anybody checks it.
const VERIFY: &str = include_str!("verify.txt");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_written_in_lines_of_64_characters() {
        let text = pem(&[0xab; 100]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.first(), Some(&"-----BEGIN CERTIFICATE-----"));
        assert_eq!(lines.last(), Some(&"-----END CERTIFICATE-----"));
        assert_eq!(lines[1].len(), 64);
        assert_eq!(STANDARD.decode(lines[1..lines.len() - 1].concat()).unwrap(), [0xab; 100]);
    }
}
