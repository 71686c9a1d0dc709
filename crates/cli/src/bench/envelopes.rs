//! `truc bench envelopes`: writes envelopes as `truc bench submit` sends them to a file, so that other systems can be measured with the same bytes.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use truc_types::EdgeTerm;

use super::axis;
use super::stock::{Sealed, preseal};
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Writes sealed envelopes as `bench submit` sends them to a file, each behind its length in four bytes, most significant first. Their agencies and keys
/// are made for this and gone after it: no broker accepts them.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Agencies that send in turn.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..=94))]
    pub agencies: u16,
    /// Recipients of each envelope.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=93))]
    pub recipients: u16,
    /// Envelopes, about 1.5 KB each.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    pub documents: u32,
    /// The file, which is replaced.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// What was written.
#[derive(Debug, Serialize)]
struct Written {
    envelopes: usize,
    bytes: usize,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    if arguments.recipients >= arguments.agencies {
        let (recipients, agencies) = (arguments.recipients, arguments.agencies);
        return Err(Failure::Usage(format!("{recipients} recipients of each document need more than {agencies} agencies: --agencies")));
    }
    let folder = tempfile::tempdir().map_err(Failure::Runtime)?;
    let axis = axis::make(folder.path(), arguments.agencies)?;
    let each = u64::from(arguments.documents.div_ceil(u32::from(arguments.agencies)));
    let stocks = preseal(&axis.agencies, EdgeTerm(1), each, usize::from(arguments.recipients));
    let wanted = usize::try_from(arguments.documents).unwrap_or(usize::MAX);
    let written = std::fs::File::create(&arguments.out).and_then(|file| write(BufWriter::new(file), &stocks, wanted));
    let written = written.map_err(|cause| Failure::file(&arguments.out, cause))?;
    output.data(&format!("{} envelopes, {} bytes", written.envelopes, written.bytes), &written)?;
    Ok(Exit::Done)
}

/// The first of each agency, then the second of each, and so on.
fn write(mut file: impl Write, stocks: &[Vec<Sealed>], wanted: usize) -> std::io::Result<Written> {
    let mut written = Written { envelopes: 0, bytes: 0 };
    let rounds = stocks.first().map_or(0, Vec::len);
    for sealed in (0..rounds).flat_map(|round| stocks.iter().filter_map(move |stock| stock.get(round))).take(wanted) {
        let length = u32::try_from(sealed.file.len()).map_err(std::io::Error::other)?;
        file.write_all(&length.to_be_bytes())?;
        file.write_all(&sealed.file)?;
        written.envelopes += 1;
        written.bytes += sealed.file.len();
    }
    file.flush()?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use truc_types::Digest;

    use super::*;

    #[test]
    fn agencies_take_turns_and_lengths_stand_before_envelopes() {
        let sealed = |file: &'static [u8]| Sealed { file: file.into(), digest: Digest([0; 32]), leaf: Digest([0; 32]) };
        let stocks = [vec![sealed(b"a1"), sealed(b"a2")], vec![sealed(b"b"), sealed(b"b2")]];
        let mut file = Vec::new();
        let written = write(&mut file, &stocks, 3).unwrap();
        assert_eq!(file, b"\0\0\0\x02a1\0\0\0\x01b\0\0\0\x02a2");
        assert_eq!((written.envelopes, written.bytes), (3, 5));
    }
}
