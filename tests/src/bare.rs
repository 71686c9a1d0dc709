//! An axis without edges: a broker process, and agencies that are only keys. For tests that speak to the broker as no honest edge would.
//!
//! | agency | is |
//! |---|---|
//! | `H1` | sender |
//! | `H2` | recipient |
//! | `H3` | its seal certificate, and the other TLS certificate, have ended |
//! | `H4` | reads no envelopes |
//! | `H5` | its seal certificate is revoked |
//! | the others | senders and recipients |

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;
use truc::pki::{self, DevelopmentAuthority};
use truc_broker::Init;
use truc_journal::segment::{SegmentJournal, SegmentOptions};
use truc_journal::{Block, BlockHeader, BlockKind, Journal as _};
use truc_ledger::{Frontier, leaf_hash};
use truc_signing::keyfile::PasswordSource;
use truc_signing::statement::{AgencyJoined, CertificateRevoked, Registry, RegistryEvent, SignerRole};
use truc_signing::{Certificate, SealKey, keyfile, seal};
use truc_transport::clock;
use truc_transport::tls::TlsFiles;
use truc_types::names::{ENVELOPE_V1, RECEIPT_V1};
use truc_types::{AgencyCode, Position, Timestamp};
use zeroize::Zeroizing;

use crate::daemon::Daemon;
use crate::tools::{PASSWORD, truc};

const HOUR_MILLIS: u64 = 3_600_000;
const DAY_MILLIS: u64 = 24 * HOUR_MILLIS;

/// What the edge of an agency would have.
pub struct Keys {
    /// The agency.
    pub code: AgencyCode,
    /// The key that the registry knows.
    pub seal: SealKey,
    /// A key of the same agency under the same authority that no registry statement names.
    pub unregistered: SealKey,
    /// A connection that the broker takes.
    pub tls: TlsFiles,
    /// A certificate of the authority for the same agency; the one of `H3` has ended.
    pub other_tls: TlsFiles,
}

/// The broker's folder, the agencies' keys, the broker's process.
pub struct Bare {
    folder: TempDir,
    /// By code.
    pub agencies: BTreeMap<&'static str, Keys>,
    broker: Option<Daemon>,
}

/// Codes of the agencies.
pub const CODES: [&str; 13] = ["H1", "H2", "H3", "H4", "H5", "H6", "H7", "H8", "H9", "H10", "H11", "H12", "H13"];
/// Those of them that send and receive.
pub const HONEST: [&str; 10] = ["H1", "H2", "H6", "H7", "H8", "H9", "H10", "H11", "H12", "H13"];

#[expect(clippy::expect_used, reason = "a test whose preparation failed must fail")]
impl Bare {
    /// Makes keys and log; starts nothing.
    ///
    /// # Panics
    /// When a step fails.
    #[must_use]
    pub fn new() -> Self {
        let folder = TempDir::with_prefix("truc-bare-").expect("a scratch folder");
        let (pki_folder, data) = (folder.path().join("pki"), folder.path().join("broker"));
        // An hour ago, so that a certificate can have ended since.
        let then = Timestamp::from_millis(clock::now().as_millis() - HOUR_MILLIS);
        let made = pki::init_from(PasswordSource::Random, &pki_folder, "Bare", PASSWORD.as_bytes(), then).expect("a PKI");
        let authority = DevelopmentAuthority::open(&pki_folder, PASSWORD.as_bytes()).expect("the authority").with_random_passwords();
        let agencies: BTreeMap<_, _> = CODES.into_iter().map(|code| (code, keys(&pki_folder, &authority, code, then))).collect();
        std::fs::create_dir(&data).expect("the broker's folder");
        let read = |name: &str| pki::read_text(&pki_folder.join(name)).expect("a file of the PKI");
        let init = Init {
            axis_name: "Bare".to_owned(),
            log_origin: made.log_origin,
            listen: "127.0.0.1:0".to_owned(),
            authority_pem: read("ca.pem"),
            operator_pem: read("operator.cert.pem"),
            operator_key_pem: read("operator.key.pem"),
            log_key_pem: read("log.key.pem"),
            tls_certificate_pem: read("broker.tls.cert.pem"),
            tls_key_pem: read("broker.tls.key.pem"),
            password: Zeroizing::new(PASSWORD.as_bytes().to_vec()),
            agencies: CODES.iter().map(|code| (joins(code), read(&format!("agencies/{code}/seal.cert.pem")))).collect(),
            organisations: Vec::new(),
            loopback: None,
        };
        let made = truc_broker::init(&data, &init, then).expect("a new log");
        let operator = seal_key(&pki_folder, "operator");
        let revoked = agencies.get("H5").expect("H5 is there").seal.keyid();
        let event = RegistryEvent::CertificateRevoked(CertificateRevoked {
            keyid: revoked,
            at: then,
            reason: "key_compromise".to_owned(),
            invalidity_date: None,
        });
        let required_signers = vec![operator.required_signer(SignerRole::Operator)];
        let statement = Registry { version: made.entries + 1, at: then, event, required_signers }.to_json();
        append(&data.join("journal"), seal(&statement, &[&operator]).into());
        Self { folder, agencies, broker: None }
    }

