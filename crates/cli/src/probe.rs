//! Who answers on a port that does not answer as it should: one greeting of HTTP/2, and a look at the first bytes that come back. Only for an
//! explanation, after a call has failed; nothing is decided by it.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use tonic::transport::Uri;

use crate::language::Language;

/// What an HTTP/2 client says first: the preface and empty settings (RFC 9113, section 3.4).
const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// A frame of settings is what an HTTP/2 server says first: three bytes of length, then this type.
const SETTINGS_FRAME: u8 = 4;
/// Record types of TLS: an alert, a handshake.
const TLS_RECORDS: [u8; 2] = [21, 22];
/// A person waits for this explanation.
const WAIT: Duration = Duration::from_secs(2);

/// Who is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nobody: the port is closed, or the host does not answer.
    Nobody,
    /// TLS.
    Tls,
    /// HTTP/2 in the clear, which is what gRPC is without TLS.
    PlainHttp2,
    /// A web server, for metrics say.
    Http1,
    /// Something that closes, is silent or says something else.
    Stranger,
}

/// Looks at the port of an address; `None` when the address has no port, or its host is not known.
#[must_use]
pub fn look(url: &str) -> Option<Found> {
    let uri: Uri = url.parse().ok()?;
    let address = (uri.host()?.trim_matches(['[', ']']).to_owned(), uri.port_u16()?);
    let mut addresses = address.to_socket_addrs().ok()?;
    let Some(mut stream) = addresses.find_map(|address| TcpStream::connect_timeout(&address, WAIT).ok()) else {
        return Some(Found::Nobody);
    };
    let mut first = [0; 5];
    let mut greet = || {
        stream.set_read_timeout(Some(WAIT))?;
        stream.set_write_timeout(Some(WAIT))?;
        stream.write_all(GREETING)?;
        stream.read_exact(&mut first)
    };
    // An end before the first bytes is an answer, too: that of a stranger.
    let greeted: std::io::Result<()> = greet();
    Some(if greeted.is_ok() { of_first(first) } else { Found::Stranger })
}

const fn of_first(first: [u8; 5]) -> Found {
    match first {
        [record, 3, ..] if record == TLS_RECORDS[0] || record == TLS_RECORDS[1] => Found::Tls,
        [b'H', b'T', b'T', b'P', b'/'] => Found::Http1,
        [_, _, _, SETTINGS_FRAME, _] => Found::PlainHttp2,
        _ => Found::Stranger,
    }
}

impl Found {
    /// Whether this cannot be the node that an address means: another protocol than the address says, or no node at all.
    #[must_use]
    pub fn is_not_meant_by(self, url: &str) -> bool {
        match self {
            Self::Tls => url.starts_with("http:"),
            Self::PlainHttp2 => url.starts_with("https:"),
            Self::Nobody | Self::Http1 | Self::Stranger => true,
        }
    }

    /// Who is there, as a clause.
    #[must_use]
    pub const fn sentence(self, language: Language) -> &'static str {
        let (english, vietnamese) = match self {
            Self::Nobody => ("nobody listens there", "không có tiến trình nào lắng nghe ở đó"),
            Self::Tls => ("the one who listens there speaks TLS", "bên đang lắng nghe ở đó dùng TLS"),
            Self::PlainHttp2 => ("the one who listens there speaks gRPC without TLS", "bên đang lắng nghe ở đó dùng gRPC không có TLS"),
            Self::Http1 => ("a web server listens there", "ở đó là một máy chủ web"),
            Self::Stranger => {
                ("the port is open, but nobody there answers in gRPC or TLS", "cổng có mở nhưng không có bên nào trả lời bằng gRPC hay TLS")
            }
        };
        language.choose(english, vietnamese)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn found(says: &'static [u8]) -> Option<Found> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0; GREETING.len()]).unwrap();
            stream.write_all(says).unwrap();
        });
        let found = look(&url);
        server.join().unwrap();
        found
    }

    #[test]
    fn the_first_bytes_say_who_is_there() {
        assert_eq!(found(&[21, 3, 3, 0, 2, 2, 50]), Some(Found::Tls));
        assert_eq!(found(b"\0\0\x06\x04\0\0\0\0\0"), Some(Found::PlainHttp2));
        assert_eq!(found(b"HTTP/1.1 400 Bad Request\r\n"), Some(Found::Http1));
        assert_eq!(found(b"+OK\r\nx"), Some(Found::Stranger));
        assert_eq!(found(b""), Some(Found::Stranger));
        assert_eq!(look("nonsense"), None);
    }

    #[test]
    fn a_closed_port_is_nobody() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        assert_eq!(look(&url), Some(Found::Nobody));
    }
}
