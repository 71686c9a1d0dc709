//! Private keys as files: encrypted PKCS#8 PEM (RFC 5958, PBES2 with scrypt and AES-256-CBC), as `openssl pkcs8 -topk8 -scrypt` writes them.
//!
//! Version 1 only: the version 2 that many libraries write, with the public key inside, is refused by OpenSSL 3.0 and Python. Not the reading of
//! the file itself: text in, text out; salt and initialisation vector come from the caller.

use der::pem::LineEnding;
use der::{Decode as _, SecretDocument};
use ed25519_dalek::SigningKey;
use pkcs8::pkcs5::EncryptionScheme as Pkcs5;
use pkcs8::pkcs5::pbes2::{EncryptionScheme, Kdf, Parameters, Salt, ScryptParams};
use pkcs8::{EncryptedPrivateKeyInfoOwned, EncryptedPrivateKeyInfoRef};
use truc_types::Reason;
use zeroize::{Zeroize as _, Zeroizing};

const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";
const PLAIN: &str = "PRIVATE KEY";
/// `PrivateKeyInfo` version 1 of RFC 8410 section 7, up to the 32 bytes of the seed.
const HEAD: [u8; 16] = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// A key file: an encrypted Ed25519 key has about 400 bytes.
const FILE_BYTES_MAX: usize = 4_096;
/// scrypt cost N under a password that a person chose: 16 MiB with block size 8, the largest power of two that OpenSSL reads under its default of 32 MiB.
const SCRYPT_N: u64 = 1 << 14;
/// Under a password of at least 80 random bits, which no derivation has to protect: the least that keeps the format.
const SCRYPT_N_RANDOM: u64 = 1 << 4;
const SCRYPT_R: u16 = 8;
/// Memory that a file may ask scrypt for: a wrong or hostile file does not take the machine.
const SCRYPT_MEMORY_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Iterations that a file may ask PBKDF2 for: some seconds.
const PBKDF2_ITERATIONS_MAX: u32 = 10_000_000;

/// Why a text is not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// Over 4,096 bytes.
    #[error("the key file has {found} bytes, at most {FILE_BYTES_MAX} are allowed")]
    TooLarge {
        /// Bytes found.
        found: usize,
    },
    /// Not PEM, or not PKCS#8 inside.
    #[error("the key file does not parse as PKCS#8 PEM")]
    Malformed,
    /// Another PEM block.
    #[error("the key file holds {found:?}, expected an encrypted private key")]
    Label {
        /// Label of the block, cut to 60 characters.
        found: String,
    },
    /// A key that is not encrypted, where that was not asked for.
    #[error("the key file is not encrypted")]
    NotEncrypted,
    /// Another version or algorithm than an Ed25519 key in PKCS#8 version 1.
    #[error("the key file does not hold an Ed25519 key in PKCS#8 version 1")]
    NotVersion1,
    /// The file asks for more memory or time than is given.
    #[error("the key file asks for an excessive key derivation")]
    Cost,
    /// The password is wrong or the file is damaged: the format cannot tell the two apart.
    #[error("the password is wrong or the key file is damaged")]
    Password,
}

impl KeyFileError {
    /// The stable reason.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        Reason::KeyUnreadable
    }
}

/// Where a password comes from: how dear it has to be to try one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordSource {
    /// A person chose it.
    Person,
    /// A machine drew at least 80 random bits.
    Random,
}

/// Writes a key as encrypted PKCS#8 version 1 PEM. `salt` and `iv` are random bytes, new for each file.
///
/// # Errors
/// [`KeyFileError::Cost`] if the cipher refuses its parameters, which it does not for these.
pub fn write_encrypted(key: &SigningKey, password: &[u8], salt: [u8; 16], iv: [u8; 16]) -> Result<Zeroizing<String>, KeyFileError> {
    write_encrypted_from(PasswordSource::Person, key, password, salt, iv)
}

