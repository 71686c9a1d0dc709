//! The operator's directory files: agencies and organisations as CSV, the input of a new axis. After that the directory lives in the log.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use truc_signing::statement::{AgencyJoined, Organisation};
use truc_types::names::{ENVELOPE_V1, RECEIPT_V1};
use truc_types::{AgencyCode, CodeError, Date, TimeError};

/// Rows of one file: twice the national directory of 110,000 organisations.
const ROWS_MAX: usize = 220_000;

/// Why a directory file is refused.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The file.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A row that is no CSV or lacks a column.
    #[error("{path}: {source}")]
    Csv {
        /// Which file.
        path: PathBuf,
        /// What is wrong, with the line.
        source: csv::Error,
    },
    /// A code.
    #[error("{path}: row {row}: {found:?} is no code: {source}")]
    Code {
        /// Which file.
        path: PathBuf,
        /// Row after the header, from 1.
        row: usize,
        /// What stands there.
        found: String,
        /// What is wrong with it.
        source: CodeError,
    },
    /// A day.
    #[error("{path}: row {row}: {source}")]
    Date {
        /// Which file.
        path: PathBuf,
        /// Row after the header, from 1.
        row: usize,
        /// What is wrong with it.
        source: TimeError,
    },
    /// Too long a file.
    #[error("{path}: more than {ROWS_MAX} rows")]
    TooLong {
        /// Which file.
        path: PathBuf,
    },
}

#[derive(Deserialize)]
struct AgencyRow {
    code: String,
    old_code: Option<String>,
    name_vi: String,
    name_en: Option<String>,
    kind: String,
    code_status: String,
}

#[derive(Deserialize)]
struct OrganisationRow {
    code: String,
    old_code: Option<String>,
    served_by: String,
    name: Option<String>,
    parent: Option<String>,
    valid_from: Option<String>,
    valid_until: Option<String>,
    /// Codes with spaces between them.
    successors: Option<String>,
}

/// Reads agencies: columns `code`, `old_code`, `name_vi`, `name_en`, `kind`, `code_status`; the second and the fourth may be empty.
///
/// # Errors
/// The first row that is wrong.
pub fn read_agencies(path: &Path) -> Result<Vec<AgencyJoined>, DirectoryError> {
    let read = |(row, agency): (usize, AgencyRow)| {
        let code = |text: &str| code(path, row, text);
        Ok(AgencyJoined {
            agency: code(&agency.code)?,
            old_code: filled(agency.old_code).map(|old| code(&old)).transpose()?,
            name_vi: agency.name_vi,
            name_en: filled(agency.name_en),
            kind: agency.kind,
            code_status: agency.code_status,
            valid_from: None,
            predicates: vec![ENVELOPE_V1.to_owned(), RECEIPT_V1.to_owned()],
        })
    };
    rows(path)?.into_iter().enumerate().map(|(index, row)| read((index + 1, row))).collect()
}

/// Reads organisations: columns `code`, `old_code`, `served_by`, `name`, and, where the file has them, `parent`, `valid_from`, `valid_until`,
/// `successors` (codes with spaces between them). All but `code` and `served_by` may be empty.
///
/// # Errors
/// The first row that is wrong.
pub fn read_organisations(path: &Path) -> Result<Vec<Organisation>, DirectoryError> {
    let read = |(row, organisation): (usize, OrganisationRow)| {
        Ok(Organisation {
            code: code(path, row, &organisation.code)?,
            old_code: filled(organisation.old_code).map(|old| code(path, row, &old)).transpose()?,
            name: filled(organisation.name),
            served_by: code::<AgencyCode>(path, row, &organisation.served_by)?,
            parent: filled(organisation.parent).map(|parent| code(path, row, &parent)).transpose()?,
            valid_from: date(path, row, organisation.valid_from)?,
            valid_until: date(path, row, organisation.valid_until)?,
            successors: filled(organisation.successors)
                .iter()
                .flat_map(|codes| codes.split_whitespace())
                .map(|successor| code(path, row, successor))
                .collect::<Result<_, _>>()?,
        })
    };
    rows(path)?.into_iter().enumerate().map(|(index, row)| read((index + 1, row))).collect()
}

fn rows<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, DirectoryError> {
    let file = File::open(path).map_err(|source| DirectoryError::File { path: path.to_owned(), source })?;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(io::BufReader::new(file));
    let mut rows = Vec::new();
    for row in reader.deserialize() {
        if rows.len() == ROWS_MAX {
            return Err(DirectoryError::TooLong { path: path.to_owned() });
        }
        rows.push(row.map_err(|source| DirectoryError::Csv { path: path.to_owned(), source })?);
    }
    Ok(rows)
}

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn code<T: std::str::FromStr<Err = CodeError>>(path: &Path, row: usize, text: &str) -> Result<T, DirectoryError> {
    text.parse().map_err(|source| DirectoryError::Code { path: path.to_owned(), row, found: text.chars().take(60).collect(), source })
}

fn date(path: &Path, row: usize, text: Option<String>) -> Result<Option<Date>, DirectoryError> {
    let parse = |text: String| text.parse().map_err(|source| DirectoryError::Date { path: path.to_owned(), row, source });
    filled(text).map(parse).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The demo sends one document to all of them and fails unless each acknowledges and the axis has one copy.
    #[test]
    fn the_example_directory_has_the_94_agencies() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/example-directory/agencies.csv");
        assert_eq!(read_agencies(&path).unwrap().len(), 94);
    }

    #[test]
    fn directory_files_read_with_quotes_and_empty_columns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("directory.csv");
        let header = "code,old_code,name_vi,name_en,kind,code_status\n";
        std::fs::write(&path, format!("{header}G02,000.00.00.G02,\"Bộ \"\"A\"\", B\",,ministry,confirmed\r\n")).unwrap();
        let agencies = read_agencies(&path).unwrap();
        assert_eq!((agencies[0].name_vi.as_str(), agencies[0].name_en.as_ref()), ("Bộ \"A\", B", None));
        std::fs::write(&path, format!("{header}g02,,x,,ministry,confirmed\n")).unwrap();
        assert!(matches!(read_agencies(&path), Err(DirectoryError::Code { row: 1, .. })));
        std::fs::write(&path, "code,old_code,served_by,name\nH53.13,,H53,\n").unwrap();
        assert_eq!(read_organisations(&path).unwrap()[0].served_by.as_str(), "H53");
        std::fs::write(&path, "code,served_by,valid_until,successors\nH53.13,H53,2025-06-30,H53.1 H53.2\n").unwrap();
        let ended = read_organisations(&path).unwrap().remove(0);
        assert_eq!((ended.valid_until.unwrap().to_string().as_str(), ended.successors.len()), ("2025-06-30", 2));
        std::fs::write(&path, "code,served_by,valid_until\nH53.13,H53,30/6/2025\n").unwrap();
        assert!(matches!(read_organisations(&path), Err(DirectoryError::Date { row: 1, .. })));
        std::fs::write(&path, "code,old_code\nH53.13,\n").unwrap();
        assert!(matches!(read_organisations(&path), Err(DirectoryError::Csv { .. })));
    }
}
