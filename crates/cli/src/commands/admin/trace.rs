//! `truc admin trace`: every hop of one message. From the broker with a proof for each entry, checked here against the key of the log; from an edge
//! what it recorded itself.

use std::collections::HashSet;

use clap::Args;
use truc_ledger::{InclusionProof, LogVerifier, checkpoint, leaf_hash};
use truc_proto::admin::v1 as pb;
use truc_proto::admin::v1::edge_admin_service_client::EdgeAdminServiceClient;
use truc_signing::DsseFile;
use truc_signing::statement::{Fact, Statement};
use truc_types::{Digest, LeafIndex, MessageId};

use super::remote::{BrokerAddress, Node};
use crate::commands::remote::EdgeAddress;
use crate::failure::{Exit, Failure};
use crate::language::Language;
use crate::output::Output;

/// Show every step of one message with times, log positions and proofs: accepted, queued, offered, fetched, acknowledged or refused.
/// The proofs are checked here, against the log key in the PKI folder. Exit code 1 when one does not hold.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The message id.
    message: MessageId,
    #[command(flatten)]
    node: Node,
}

/// One line of a trace.
#[derive(Debug, serde::Serialize)]
struct Hop {
    step: String,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    block: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leaf: Option<u64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    recipient: String,
    detail: String,
    /// `verified`, why not, or nothing where there is no proof.
    #[serde(skip_serializing_if = "String::is_empty")]
    proof: String,
}

pub(super) async fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let mut exit = Exit::Done;
    if let Some(broker) = &arguments.node.broker() {
        exit = from_broker(broker, &arguments.message, output).await?;
    }
    if let Some(edge) = &arguments.node.edge() {
        from_edge(edge, &arguments.message, output).await?;
    }
    Ok(exit)
}

async fn from_edge(edge: &EdgeAddress, message: &MessageId, output: &mut Output) -> Result<(), Failure> {
    let mut client = EdgeAdminServiceClient::new(edge.channel().await?);
    let request = pb::TraceLocalMessageRequest { message_id: message.to_string() };
    let answer = client.trace_local_message(request).await.map_err(|status| edge.failure(&status))?.into_inner();
    for step in answer.steps {
        let hop = Hop {
            step: step.step,
            at: step.at,
            block: None,
            position: Some(step.position),
            leaf: step.leaf,
            recipient: step.recipient,
            detail: step.detail,
            proof: String::new(),
        };
        hop.print("edge", output)?;
    }
    Ok(())
}

async fn from_broker(broker: &BrokerAddress, message: &MessageId, output: &mut Output) -> Result<Exit, Failure> {
    let key = broker.log_key()?;
    let mut client = broker.connect().await?;
    let mut trace = Trace { message: *message, key, expected: 0, settled: HashSet::new(), proofs_failed: 0, steps: 0 };
    let mut from_position = 0;
    loop {
        let request = pb::TraceMessageRequest { message_id: message.to_string(), from_position };
        let page = client.trace_message(request).await.map_err(|status| broker.failure(&status))?.into_inner();
        trace.page(&page, output)?;
        if page.next_from_position <= from_position || trace.is_settled() {
            break;
        }
        from_position = page.next_from_position;
        let looking = output.language().choose("looking for receipts: position", "đang tìm biên nhận: vị trí");
        output.progress(&format!("{looking} {from_position} / {}", page.end_position));
    }
    if trace.steps == 0 {
        let message = format!("{message} is not in the log, and no refusal of it is");
        return Err(Failure::Refused(truc_types::Refusal::new(truc_types::Reason::MessageUnknown, message)));
    }
    let language = output.language();
    let entries = language.count(trace.steps, "entry of the log", "entries of the log", "bản ghi trong nhật ký");
    let failed = language.count(trace.proofs_failed, "proof does not hold", "proofs do not hold", "bằng chứng không hợp lệ");
    output.talk(&format!("{entries}, {failed}"));
    Ok(if trace.proofs_failed == 0 { Exit::Done } else { Exit::Failed })
}

/// What has been learnt so far.
struct Trace {
    message: MessageId,
    key: LogVerifier,
    /// Recipients of the message; 0 before the fact was seen.
    expected: usize,
    /// Recipients that answered.
    settled: HashSet<String>,
    proofs_failed: u64,
    steps: u64,
}

impl Trace {
    fn is_settled(&self) -> bool {
        self.expected > 0 && self.settled.len() >= self.expected
    }

    fn page(&mut self, page: &pb::TraceMessageResponse, output: &mut Output) -> Result<(), Failure> {
        let signed = checkpoint::open(page.checkpoint.as_bytes(), &self.key);
        for step in &page.steps {
            let entry = step.entry.as_ref().ok_or_else(|| Failure::BadAnswer("a step without an entry".to_owned()))?;
            let proof = match &signed {
                Ok(signed) => verify(entry, signed.size, &signed.root),
                Err(cause) => Err(format!("the checkpoint does not hold: {cause}")),
            };
            self.steps += 1;
            self.proofs_failed += u64::from(proof.is_err());
            let proof = proof.map_or_else(|cause| cause, |()| "verified".to_owned());
            for (name, recipient, detail, own_time) in self.told(&entry.entry)? {
                let at = if own_time.is_empty() { step.block_time.clone() } else { own_time };
                let (block, position, leaf) = (Some(step.block), Some(step.position), Some(entry.leaf));
                Hop { step: name, at, block, position, leaf, recipient, detail, proof: proof.clone() }.print("log", output)?;
            }
        }
        for waiting in &page.waiting {
            waiting_hop(waiting, &page.now).print("now", output)?;
        }
        Ok(())
    }