/// The same, under a password from a source that is named.
///
/// # Errors
/// As [`write_encrypted`].
pub fn write_encrypted_from(
    source: PasswordSource,
    key: &SigningKey,
    password: &[u8],
    salt: [u8; 16],
    iv: [u8; 16],
) -> Result<Zeroizing<String>, KeyFileError> {
    let kdf = ScryptParams {
        salt: Salt::new(salt).map_err(|_| KeyFileError::Cost)?,
        cost_parameter: match source {
            PasswordSource::Person => SCRYPT_N,
            PasswordSource::Random => SCRYPT_N_RANDOM,
        },
        block_size: SCRYPT_R,
        parallelization: 1,
        key_length: None,
    };
    let parameters = Parameters { kdf: Kdf::Scrypt(kdf), encryption: EncryptionScheme::Aes256Cbc { iv } };
    let encrypted = parameters.encrypt(password, version1(key).as_slice()).map_err(|_| KeyFileError::Cost)?;
    let encrypted_data = der::asn1::OctetString::new(encrypted).map_err(|_| KeyFileError::Malformed)?;
    let info = EncryptedPrivateKeyInfoOwned { encryption_algorithm: Pkcs5::from(parameters), encrypted_data };
    let document = SecretDocument::encode_msg(&info).map_err(|_| KeyFileError::Malformed)?;
    document.to_pem(ENCRYPTED, LineEnding::LF).map_err(|_| KeyFileError::Malformed)
}

/// Writes a key as plain PKCS#8 version 1 PEM: for development and tests.
///
/// # Errors
/// None in practice: the length is fixed.
pub fn write_plain(key: &SigningKey) -> Result<Zeroizing<String>, KeyFileError> {
    let document = SecretDocument::try_from(version1(key).as_slice()).map_err(|_| KeyFileError::Malformed)?;
    document.to_pem(PLAIN, LineEnding::LF).map_err(|_| KeyFileError::Malformed)
}

/// Reads an encrypted key file.
///
/// # Errors
/// See [`KeyFileError`]; a plain key is [`KeyFileError::NotEncrypted`].
pub fn read_encrypted(pem: &str, password: &[u8]) -> Result<SigningKey, KeyFileError> {
    let (label, document) = open(pem)?;
    match label {
        ENCRYPTED => {}
        PLAIN => return Err(KeyFileError::NotEncrypted),
        other => return Err(KeyFileError::Label { found: other.chars().take(60).collect() }),
    }
    let info = EncryptedPrivateKeyInfoRef::from_der(document.as_bytes()).map_err(|_| KeyFileError::Malformed)?;
    check_cost(&info.encryption_algorithm)?;
    // A wrong password shows as bad padding, or, one time in some hundred, as bytes that are no DER.
    let plain = info.decrypt(password).map_err(|_| KeyFileError::Password)?;
    seed_of(plain.as_bytes())
}

/// Reads a plain key file: for development and tests, only where the configuration asks for it.
///
/// # Errors
/// See [`KeyFileError`].
pub fn read_plain(pem: &str) -> Result<SigningKey, KeyFileError> {
    match open(pem)? {
        (PLAIN, document) => seed_of(document.as_bytes()),
        (other, _) => Err(KeyFileError::Label { found: other.chars().take(60).collect() }),
    }
}

fn open(pem: &str) -> Result<(&str, SecretDocument), KeyFileError> {
    if pem.len() > FILE_BYTES_MAX {
        return Err(KeyFileError::TooLarge { found: pem.len() });
    }
    SecretDocument::from_pem(pem).map_err(|_| KeyFileError::Malformed)
}

fn version1(key: &SigningKey) -> Zeroizing<[u8; 48]> {
    let mut der = Zeroizing::new([0; 48]);
    for (to, from) in der.iter_mut().zip(HEAD.iter().chain(key.as_bytes())) {
        *to = *from;
    }
    der
}

fn seed_of(der: &[u8]) -> Result<SigningKey, KeyFileError> {
    let seed = der.strip_prefix(&HEAD).and_then(|seed| <[u8; 32]>::try_from(seed).ok());
    let mut seed = seed.ok_or(KeyFileError::NotVersion1)?;
    let key = SigningKey::from_bytes(&seed);
    seed.zeroize();
    Ok(key)
}

fn check_cost(scheme: &Pkcs5) -> Result<(), KeyFileError> {
    let within = match scheme.pbes2().map(|parameters| &parameters.kdf) {
        Some(Kdf::Scrypt(scrypt)) => {
            let memory = scrypt.cost_parameter.saturating_mul(u64::from(scrypt.block_size)).saturating_mul(128);
            memory.saturating_mul(u64::from(scrypt.parallelization)) <= SCRYPT_MEMORY_BYTES_MAX
        }
        Some(Kdf::Pbkdf2(pbkdf2)) => pbkdf2.iteration_count <= PBKDF2_ITERATIONS_MAX,
        _ => false,
    };
    if within { Ok(()) } else { Err(KeyFileError::Cost) }
}
