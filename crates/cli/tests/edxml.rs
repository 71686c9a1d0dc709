//! `truc edxml` as a process: what a vendor reads about a bad file, what programs read, exit codes, extraction, memory.

#[cfg(test)]
mod edxml {
    use std::fs::{self, File};
    use std::io::{BufWriter, Read as _, Write as _};
    use std::path::Path;
    use std::process::{Command, Output, Stdio};

    use expect_test::{expect, expect_file};

    const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/edxml/");

    fn sample(name: &str) -> String {
        fs::read_to_string(format!("{SAMPLES}{name}")).unwrap()
    }

    fn command(arguments: &[&str], folder: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_truc"));
        command.arg("edxml").args(arguments).env("LC_ALL", "C").env_remove("TRUC_LOG").current_dir(folder);
        command
    }

    fn truc(arguments: &[&str], folder: &Path) -> Output {
        command(arguments, folder).output().unwrap()
    }

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    /// The new document with the mistakes that vendors make, one of each.
    fn mistaken() -> String {
        let mut message = sample("made/01-new-document.edxml");
        for (from, to) in [
            ("PromulgationDate>2025/11/17<", "PromulgationDate>05/11/2025<"),
            ("DueDate>2025/11/28<", "DueDate>28-11-2025<"),
            ("<edXML:Priority>1<", "<edXML:Priority>khẩn<"),
            ("<edXML:CodeNumber>4127<", "<edXML:CodeNumber> <"),
            ("<edXML:OrganId>H37<", "<edXML:OrganId>h37<"),
            ("<edXML:TyperNotation>NVM<", "<edXML:TyperNotation>N/A<"),
            ("<edXML:Content>", "<edXML:Subjet>đỏ</edXML:Subjet><edXML:Content>"),
            ("Bussiness>", "Business>"),
            ("JVBERi0xLjQK", "JVBERi0xLjQ*"),
        ] {
            assert!(message.contains(from), "{from}");
            message = message.replace(from, to);
        }
        message
    }

