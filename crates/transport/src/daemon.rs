//! What every daemon says and asks at its start: the line that tells where it listens, and the password of its keys. Not its configuration.

use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;

use truc_types::{Reason, Refusal};
use zeroize::Zeroizing;

/// The environment variable with the password of the key files.
pub const PASSWORD_VARIABLE: &str = "TRUC_KEY_PASSWORD";
/// A password in words has under 100 bytes; a mistaken file is not read whole.
const PASSWORD_BYTES_MAX: u64 = 1_024;

/// Prints the one line that whoever started the daemon waits for.
#[expect(clippy::print_stdout, reason = "the ready line is the output of a daemon")]
pub fn announce(address: SocketAddr, json: bool) {
    if json {
        println!("{{\"listening\":\"{address}\"}}");
    } else {
        println!("listening on {address}");
    }
}

/// The password of the key files: from a file, whose last line break does not count, or from the environment.
///
/// # Errors
/// [`Reason::KeyUnreadable`] without either, or when the file is of no use.
pub fn password(file: Option<&Path>) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let unreadable = |message: String| Refusal::new(Reason::KeyUnreadable, message);
    let Some(path) = file else {
        let value = std::env::var_os(PASSWORD_VARIABLE);
        return value
            .map(|value| Zeroizing::new(value.into_encoded_bytes()))
            .ok_or_else(|| unreadable(format!("no password: give --password-file or set {PASSWORD_VARIABLE}")));
    };
    let mut bytes = Zeroizing::new(Vec::new());
    let read = File::open(path).and_then(|file| file.take(PASSWORD_BYTES_MAX + 1).read_to_end(&mut bytes));
    read.map_err(|cause| unreadable(format!("{}: {cause}", path.display())))?;
    while matches!(bytes.last(), Some(b'\n' | b'\r')) {
        bytes.pop();
    }
    match bytes.len() as u64 {
        0 => Err(unreadable(format!("{}: the password is empty", path.display()))),
        length if length > PASSWORD_BYTES_MAX => Err(unreadable(format!("{}: longer than {PASSWORD_BYTES_MAX} bytes", path.display()))),
        _ => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_file_loses_its_line_break_and_useless_ones_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        let read = |bytes: &[u8]| {
            std::fs::write(&file, bytes).unwrap();
            password(Some(&file))
        };
        assert_eq!(read("mật khẩu \n".as_bytes()).unwrap().as_slice(), "mật khẩu ".as_bytes());
        assert_eq!(read(&[b'x'; 1_024]).unwrap().len(), 1_024);
        for useless in [b"".as_slice(), b"\r\n", &[b'x'; 1_025], &[0; 1 << 20]] {
            let refused = read(useless).unwrap_err();
            assert_eq!(refused.reason, Reason::KeyUnreadable);
            assert!(refused.message.contains("password"), "{refused}");
        }
        assert_eq!(password(Some(&folder.path().join("none"))).unwrap_err().reason, Reason::KeyUnreadable);
    }
}
