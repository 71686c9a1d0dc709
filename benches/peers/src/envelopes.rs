//! Reads what `truc bench envelopes` wrote: a length of four bytes, most significant first, before each envelope.

use std::path::Path;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};

use crate::failure::Failure;

/// The envelopes of a file, without copies.
pub(crate) fn read(path: &Path) -> Result<Arc<[Bytes]>, Failure> {
    let file = std::fs::read(path).map_err(|cause| Failure::File { path: path.to_owned(), cause })?;
    split(file.into())
}

fn split(mut file: Bytes) -> Result<Arc<[Bytes]>, Failure> {
    let mut envelopes = Vec::new();
    while !file.is_empty() {
        let length = file.try_get_u32().ok().and_then(|length| usize::try_from(length).ok());
        let length = length.filter(|length| *length <= file.len()).ok_or(Failure::Envelopes)?;
        envelopes.push(file.split_to(length));
    }
    if envelopes.is_empty() { Err(Failure::Envelopes) } else { Ok(envelopes.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_are_split_and_half_of_one_is_an_error() {
        let whole = split(Bytes::from_static(b"\0\0\0\x02ab\0\0\0\x01c")).expect("two envelopes");
        assert_eq!(&*whole, [Bytes::from_static(b"ab"), Bytes::from_static(b"c")]);
        for half in [&b""[..], b"\0\0", b"\0\0\0\x02a"] {
            assert!(split(Bytes::from_static(half)).is_err());
        }
    }
}