    /// The same, with the broker running.
    #[must_use]
    pub fn running() -> Self {
        let mut bare = Self::new();
        bare.start(bare.command());
        bare
    }

    /// The command that runs the broker.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(truc());
        command.args(["broker", "run", "--listen", "127.0.0.1:0", "--data"]).arg(self.data());
        command
    }

    /// Starts the broker.
    pub fn start(&mut self, command: Command) {
        self.broker = Some(Daemon::start(command, &self.folder.path().join("broker.log")));
    }

    /// The running broker.
    ///
    /// # Panics
    /// When none runs.
    #[must_use]
    pub const fn broker(&self) -> &Daemon {
        self.broker.as_ref().expect("the broker runs")
    }

    /// Takes the broker out of this axis' care.
    ///
    /// # Panics
    /// When none runs.
    pub const fn take_broker(&mut self) -> Daemon {
        self.broker.take().expect("the broker runs")
    }

    /// Where the broker listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.broker().address())
    }

    /// The broker's data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("broker")
    }

    /// What the broker logged, over all its starts.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("broker.log")).unwrap_or_default()
    }

    /// A further set of keys of an agency, made at a time: the TLS certificate ends 365 days after it, that of the seal 730 days. The registry does
    /// not know it; `unregistered` and `other_tls` are those of the agency's other set.
    ///
    /// # Panics
    /// When a step fails.
    #[must_use]
    pub fn issue(&self, code: &str, at: Timestamp) -> Keys {
        let pki_folder = self.pki();
        let folder = pki_folder.join("agencies").join(code);
        let aside = tempfile::Builder::new().prefix(code).tempdir_in(pki_folder.join("agencies")).expect("a place for the set before");
        let aside = aside.keep().join("set");
        std::fs::rename(&folder, &aside).expect("the set before is put aside");
        let authority = DevelopmentAuthority::open(&pki_folder, PASSWORD.as_bytes()).expect("the authority").with_random_passwords();
        authority.issue(&parsed(code), PASSWORD.as_bytes(), at).expect("certificates");
        Keys {
            code: parsed(code),
            seal: seal_key(&folder, "seal"),
            unregistered: seal_key(&aside, "seal"),
            tls: tls(&pki_folder, &folder),
            other_tls: tls(&pki_folder, &aside),
        }
    }

    /// The same, with a TLS certificate that ends at a time.
    #[must_use]
    pub fn issue_tls_until(&self, code: &str, end: Timestamp) -> Keys {
        self.issue(code, Timestamp::from_millis(end.as_millis() - 365 * DAY_MILLIS + HOUR_MILLIS))
    }

    /// The same, with a seal certificate that ends at a time.
    #[must_use]
    pub fn issue_seal_until(&self, code: &str, end: Timestamp) -> Keys {
        self.issue(code, Timestamp::from_millis(end.as_millis() - 730 * DAY_MILLIS + HOUR_MILLIS))
    }

    /// The registered seal of an agency once more, for a set of keys beside [`Bare::keys`].
    ///
    /// # Panics
    /// When the agency is none of this axis.
    #[must_use]
    pub fn seal_again(&self, code: &str) -> SealKey {
        let registered = self.keys(code).seal.keyid();
        let folders = std::fs::read_dir(self.pki().join("agencies")).expect("the agencies").filter_map(Result::ok);
        let folders =
            folders.flat_map(|folder| [folder.path(), folder.path().join("set")]).filter(|folder| folder.join("seal.cert.pem").exists());
        folders.map(|folder| seal_key(&folder, "seal")).find(|key| key.keyid() == registered).expect("the set with the registered seal")
    }

    /// The folder of authority, operator and agencies.
    #[must_use]
    pub fn pki(&self) -> PathBuf {
        self.folder.path().join("pki")
    }

    /// The newest certificate of an agency: `seal` or `tls`.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn certificate(&self, code: &str, name: &str) -> Certificate {
        let path = self.pki().join("agencies").join(code).join(format!("{name}.cert.pem"));
        Certificate::from_pem(&pki::read_text(&path).expect("a certificate")).expect("a certificate of the profile")
    }

    /// The key of the authority.
    #[must_use]
    pub fn authority_key(&self) -> ed25519_dalek::SigningKey {
        private_key(&self.pki().join("ca.key.pem"))
    }

    /// The operator's side of mutual TLS.
    #[must_use]
    pub fn operator_tls(&self) -> TlsFiles {
        let pki_folder = self.pki();
        TlsFiles {
            certificate_pem: pki::read_text(&pki_folder.join("operator.tls.cert.pem")).expect("a certificate"),
            key_pem: keyfile::write_plain(&private_key(&pki_folder.join("operator.tls.key.pem"))).expect("a key"),
            authority_pem: pki::read_text(&pki_folder.join("ca.pem")).expect("the authority"),
        }
    }

    /// A registry statement under the operator's seal.
    #[must_use]
    pub fn registry_statement(&self, version: u64, event: RegistryEvent) -> Vec<u8> {
        let operator = seal_key(&self.pki(), "operator");
        let required_signers = vec![operator.required_signer(SignerRole::Operator)];
        seal(&Registry { version, at: clock::now(), event, required_signers }.to_json(), &[&operator])
    }

    /// The keys of an agency.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn keys(&self, code: &str) -> &Keys {
        self.agencies.get(code).expect("an agency of this axis")
    }
}

