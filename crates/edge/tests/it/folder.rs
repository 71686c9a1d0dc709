//! `init` and `load`: what fits together is loaded, what does not is named.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use truc_edge::{EdgeError, InitFiles, init, load};
use truc_types::{AgencyCode, Reason};

use crate::pki::{PASSWORD, Pki, write};

/// Key and trust files of one agency in a folder.
pub(crate) fn files(folder: &Path, pki: &Pki, agency: &AgencyCode, seal: &crate::pki::Identity, log_vkey: &str, broker: &str) -> InitFiles {
    let client = pki.client(agency);
    InitFiles {
        agency: agency.clone(),
        broker: broker.to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        seal_key: write(folder, "seal.key.pem", &seal.key_pem),
        seal_certificate: write(folder, "seal.cert.pem", &seal.certificate_pem),
        tls_key: write(folder, "tls.key.pem", &client.key_pem),
        tls_certificate: write(folder, "tls.cert.pem", &client.certificate_pem),
        authority: write(folder, "ca.pem", &pki.authority_pem),
        operator_certificate: write(folder, "operator.cert.pem", &pki.operator.certificate_pem),
        log_key: write(folder, "log.vkey", log_vkey),
    }
}

fn some_log_vkey() -> String {
    let key = ed25519_dalek::SigningKey::from_bytes(&[4; 32]);
    truc_ledger::LogSigner::new("truc.example/axis/2026", &key).unwrap().verifier().to_string()
}

#[test]
fn a_folder_is_made_once_loads_with_its_password_and_hides_its_keys() {
    let (scratch, pki) = (tempfile::tempdir().unwrap(), Pki::new());
    let agency: AgencyCode = "H53".parse().unwrap();
    let files = files(scratch.path(), &pki, &agency, &pki.seal(&agency), &some_log_vkey(), "https://127.0.0.1:7000");
    let data = scratch.path().join("edge");
    init(&data, &files, PASSWORD).unwrap();
    let config = load(&data, PASSWORD).unwrap();
    assert_eq!((config.agency.as_str(), config.broker.to_string().as_str()), ("H53", "https://127.0.0.1:7000/"));
    for key in ["keys/seal.key.pem", "keys/tls.key.pem"] {
        assert_eq!(std::fs::metadata(data.join(key)).unwrap().permissions().mode() & 0o777, 0o600, "{key}");
    }
    assert!(!format!("{config:?}").contains("PRIVATE"));
    let again = init(&data, &files, PASSWORD).unwrap_err();
    assert!(matches!(again, EdgeError::Config { setting: "data", .. }), "{again}");
    let wrong = load(&data, b"wrong").unwrap_err();
    assert_eq!(wrong.reason(), Reason::KeyUnreadable, "{wrong}");
}

#[test]
fn files_that_do_not_fit_together_are_named() {
    let (scratch, pki, other) = (tempfile::tempdir().unwrap(), Pki::new(), Pki::new());
    let agency: AgencyCode = "H53".parse().unwrap();
    let good = files(scratch.path(), &pki, &agency, &pki.seal(&agency), &some_log_vkey(), "https://127.0.0.1:7000");
    let foreign = other.seal(&agency);
    let neighbour = pki.seal(&"A80".parse().unwrap());
    let path = |name: &str, text: &str| write(scratch.path(), name, text);
    let cases: Vec<(InitFiles, &str)> = vec![
        (InitFiles { agency: "A80".parse().unwrap(), ..good.clone() }, "seal.cert.pem"),
        (InitFiles { seal_certificate: path("foreign.pem", &foreign.certificate_pem), ..good.clone() }, "seal.cert.pem"),
        (InitFiles { seal_key: path("other.key", &neighbour.key_pem), ..good.clone() }, "does not belong"),
        (
            InitFiles { tls_certificate: path("tls.pem", &pki.client(&"A80".parse().unwrap()).certificate_pem), ..good.clone() },
            "tls.cert.pem",
        ),
        (InitFiles { operator_certificate: path("op.pem", &pki.broker.certificate_pem), ..good.clone() }, "operator.cert.pem"),
        (InitFiles { log_key: path("vkey", "no key"), ..good.clone() }, "log.vkey"),
        (InitFiles { broker: "http://127.0.0.1:7000".to_owned(), ..good }, "broker"),
    ];
    for (number, (files, expected)) in cases.into_iter().enumerate() {
        let data = scratch.path().join(format!("edge-{number}"));
        let refused = init(&data, &files, PASSWORD).unwrap_err().to_string();
        assert!(refused.contains(expected), "case {number}: {refused}");
        assert!(load(&data, PASSWORD).is_err(), "case {number} left a folder that loads");
    }
}
