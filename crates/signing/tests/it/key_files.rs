//! Key files: written by us and read by openssl, and the other way round.

use std::io::Write as _;
use std::process::{Command, Stdio};

use ed25519_dalek::SigningKey;
use truc_signing::keyfile::*;
use truc_signing::{sha256, spki_digest};

const PASSWORD: &str = "mật khẩu thử";

/// Runs openssl with `input`; the tests need it installed.
fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl is installed by scripts/test-tools.sh");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}");
    output.stdout
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[5; 32])
}

fn encrypted() -> String {
    write_encrypted(&key(), PASSWORD.as_bytes(), [1; 16], [2; 16]).unwrap().to_string()
}

#[test]
fn an_encrypted_key_reads_back_and_a_wrong_password_does_not() {
    let pem = encrypted();
    assert_eq!(read_encrypted(&pem, PASSWORD.as_bytes()).unwrap(), key());
    let error = read_encrypted(&pem, b"wrong").unwrap_err();
    assert!(matches!(error, KeyFileError::Password | KeyFileError::NotVersion1), "{error}");
    assert_eq!(read_encrypted(&pem[1..], b"x"), Err(KeyFileError::Malformed));
}

#[test]
fn openssl_reads_our_encrypted_key_and_derives_the_same_key_id() {
    let password = format!("pass:{PASSWORD}");
    let der = openssl(&["pkey", "-passin", &password, "-pubout", "-outform", "DER"], encrypted().as_bytes());
    assert_eq!(sha256(&der), spki_digest(&key().verifying_key()));
}

#[test]
fn we_read_what_openssl_encrypts() {
    let plain = write_plain(&key()).unwrap();
    let password = format!("pass:{PASSWORD}");
    for kdf in [&["-scrypt"][..], &["-v2", "aes-256-cbc"]] {
        let arguments = [&["pkcs8", "-topk8", "-passout", &password], kdf].concat();
        let pem = String::from_utf8(openssl(&arguments, plain.as_bytes())).unwrap();
        assert_eq!(read_encrypted(&pem, PASSWORD.as_bytes()).unwrap(), key());
    }
}

#[test]
fn a_plain_key_is_read_only_when_asked_for() {
    let plain = write_plain(&key()).unwrap();
    assert_eq!(read_encrypted(&plain, b"x"), Err(KeyFileError::NotEncrypted));
    assert_eq!(read_plain(&plain).unwrap(), key());
    assert!(matches!(read_plain(&encrypted()), Err(KeyFileError::Label { .. })));
}

#[test]
fn version_2_with_the_public_key_inside_is_refused() {
    use ed25519_dalek::pkcs8::EncodePrivateKey as _;
    let pem = key().to_pkcs8_pem(der::pem::LineEnding::LF).unwrap();
    assert_eq!(read_plain(&pem), Err(KeyFileError::NotVersion1));
}
