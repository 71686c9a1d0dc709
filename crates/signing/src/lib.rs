//! Statements and the seals on them: DSSE, in-toto, certificates, key files.
