//! Seals a statement: `cargo run -p truc-signing --example seal <statement.json >statement.dsse.json`.
//!
//! The key is the fixed one of the test vectors; a real edge reads its own with `keyfile::read_encrypted`.

use std::io::{Read as _, Write as _};

use ed25519_dalek::SigningKey;
use truc_signing::{SealKey, Statement, seal, sha256};
use truc_types::limits::PAYLOAD_BYTES_MAX;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut payload = Vec::new();
    std::io::stdin().take(PAYLOAD_BYTES_MAX as u64 + 1).read_to_end(&mut payload)?;
    // Never seal what nobody could read.
    let statement = Statement::parse(&payload)?;
    let keys: Vec<_> = (1..=3u8).map(|seed| SealKey::from_parts(SigningKey::from_bytes(&[seed; 32]), sha256(&[b'c', seed]))).collect();
    let required = statement.required_signers();
    let signers: Vec<_> = keys.iter().filter(|key| required.iter().any(|signer| signer.keyid == key.keyid())).collect();
    std::io::stdout().write_all(&seal(&payload, &signers))?;
    Ok(())
}