impl Default for Bare {
    fn default() -> Self {
        Self::new()
    }
}

fn joins(code: &str) -> AgencyJoined {
    let predicates: &[&str] = if code == "H4" { &[RECEIPT_V1] } else { &[ENVELOPE_V1, RECEIPT_V1] };
    AgencyJoined {
        agency: parsed(code),
        old_code: None,
        name_vi: format!("Cơ quan {code}"),
        name_en: None,
        kind: "province".to_owned(),
        code_status: "confirmed".to_owned(),
        valid_from: None,
        predicates: predicates.iter().map(|predicate| (*predicate).to_owned()).collect(),
    }
}

/// Two sets of keys under one authority; the one of `H3` that the registry gets ends half an hour after `then`.
#[expect(clippy::expect_used, reason = "a test whose preparation failed must fail")]
fn keys(pki: &Path, authority: &DevelopmentAuthority, code: &str, then: Timestamp) -> Keys {
    let agency = parsed(code);
    let issue = |at: Timestamp| authority.issue(&agency, PASSWORD.as_bytes(), at).expect("certificates").folder;
    let (first, aside) = (issue(then), pki.join("agencies").join(format!("{code}-first")));
    std::fs::rename(&first, &aside).expect("the first set is put aside");
    let ending = Timestamp::from_millis(then.as_millis() - 730 * DAY_MILLIS + HOUR_MILLIS + HOUR_MILLIS / 2);
    let second = issue(if code == "H3" { ending } else { then });
    Keys {
        code: agency,
        seal: seal_key(&second, "seal"),
        unregistered: seal_key(&aside, "seal"),
        tls: tls(pki, &aside),
        other_tls: tls(pki, &second),
    }
}

#[expect(clippy::expect_used, reason = "a test whose preparation failed must fail")]
fn seal_key(folder: &Path, name: &str) -> SealKey {
    let certificate = pki::read_text(&folder.join(format!("{name}.cert.pem"))).expect("a certificate");
    let certificate = Certificate::from_pem(&certificate).expect("a certificate of the profile");
    SealKey::new(private_key(&folder.join(format!("{name}.key.pem"))), &certificate).expect("a pair")
}

#[expect(clippy::expect_used, reason = "a test whose preparation failed must fail")]
fn private_key(path: &Path) -> ed25519_dalek::SigningKey {
    keyfile::read_encrypted(&pki::read_text(path).expect("a key file"), PASSWORD.as_bytes()).expect("the password of the tests")
}

#[expect(clippy::expect_used, reason = "a test whose preparation failed must fail")]
fn tls(pki_folder: &Path, folder: &Path) -> TlsFiles {
    TlsFiles {
        certificate_pem: pki::read_text(&folder.join("tls.cert.pem")).expect("a certificate"),
        key_pem: keyfile::write_plain(&private_key(&folder.join("tls.key.pem"))).expect("a key"),
        authority_pem: pki::read_text(&pki_folder.join("ca.pem")).expect("the authority"),
    }
}

/// Appends one more block to a journal that nobody runs on, as a sequencer would.
#[expect(clippy::expect_used, reason = "a test whose preparation failed must fail")]
fn append(folder: &Path, entry: Arc<[u8]>) {
    let (mut journal, _) = SegmentJournal::open(folder, SegmentOptions::new(Arc::new(|_| None))).expect("the journal opens");
    let mut frontier = Frontier::new();
    let mut last = None;
    for block in journal.reader().blocks_from(Position(0)) {
        let block = block.expect("a sound block");
        block.entries.iter().for_each(|entry| frontier.append(leaf_hash(entry)));
        last = Some(block.header);
    }
    let (last, end) = (last.expect("genesis"), journal.end().clone());
    frontier.append(leaf_hash(&entry));
    let header = BlockHeader {
        kind: BlockKind::Entries,
        number: end.number,
        position: end.position,
        leaf: truc_types::LeafIndex(last.tree_size),
        tree_size: last.tree_size + 1,
        root: frontier.root(),
        ..last
    };
    journal.append(Block { header, entries: vec![entry] }).expect("the block is the next");
    Box::new(journal).close().expect("the journal closes");
}

#[expect(clippy::expect_used, reason = "codes of the tests are codes")]
fn parsed(code: &str) -> AgencyCode {
    code.parse().expect("a code")
}
