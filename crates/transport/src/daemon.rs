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
const PASSWORD_BYTES_MAX: usize = 1_024;

/// Prints the one line that whoever started the daemon waits for.
#[expect(clippy::print_stdout, reason = "the ready line is the output of a daemon")]
pub fn announce(address: SocketAddr, json: bool) {
    if json {
        println!("{{\"listening\":\"{address}\"}}");
    } else {
        println!("listening on {address}");
    }
}

/// The same for one of several agencies that a process serves.
#[expect(clippy::print_stdout, reason = "the ready lines are the output of a daemon")]
pub fn announce_agency(agency: &str, address: SocketAddr, json: bool) {
    if json {
        println!("{{\"agency\":\"{agency}\",\"listening\":\"{address}\"}}");
    } else {
        println!("{agency} listening on {address}");
    }
}

/// The password of the key files: the one line of a file, or the environment variable. Never the command line, which every user of a machine can read.
///
/// # Errors
/// [`Reason::KeyUnreadable`] without either, or when what is there is of no use.
pub fn password(file: Option<&Path>) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let unreadable = |message: String| Refusal::new(Reason::KeyUnreadable, message);
    let (source, mut bytes) = match file {
        Some(path) => {
            let source = path.display().to_string();
            let bytes = read_file(path).map_err(|cause| unreadable(format!("{source}: {cause}")))?;
            (source, bytes)
        }
        None => {
            let missing = || unreadable(format!("no password for the private keys: give --password-file FILE or set {PASSWORD_VARIABLE}"));
            let value = std::env::var_os(PASSWORD_VARIABLE).ok_or_else(missing)?;
            (PASSWORD_VARIABLE.to_owned(), Zeroizing::new(value.into_encoded_bytes()))
        }
    };
    while matches!(bytes.last(), Some(b'\n' | b'\r')) {
        bytes.pop();
    }
    match bytes.as_slice() {
        [] => Err(unreadable(format!("{source}: the password is empty"))),
        bytes if bytes.len() > PASSWORD_BYTES_MAX => {
            Err(unreadable(format!("{source}: the password is longer than {PASSWORD_BYTES_MAX} bytes")))
        }
        bytes if bytes.contains(&b'\n') => Err(unreadable(format!("{source}: the password has more than one line"))),
        _ => Ok(bytes),
    }
}

fn read_file(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    // Full capacity at once: a vector that grows leaves copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(PASSWORD_BYTES_MAX + 3));
    File::open(path)?.take(PASSWORD_BYTES_MAX as u64 + 2).read_to_end(&mut bytes)?;
    Ok(bytes)
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
        for (useless, why) in
            [(b"".as_slice(), "empty"), (b"\r\n", "empty"), (b"a\nb", "one line"), (&[b'x'; 1_025], "longer"), (&[0; 1 << 20], "longer")]
        {
            let refused = read(useless).unwrap_err();
            assert_eq!(refused.reason, Reason::KeyUnreadable);
            assert!(refused.message.contains(why), "{refused}");
        }
        assert_eq!(password(Some(&folder.path().join("none"))).unwrap_err().reason, Reason::KeyUnreadable);
    }
}
