//! The command as a process: its help, its exit codes, the PKI as openssl sees it, journal verification.

#[cfg(test)]
mod command {
    use std::fs;
    use std::path::Path;
    use std::process::{Command, Output};

    use expect_test::expect_file;

    const VERBS: &[&[&str]] = &[
        &[],
        &["pki"],
        &["pki", "init"],
        &["pki", "issue"],
        &["broker"],
        &["broker", "init"],
        &["broker", "run"],
        &["edge"],
        &["edge", "init"],
        &["edge", "run"],
        &["edge", "host"],
        &["directory"],
        &["directory", "list"],
        &["directory", "find"],
        &["directory", "changes"],
        &["send"],
        &["inbox"],
        &["inbox", "list"],
        &["inbox", "save"],
        &["inbox", "ack"],
        &["inbox", "refuse"],
        &["status"],
        &["list"],
        &["thread"],
        &["events"],
        &["evidence"],
        &["verify"],
        &["edxml"],
        &["edxml", "check"],
        &["edxml", "extract"],
        &["edxml", "rules"],
        &["admin"],
        &["admin", "agencies"],
        &["admin", "backup"],
        &["admin", "blobs"],
        &["admin", "check"],
        &["admin", "connections"],
        &["admin", "drill"],
        &["admin", "errors"],
        &["admin", "errors", "explain"],
        &["admin", "errors", "list"],
        &["admin", "journal"],
        &["admin", "journal", "export"],
        &["admin", "journal", "verify"],
        &["admin", "journal", "verify-export"],
        &["admin", "queues"],
        &["admin", "registry"],
        &["admin", "registry", "append"],
        &["admin", "registry", "seal"],
        &["admin", "restore"],
        &["admin", "trace"],
        &["demo"],
        &["sandbox"],
        &["bench"],
        &["bench", "submit"],
        &["bench", "inprocess"],
        &["bench", "fanout"],
        &["bench", "loop"],
        &["bench", "replay"],
        &["bench", "soak"],
        &["bench", "open"],
        &["bench", "steady"],
        &["bench", "blobs"],
        &["bench", "isolation"],
        &["bench", "hostile"],
        &["bench", "goals"],
        &["bench", "envelopes"],
        &["completions"],
        &["man"],
    ];