    #[test]
    fn a_vendor_sees_every_mistake_with_its_line_and_what_to_write() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("bad.edxml"), mistaken()).unwrap();
        for language in ["en", "vi"] {
            let output = truc(&["check", "bad.edxml", "--lang", language], folder.path());
            assert_eq!(output.status.code(), Some(1));
            expect_file![format!("{}/tests/edxml/bad.{language}.txt", env!("CARGO_MANIFEST_DIR"))].assert_eq(text(&output.stdout));
        }
    }

    #[test]
    fn a_good_file_is_told_how_it_was_understood() {
        let output = truc(&["check", "made/01-new-document.edxml", "made/02c-status-02-refused.edxml"], Path::new(SAMPLES));
        assert_eq!(output.status.code(), Some(0));
        expect![[r#"
            made/01-new-document.edxml: fine
              new document, 4127/BTC-NSNN, 2025-11-17, from G12 to H53, H37
              4127-BTC-NSNN.pdf: 738 B, application/pdf, SHA-256 4f2eba700c9978cc248ca44958bf68cb50ce947d3d2c7bfd1e521c6ffb7bcc57
              bieu-mau-01.csv: 66 B, text/csv, unpacked, SHA-256 5829ae468028488f4b0960083763e5c4c22894d5f0c8640631a36b6c5c898497
            made/02c-status-02-refused.edxml: fine
              status packet 02, 4127/BTC-NSNN, 2025-11-17, from H37 to G12
              note: this release carries new documents and replies only; an edge refuses this message by name
        "#]]
        .assert_eq(text(&output.stdout));
    }

    #[test]
    fn json_is_one_object_a_file_with_stable_names() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("bad.edxml"), mistaken()).unwrap();
        let output = truc(&["check", "--json", "bad.edxml", &format!("{SAMPLES}made/04-reply.edxml")], folder.path());
        let objects: Vec<serde_json::Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [bad, good] = objects.as_slice() else { panic!("one object a file: {objects:?}") };
        let names = |object: &serde_json::Value| object.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(bad), ["diagnostics", "errors", "file", "message", "more", "verdict", "warnings"]);
        assert_eq!((&bad["verdict"], &bad["file"], &good["verdict"]), (&"refused".into(), &"bad.edxml".into(), &"fine".into()));
        assert_eq!(good["message"]["attachments"][0]["bytes"], 738);
        expect![[r#"{"column":11,"expected":"0-9 A-Z . (≤ 35)","found":"h37","line":22,"message_en":"this is not the code of an organisation","message_vi":"không phải mã định danh cơ quan, tổ chức","path":"edXML/edXMLEnvelope/edXMLHeader/MessageHeader/To[2]/OrganId","rule":"edxml.code_invalid","severity":"error","suggestion":"H37"}"#]]
            .assert_eq(&bad["diagnostics"][0].to_string());
    }

    #[test]
    fn exit_codes_and_standard_input() {
        let folder = tempfile::tempdir().unwrap();
        let code = |arguments: &[&str]| truc(arguments, Path::new(SAMPLES)).status.code();
        // A due date before the date of issue deserves a warning.
        assert_eq!(code(&["check", "sdk/edoc_new.edxml"]), Some(0));
        assert_eq!(code(&["check", "--strict", "sdk/edoc_new.edxml"]), Some(1));
        assert_eq!(code(&["check", "made/04-reply.edxml", "sdk/edoc_new.edxml", "--strict"]), Some(1));
        assert_eq!(code(&["check", "made/nothing.edxml"]), Some(5));
        assert_eq!(code(&["check", "made"]), Some(2));
        assert_eq!(code(&["check"]), Some(2));
        let mut check = command(&["check", "-"], folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        check.stdin.take().unwrap().write_all(mistaken().as_bytes()).unwrap();
        let output = check.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stdout).contains("35 | <edXML:PromulgationDate>05/11/2025<"), "{}", text(&output.stdout));
    }

    #[test]
    fn rules_are_listed_from_the_code_in_both_languages() {
        for (language, words) in [("en", "a DOCTYPE is refused"), ("vi", "không chấp nhận khai báo DOCTYPE")] {
            let output = truc(&["rules", "--lang", language], Path::new(SAMPLES));
            assert_eq!(text(&output.stdout).lines().count(), truc_edxml::Rule::ALL.len());
            let line = text(&output.stdout).lines().find(|line| line.starts_with("edxml.doctype ")).unwrap();
            assert!(line.ends_with(words), "{line}");
        }
    }

    #[test]
    fn attachments_are_extracted_under_safe_names_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let message = sample("made/01-new-document.edxml").replace("4127-BTC-NSNN.pdf", "4127/BTC-NSNN.pdf");
        fs::write(folder.path().join("message.edxml"), message).unwrap();
        fs::write(folder.path().join("bad.edxml"), mistaken()).unwrap();
        let files = || {
            let entries = fs::read_dir(folder.path().join("out")).unwrap();
            let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        let refused = truc(&["extract", "bad.edxml", "--into", "out"], folder.path());
        assert_eq!((refused.status.code(), files()), (Some(1), vec![]), "nothing is left of a refused message");
        assert!(text(&refused.stderr).contains("edxml.date_ambiguous"));
        let output = truc(&["extract", "message.edxml", "--into", "out"], folder.path());
        assert_eq!(text(&output.stdout), "out/00-4127_BTC-NSNN.pdf\nout/01-bieu-mau-01.csv\n", "{}", text(&output.stderr));
        assert_eq!(files(), ["00-4127_BTC-NSNN.pdf", "01-bieu-mau-01.csv"]);
        assert!(fs::read(folder.path().join("out/00-4127_BTC-NSNN.pdf")).unwrap().starts_with(b"%PDF-1.4"));
        assert_eq!(truc(&["extract", "message.edxml", "--into", "out"], folder.path()).status.code(), Some(5), "nothing is overwritten");
    }

    /// A message of 70 MB with one attachment of 50 MiB.
    fn large(path: &Path) {
        let message = sample("made/04-reply.edxml");
        let tag = "<ContentTransferEncoded>";
        let (head, rest) = message.split_once(tag).unwrap();
        let tail = &rest[rest.find("</").unwrap()..];
        let mut file = BufWriter::new(File::create(path).unwrap());
        write!(file, "{head}{tag}").unwrap();
        let piece = "QUJD".repeat(16 * 1024);
        for _ in 0..(50 << 20) / 3 / 16 / 1024 {
            file.write_all(piece.as_bytes()).unwrap();
        }
        write!(file, "{tail}").unwrap();
        file.flush().unwrap();
    }

    /// Kilobytes that the process had resident at most: read while it waits for its next file, so that it cannot be gone.
    fn peak_kib(process: u32) -> u64 {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    #[test]
    fn a_file_of_70_megabytes_is_checked_in_the_memory_of_a_small_one() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("small.edxml"), sample("made/04-reply.edxml")).unwrap();
        large(&folder.path().join("large.edxml"));
        let peak = |file: &str| {
            // After the file it waits for standard input, which this test holds open.
            let mut check = command(&["check", file, "-"], folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let mut line = [0; 1];
            check.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
            let peak = peak_kib(check.id());
            drop(check.stdin.take());
            check.wait_with_output().unwrap();
            peak
        };
        let (small, large) = (peak("small.edxml"), peak("large.edxml"));
        assert!(large < small + 16 * 1024, "{large} KiB for the large file, {small} KiB for the small one");
    }
}
