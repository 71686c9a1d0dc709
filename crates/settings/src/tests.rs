//! One small declaration, read rightly and wrongly.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use expect_test::{Expect, expect};

use crate::read::read;
use crate::{Loaded, Override, Raw, Style, changes, existing_file, load, optional, range, rule, write};

crate::settings! {
    /// Settings of the test.
    struct Sample {
        /// Where everything lies.
        pub data: PathBuf = ".".into(), AtStart;
        /// Where to listen.
        /// Two lines.
        pub listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 0)), AtStart;
        /// Who.
        pub agency: String = String::new(), AtStart, rule("a code", |code: &String| {
            if code.is_empty() { Err("is not given".to_owned()) } else { Ok(()) }
        });
        /// Beside the data.
        pub spare: PathBuf = data.join("spare"), AtStart;
        /// A file that must be there.
        pub password_file: Option<PathBuf> = None, AtStart, optional(existing_file());
    }
    sections {
        /// The disk.
        pub disk: Disk;
    }
}

crate::settings! {
    /// Settings of the disk.
    struct Disk {
        /// Kept free.
        pub reserve_bytes: u64 = 100, OnReload, range(1..=1_000);
        /// Whether to look.
        pub watch: bool = true, OnReload;
    }
    sections {}
}

fn parse(text: &str) -> Result<Loaded<Sample>, crate::Mistakes> {
    read(text, Path::new("x.toml"), Path::new("/etc/truc"), &[])
}

fn check(text: &str, expected: &Expect) {
    expected.assert_eq(&parse(text).map(|_| ()).unwrap_err().to_string());
}

#[test]
fn every_mistake_is_shown_at_once_with_its_line() {
    check(
        "listen = \"localhost\"\nagenci = \"G22\"\n[disk]\nreserve_bytes = 0\nwatch = \"yes\"\n\n[dsik]\nx = 1\n",
        &expect![[r#"
            x.toml:1:10: listen: is "localhost", expected an address like "127.0.0.1:7443"
            x.toml:2:1: agenci: there is no such setting; did you mean agency?
            x.toml:4:17: disk.reserve_bytes: is 0, expected 1 to 1000
            x.toml:5:9: disk.watch: is "yes", expected true or false
            x.toml:7:2: dsik: there is no such setting; did you mean disk?
            x.toml: agency: is not given"#]],
    );
    check(
        "agency = \"G22\"\nreserve_bytes = 5\ncompletely = 1\ndisk = 7\npassword_file = \"none\"\nspare = [1]\n",
        &expect![[r#"
            x.toml:2:1: reserve_bytes: there is no such setting; did you mean disk.reserve_bytes?
            x.toml:3:1: completely: there is no such setting
            x.toml:4:1: disk: is of the kind integer, expected a table: [disk]
            x.toml:5:17: password_file: is /etc/truc/none: No such file or directory (os error 2)
            x.toml:6:9: spare: is of the kind array, expected a path"#]],
    );
    check(
        "agency = \"G22\"\nagency = \"G12\"\n[disk]\nreserve_bytes = -4\nlisten = = 3\n",
        &expect![[r#"
            x.toml:2:1: this is no TOML: duplicate key
            x.toml:4:17: disk.reserve_bytes: is -4, expected a number that is not negative
            x.toml:5:1: disk.listen: there is no such setting; did you mean listen?
            x.toml:5:10: this is no TOML: extra `=`, expected nothing
            x.toml:5:12: this is no TOML: unexpected key or value, expected newline, `#`"#]],
    );
}

#[test]
fn what_is_written_reads_back_to_the_same_bytes() {
    let first = parse("agency = \"Bộ \\\"Nội vụ\\\"\\u0007\"\ndata = \"sub/../here\"\n[disk]\nwatch = false\n").unwrap();
    assert_eq!(first.settings.data, Path::new("/etc/truc/sub/../here"));
    assert_eq!(first.settings.spare, Path::new("/etc/truc/sub/../here/spare"));
    let text = write("Sample", &first.entries, Style::Effective);
    // Seen from elsewhere it is still the same.
    let second: Loaded<Sample> = read(&text, Path::new("y.toml"), Path::new("/elsewhere"), &[]).unwrap();
    assert_eq!(first.settings, second.settings);
    assert_eq!(write("Sample", &second.entries, Style::Effective), text);
    assert_eq!(changes(&first.entries, &second.entries), []);
}

#[test]
fn a_new_file_names_what_was_given_and_shows_the_defaults_as_comments() {
    let flags = [Override { key: "agency", value: Raw::Text("G22".to_owned()) }];
    let made: Loaded<Sample> = read("", Path::new("x.toml"), Path::new("/etc/truc"), &flags).unwrap();
    expect![[r#"
        # Sample

        # Where everything lies.
        # (a path; default "."; read at the start only)
        # data = "."

        # Where to listen.
        # Two lines.
        # (an address like "127.0.0.1:7443"; default "127.0.0.1:0"; read at the start only)
        # listen = "127.0.0.1:0"

        # Who.
        # (a text; a code; must be given; read at the start only)
        agency = "G22"

        # Beside the data.
        # (a path; default "/etc/truc/spare"; read at the start only)
        # spare = "/etc/truc/spare"

        # A file that must be there.
        # (a path; a file that exists; not set by default; read at the start only)
        # password_file = "/path"

        # The disk.
        [disk]

        # Kept free.
        # (a number; 1 to 1000; default 100; read again by a reload)
        # reserve_bytes = 100

        # Whether to look.
        # (true or false; default true; read again by a reload)
        # watch = true
    "#]]
    .assert_eq(&write("Sample", &made.entries, Style::Given));
}

#[test]
fn changes_say_whether_a_reload_is_enough() {
    let before = parse("agency = \"G22\"").unwrap();
    let after = parse("agency = \"G12\"\n[disk]\nreserve_bytes = 7\nwatch = true").unwrap();
    let changed: Vec<_> = changes(&before.entries, &after.entries).into_iter().map(|change| (change.key, change.applies)).collect();
    assert_eq!(changed, [("agency".to_owned(), crate::Applies::AtStart), ("disk.reserve_bytes".to_owned(), crate::Applies::OnReload)]);
}

#[test]
fn files_that_are_missing_or_no_settings_are_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.toml");
    let refused = |file: &Path| {
        load::<Sample>(&crate::Source { file: file.to_owned(), overrides: Vec::new() }).unwrap_err().mistakes[0].message.clone()
    };
    assert!(refused(&file).contains("No such file"));
    std::fs::write(&file, [0xff, 0xfe]).unwrap();
    assert!(refused(&file).contains("UTF-8"));
    std::fs::write(&file, vec![b'#'; 1 << 20]).unwrap();
    assert!(refused(&file).contains("more than 65536 bytes"));
}