    fn truc(arguments: &[&str], password: Option<&str>) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_truc"));
        command.args(arguments).env("LC_ALL", "C").env_remove("TRUC_KEY_PASSWORD").env_remove("TRUC_LOG");
        if let Some(password) = password {
            command.env("TRUC_KEY_PASSWORD", password);
        }
        command.output().unwrap()
    }

    fn code(arguments: &[&str]) -> i32 {
        truc(arguments, None).status.code().unwrap()
    }

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    fn evidence(part: &str) -> String {
        format!("{}/../../testdata/evidence/{part}", env!("CARGO_MANIFEST_DIR"))
    }

    #[test]
    fn the_help_of_every_verb_is_as_written() {
        for verb in VERBS {
            let output = truc(&[verb, &["--help"][..]].concat(), None);
            assert_eq!(output.status.code(), Some(0), "{verb:?}");
            let name = if verb.is_empty() { "truc".to_owned() } else { verb.join("-") };
            expect_file![format!("{}/tests/help/{name}.txt", env!("CARGO_MANIFEST_DIR"))].assert_eq(text(&output.stdout));
        }
    }

    #[test]
    fn exit_codes_tell_the_cause() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().to_str().unwrap();
        assert_eq!(code(&["verify", &evidence("folder"), "--trust", &evidence("trust")]), 0);
        assert_eq!(code(&["verify", &evidence("")]), 1);
        assert_eq!(code(&["verify", here]), 3);
        assert_eq!(code(&["verify", "/nothing/here"]), 2);
        assert_eq!(code(&["verify"]), 2);
        assert_eq!(code(&["verify", &evidence("folder"), "--trust", "/nothing/here"]), 2);
        assert_eq!(code(&["status", "x", "--edge", "127.0.0.1:7522"]), 2);
        assert_eq!(code(&["inbox", "list", "--edge", "https://127.0.0.1:7522"]), 2);
        assert_eq!(code(&["nonsense"]), 2);
        assert_eq!(code(&["pki", "init", here]), 5);
        assert_eq!(code(&["pki", "issue", here, "g12"]), 2);
        // Port 9 is the discard service: nobody listens there.
        assert_eq!(code(&["status", "01ARYZ6S41TSV4RRFFQ69G5FAV", "--edge", "http://127.0.0.1:9"]), 4);
        assert_eq!(code(&["admin", "journal", "verify", "--data", here]), 2);
        assert_eq!(code(&["admin", "errors", "explain", "seal.expired_reseal"]), 0);
        assert_eq!(code(&["admin", "errors", "explain", "SEAL_EXPIRED_RESEAL"]), 0);
        assert_eq!(code(&["admin", "errors", "explain", "nonsense"]), 2);
        assert_eq!(code(&["admin", "check"]), 2);
        assert_eq!(code(&["admin", "check", "--edge", "http://127.0.0.1:9"]), 1);
        assert_eq!(code(&["admin", "backup", here, "--into", here]), 2);
        assert_eq!(code(&["admin", "restore", "--from", here, "--into", here]), 2);
        assert_eq!(code(&["admin", "drill", "--from", here]), 2);
    }

    #[test]
    fn evidence_that_is_not_given_leaves_no_folder() {
        let folder = tempfile::tempdir().unwrap();
        let evidence = folder.path().join("evidence");
        let words = ["evidence", "01ARYZ6S41TSV4RRFFQ69G5FAV", evidence.to_str().unwrap(), "--recipient", "G12"];
        assert_eq!(code(&[&words[..], &["--edge", "http://127.0.0.1:9"]].concat()), 4);
        assert!(!evidence.exists());
    }

    #[test]
    fn a_daemon_on_the_wrong_folder_names_the_command_that_makes_one() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().to_str().unwrap();
        for daemon in ["broker", "edge"] {
            let output = truc(&[daemon, "run", "--data", here], None);
            assert_eq!(output.status.code(), Some(5));
            assert!(
                text(&output.stderr).contains(&format!("holds no {daemon}: `truc {daemon} init` makes one")),
                "{}",
                text(&output.stderr)
            );
        }
    }

    #[test]
    fn one_recipient_may_stand_before_the_files() {
        let words = ["--secrecy", "none", "--number", "1", "--notation", "BNV", "--subject", "Thử", "--to", "G12", "letter.pdf"];
        // Nobody listens on port 9: what matters is that the arguments are understood.
        assert_eq!(code(&[&["send", "--edge", "http://127.0.0.1:9", "--reference", "r"], &words[..]].concat()), 4);
    }

    #[test]
    fn verification_as_json_is_one_object_a_line_and_ends_with_the_verdict() {
        let output = truc(&["verify", &evidence("folder"), "--json"], None);
        let lines: Vec<serde_json::Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (summary, checks) = lines.split_last().unwrap();
        assert_eq!(summary["verdict"], "TOTAL-PASSED");
        assert_eq!(summary["checks"], checks.len());
        assert!(checks.iter().all(|check| check["check"].is_string() && check["file"].is_string() && check["detail"].is_string()));
    }

    #[test]
    fn a_failure_is_explained_in_the_language_that_is_asked_for() {
        let said = |language: &str| {
            let output = truc(&["--lang", language, "edge", "run", "--data", "/nowhere/at/all", "--password-file", "/dev/null"], None);
            text(&output.stderr).to_owned()
        };
        assert!(said("en").contains("\n  whose fault: "), "{}", said("en"));
        assert!(said("vi").contains("\n  trách nhiệm: "), "{}", said("vi"));
        assert_eq!(code(&["--lang", "fr", "pki"]), 2);
    }

    #[test]
    fn a_missing_password_is_said_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let output = truc(&["pki", "init", folder.path().join("pki").to_str().unwrap()], None);
        assert!(text(&output.stderr).contains("give --password-file FILE or set TRUC_KEY_PASSWORD"), "{}", text(&output.stderr));
        assert!(!folder.path().join("pki").exists());
    }

    #[test]
    fn shells_can_read_the_completions_of_every_program() {
        for program in ["truc", "truc-broker", "truc-edge"] {
            for (shell, word) in [("bash", "complete -F"), ("zsh", "#compdef"), ("fish", "complete -c")] {
                let output = truc(&["completions", shell, "--program", program], None);
                assert_eq!(output.status.code(), Some(0));
                let script = text(&output.stdout);
                assert!(script.contains(word) && script.contains(program) && script.contains("json"), "{script}");
                if shell == "bash" {
                    // As a file: it is longer than an argument may be.
                    let file = tempfile::NamedTempFile::new().unwrap();
                    fs::write(file.path(), script).unwrap();
                    let checked = Command::new("bash").arg("-n").arg(file.path()).status().unwrap();
                    assert!(checked.success(), "{script}");
                }
            }
        }
    }

    #[test]
    fn every_verb_and_every_daemon_has_a_manual_page() {
        let folder = tempfile::tempdir().unwrap();
        let written = truc(&["man", "--into", folder.path().to_str().unwrap()], None);
        assert!(written.status.success(), "{}", text(&written.stderr));
        let pages = VERBS.iter().map(|verb| [&["truc"], *verb].concat().join("-")).chain(["truc-broker", "truc-edge"].map(str::to_owned));
        for name in pages {
            let page = fs::read_to_string(folder.path().join(format!("{name}.1"))).unwrap();
            assert!(page.contains(".TH ") && page.contains(".SH SYNOPSIS"), "{name}: {page}");
        }
        assert!(!truc(&["man", "--into", "/nothing/here"], None).status.success());
    }

    fn openssl(arguments: &[&str], folder: &Path) -> String {
        let output = Command::new("openssl")
            .args(arguments)
            .env("PASSWORD", "secret words")
            .current_dir(folder)
            .output()
            .expect("openssl is installed by scripts/test-tools.sh");
        assert!(output.status.success(), "openssl {arguments:?}: {}", text(&output.stderr));
        text(&output.stdout).to_owned()
    }

    #[test]
    fn an_export_has_the_leaves_of_the_tree_and_goes_on_where_it_was_interrupted() {
        use base64::Engine as _;
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let run = |arguments: &[&str]| {
            let output = truc(arguments, Some("secret words"));
            assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
            output.stdout
        };
        let (pki, data, into) = (path("pki"), path("broker"), path("log.ndjson"));
        let directory = format!("{}/../../deploy/example-directory", env!("CARGO_MANIFEST_DIR"));
        run(&["pki", "init", &pki]);
        run(&["pki", "issue", &pki, "G12", "G22"]);
        let (agencies, organisations) = (format!("{directory}/agencies.csv"), format!("{directory}/organisations.csv"));
        run(&["broker", "init", "--data", &data, "--pki", &pki, "--agencies", &agencies, "--organisations", &organisations]);
        let verified: serde_json::Value = serde_json::from_slice(&run(&["admin", "journal", "verify", "--data", &data, "--json"])).unwrap();

        let export = |more: &[&str]| -> serde_json::Value {
            let arguments = [&["admin", "journal", "export", "--data", &data, "--into", &into, "--json"], more].concat();
            serde_json::from_slice(&run(&arguments)).unwrap()
        };
        assert_eq!(export(&["--to", "2"])["next_position"], 2);
        // As if it had been killed in the middle of a line.
        let part = fs::read(&into).unwrap();
        fs::write(&into, &part[..part.len() - 9]).unwrap();
        let rest = export(&[]);
        assert_eq!((&rest["next_position"], &rest["root"]), (&verified["position"], &verified["root"]));
        let mut frontier = truc_ledger::Frontier::new();
        let written = fs::read_to_string(&into).unwrap();
        let lines: Vec<&str> = written.lines().collect();
        let (signed, entries) = lines.split_last().unwrap();
        assert!(signed.starts_with("{\"checkpoint\":"), "{signed}");
        for line in entries {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["leaf"], frontier.size());
            let entry = base64::engine::general_purpose::STANDARD.decode(line["entry"].as_str().unwrap()).unwrap();
            frontier.append(truc_ledger::leaf_hash(&entry));
        }
        assert_eq!(verified["root"], frontier.root().to_hex());
        assert_eq!(export(&[])["written"], 0);
    }

    #[test]
    fn openssl_reads_the_development_pki_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let pki = folder.path().join("pki");
        let pki = pki.to_str().unwrap();
        let made = truc(&["pki", "init", pki, "--axis", "Test"], Some("secret words"));
        assert!(made.status.success(), "{}", text(&made.stderr));
        assert_eq!(text(&made.stdout), fs::read_to_string(format!("{pki}/log.vkey")).unwrap());
        assert!(truc(&["pki", "issue", pki, "G12", "H53.13"], Some("secret words")).status.success());
        let agencies = ["agencies/G12", "agencies/H53.13"];
        let mut names = vec!["operator".to_owned(), "operator.tls".to_owned(), "broker.tls".to_owned()];
        names.extend(agencies.iter().flat_map(|agency| [format!("{agency}/seal"), format!("{agency}/tls")]));
        for name in &names {
            openssl(&["verify", "-x509_strict", "-CAfile", "ca.pem", &format!("{name}.cert.pem")], Path::new(pki));
            let public = openssl(&["pkey", "-in", &format!("{name}.key.pem"), "-passin", "env:PASSWORD", "-pubout"], Path::new(pki));
            assert_eq!(public, openssl(&["x509", "-in", &format!("{name}.cert.pem"), "-noout", "-pubkey"], Path::new(pki)));
        }
        for key in ["ca.key.pem", "log.key.pem"] {
            openssl(&["pkey", "-in", key, "-passin", "env:PASSWORD", "-noout"], Path::new(pki));
        }
        let names = openssl(&["x509", "-in", "agencies/H53.13/seal.cert.pem", "-noout", "-text"], Path::new(pki));
        assert!(names.contains("URI:urn:truc:agency:H53.13") && names.contains("1.3.6.1.5.5.7.3.36"), "{names}");
        assert_eq!(truc(&["pki", "init", pki], Some("secret words")).status.code(), Some(5));
        assert_eq!(truc(&["pki", "issue", pki, "G12"], Some("secret words")).status.code(), Some(5));
        let wrong = truc(&["pki", "issue", pki, "G13"], Some("wrong"));
        assert!(text(&wrong.stderr).contains("the password is wrong or the key file is damaged"), "{}", text(&wrong.stderr));
    }
}
