//! Frozen names. They stand inside signed bytes and in evidence that must verify for decades: none of them may ever change.

/// `payloadType` of every DSSE file.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// `_type` of every statement (in-toto Statement v1).
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// A document from one organisation to others, sealed by the sender's edge.
pub const ENVELOPE_V1: &str = "https://truc.example/envelope/v1";
/// What a recipient says became of documents, sealed by the recipient's edge.
pub const RECEIPT_V1: &str = "https://truc.example/receipt/v1";
/// What the axis did; not sealed itself, the log key signs it through the checkpoint.
pub const FACT_V1: &str = "https://truc.example/fact/v1";
/// Directory, certificates and policy, sealed by the operator.
pub const REGISTRY_V1: &str = "https://truc.example/registry/v1";
/// What an edge says of its own sequence numbers and terms, sealed by the edge.
pub const SENDER_HEAD_V1: &str = "https://truc.example/sender-head/v1";
/// Prefix of the SAN URI that names the agency in a certificate.
pub const AGENCY_URN_PREFIX: &str = "urn:truc:agency:";
/// SAN URI of the operator's certificate.
pub const OPERATOR_URN: &str = "urn:truc:operator";
/// SAN URI of the broker's certificate.
pub const BROKER_URN: &str = "urn:truc:broker";
/// Prefix of the log origin; the shard year follows. The C2SP key name of a log equals its origin.
pub const LOG_ORIGIN_PREFIX: &str = "truc.example/axis/";
/// Prefix of the origin of an edge's private journal; the agency code follows.
pub const EDGE_ORIGIN_PREFIX: &str = "truc.example/edge/";
/// Subject name of the edXML file as it was received.
pub const EDXML_SUBJECT: &str = "message.edxml";
/// DNS name in the broker's TLS certificate; edges demand it whatever address they connect to.
pub const BROKER_DNS_NAME: &str = "broker.truc.example";
/// `domain` of `google.rpc.ErrorInfo`.
pub const ERROR_DOMAIN: &str = "truc.example";
/// Code of the agency that the axis itself is, for the signed loopback message of readiness. National codes begin with a letter and two digits or with
/// three digits (Decision 20/2020/QĐ-TTg, QCVN 102:2016), so nobody else can ever have it.
pub const LOOPBACK_AGENCY: &str = "TRUC.LOOPBACK";
/// `kind` of that agency in the registry. There is at most one.
pub const AXIS_AGENCY_KIND: &str = "axis";
/// `doc.type.name` of the loopback message of a new axis; genesis publishes it.
pub const LOOPBACK_KIND: &str = "truc.loopback";
