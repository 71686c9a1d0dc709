//! Verifies a sealed statement: `cargo run -p truc-signing --example verify FILE.dsse.json AUTHORITY.pem CERTIFICATE.pem 2026-11-22T00:00:00.000Z`.

use std::io::Write as _;

use truc_signing::statement::SignerRole;
use truc_signing::{Authority, Certificate, KeyRing, open_sealed};
use truc_types::Timestamp;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, authority, certificate, at] = arguments.as_slice() else {
        return Err("usage: verify FILE.dsse.json AUTHORITY.pem CERTIFICATE.pem TIME".into());
    };
    let at: Timestamp = at.parse()?;
    let certificate = Certificate::from_pem(&std::fs::read_to_string(certificate)?)?;
    Authority::from_pem(&std::fs::read_to_string(authority)?)?.check(&certificate, at)?;
    let mut ring = KeyRing::default();
    ring.add(certificate.trusted_key(SignerRole::Seal));
    let sealed = open_sealed(&std::fs::read(file)?)?;
    sealed.verify(at, |keyid| ring.key(keyid))?;
    writeln!(std::io::stdout(), "{}: sealed by {}, digest {}", sealed.statement.predicate_type(), certificate.owner.urn(), sealed.digest)?;
    Ok(())
}
