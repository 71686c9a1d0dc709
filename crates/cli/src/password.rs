//! Where the password of private keys comes from: a file or the environment, never the command line, which every user of a machine can read.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::failure::Failure;

/// The environment variable.
pub use truc_transport::daemon::PASSWORD_VARIABLE as VARIABLE;
/// A password in words has under 100 bytes; a mistaken file is not read whole.
const PASSWORD_BYTES_MAX: usize = 1_024;

/// The password: the first line of the file, else the variable.
///
/// # Errors
/// [`Failure::NoPassword`] without either; [`Failure::File`] and [`Failure::Password`] when the file is of no use.
pub fn read(file: Option<&Path>) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let (path, mut bytes) = match file {
        Some(path) => (path.to_owned(), read_file(path)?),
        None => {
            let value = std::env::var_os(VARIABLE).ok_or(Failure::NoPassword)?;
            (PathBuf::from(VARIABLE), Zeroizing::new(value.into_encoded_bytes()))
        }
    };
    let refused = |message| Err(Failure::Password { path: path.clone(), message });
    while bytes.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        bytes.pop();
    }
    match bytes.as_slice() {
        [] => refused("the password is empty"),
        bytes if bytes.len() > PASSWORD_BYTES_MAX => refused("the password is longer than 1024 bytes"),
        bytes if bytes.contains(&b'\n') => refused("the password has more than one line"),
        _ => Ok(bytes),
    }
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    // Full capacity at once: a vector that grows leaves copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(PASSWORD_BYTES_MAX + 3));
    let file = File::open(path).map_err(|source| Failure::file(path, source))?;
    let limit = u64::try_from(PASSWORD_BYTES_MAX + 2).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(&mut bytes).map_err(|source| Failure::file(path, source))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_file_gives_its_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let check = |content: &[u8]| {
            let path = folder.path().join("password");
            std::fs::write(&path, content).unwrap();
            read(Some(&path)).map(|bytes| bytes.to_vec()).map_err(|failure| failure.to_string().rsplit(": ").next().unwrap().to_owned())
        };
        assert_eq!(check(b"two words\r\n"), Ok(b"two words".to_vec()));
        assert_eq!(check(b"\n"), Err("the password is empty".to_owned()));
        assert_eq!(check(b"a\nb"), Err("the password has more than one line".to_owned()));
        assert_eq!(check(&[b'x'; 5_000]), Err("the password is longer than 1024 bytes".to_owned()));
        assert!(matches!(read(Some(&folder.path().join("nothing"))), Err(Failure::File { .. })));
    }
}