    /// What an entry says of the message: step, recipient, detail, own time.
    fn told(&mut self, bytes: &[u8]) -> Result<Vec<(String, String, String, String)>, Failure> {
        let unreadable = |cause: String| Failure::BadAnswer(format!("an entry that does not parse: {cause}"));
        let plain = bytes.starts_with(b"{\"_type\"");
        let payload = if plain { bytes.to_vec() } else { DsseFile::parse(bytes).map_err(|cause| unreadable(cause.to_string()))?.payload };
        let none = String::new;
        Ok(match Statement::parse(&payload).map_err(|cause| unreadable(cause.to_string()))? {
            Statement::Envelope(envelope) => {
                let detail =
                    format!("of {} with number {} in edge term {}", envelope.sender.agency, envelope.sender_seq, envelope.edge_term);
                vec![("envelope".to_owned(), none(), detail, none())]
            }
            Statement::Fact(Fact::Accepted(accepted)) => {
                self.expected = accepted.queue.len();
                let queued = accepted.queue.iter().map(|queued| {
                    let detail = format!("position {} in the queue of {}", queued.position, queued.agency);
                    ("accepted".to_owned(), queued.recipient.to_string(), detail, none())
                });
                queued.collect()
            }
            Statement::Fact(Fact::Rejected(rejected)) => {
                vec![("rejected".to_owned(), none(), format!("{}: {}", rejected.reason.code(), rejected.reason.advice()), none())]
            }
            Statement::Fact(_) => vec![("fact".to_owned(), none(), none(), none())],
            Statement::Receipt(receipt) => {
                let own = receipt.items.iter().filter(|item| item.message_id == self.message);
                let event = receipt.event.as_str().to_owned();
                let told = own.map(|item| {
                    let reason = item.reason.as_ref().map(|reason| format!(", reason {}", reason.code)).unwrap_or_default();
                    let detail =
                        format!("receipt {} of {}{reason}, at the recipient {}", receipt.receipt_id, receipt.issuer, item.event_time);
                    (event.clone(), item.recipient.to_string(), detail, none())
                });
                let told: Vec<_> = told.collect();
                if event == "acknowledged" || event == "refused" {
                    self.settled.extend(told.iter().map(|(_, recipient, ..)| recipient.clone()));
                }
                told
            }
            Statement::SenderHead(_) | Statement::Registry(_) => Vec::new(),
        })
    }
}

fn waiting_hop(waiting: &pb::TraceDelivery, now: &str) -> Hop {
    let edge = if waiting.connected { "connected" } else { "away" };
    let step = if waiting.leased { "offered" } else { "waiting" };
    let until = if waiting.until.is_empty() { String::new() } else { format!(", until {}", waiting.until) };
    let detail = format!(
        "in lane {} of the queue of {} at position {}, offered {} times{until}; its edge is {edge}",
        waiting.lane, waiting.agency, waiting.queue_position, waiting.attempts
    );
    Hop {
        step: step.to_owned(),
        at: now.to_owned(),
        block: None,
        position: None,
        leaf: None,
        recipient: waiting.recipient.clone(),
        detail,
        proof: String::new(),
    }
}

/// A step for people.
fn step_word(step: &str, language: Language) -> &str {
    let vietnamese = match step {
        "envelope" => "văn bản",
        "stored" => "đã lưu",
        "sealed" => "đã đóng dấu",
        "accepted" => "đã vào trục",
        "rejected" => "trục từ chối",
        "waiting" => "đang chờ",
        "offered" => "đang giao",
        "fetched" => "đã đến",
        "acknowledged" => "đã tiếp nhận",
        "refused" => "từ chối nhận",
        "arrived" => "đã nhận",
        "shown" => "đọc được",
        "answered" => "đã trả lời",
        "receipt" => "biên nhận",
        other => other,
    };
    language.choose(step, vietnamese)
}

/// Whether the entry is that leaf of the tree with this root.
pub(super) fn verify(entry: &truc_proto::broker::v1::LoggedEntry, size: u64, root: &Digest) -> Result<(), String> {
    let (chunks, rest) = entry.path.as_chunks::<32>();
    // RFC 9162: a tree of 2^63 leaves has paths of 63 hashes.
    if !rest.is_empty() || chunks.len() > 63 {
        return Err(format!("a proof of {} bytes", entry.path.len()));
    }
    let path = chunks.iter().map(|hash| Digest(*hash)).collect();
    let proof = InclusionProof { leaf_index: LeafIndex(entry.leaf), tree_size: size, path };
    proof.verify(&leaf_hash(&entry.entry), root).map_err(|cause| cause.to_string())
}

impl Hop {
    fn print(&self, from: &str, output: &mut Output) -> Result<(), Failure> {
        let language = output.language();
        let (leaf_word, block_word) = (language.choose("leaf", "lá"), language.choose("block", "khối"));
        let place = match (self.leaf, self.block, self.position) {
            (Some(leaf), Some(block), _) => format!("{leaf_word} {leaf} {block_word} {block}"),
            (Some(leaf), None, _) => format!("{leaf_word} {leaf}"),
            (None, _, Some(position)) => format!("{} {position}", language.choose("record", "bản ghi")),
            (None, _, None) => String::new(),
        };
        let proof = match self.proof.as_str() {
            "" => String::new(),
            "verified" => language.choose("  [proof: verified]", "  [bằng chứng: hợp lệ]").to_owned(),
            cause => format!("  [{}: {cause}]", language.choose("proof", "bằng chứng")),
        };
        let words = [self.recipient.as_str(), self.detail.as_str()].into_iter().filter(|word| !word.is_empty());
        let words: Vec<_> = words.collect();
        let at = if self.at.is_empty() { "-" } else { self.at.as_str() };
        let step = step_word(&self.step, language);
        output.data(&format!("{from:<5} {at:<24}  {step:<13} {place:<20} {}{proof}", words.join(": ")), self)
    }
}
