//! The registry changes while the axis runs: an organisation, an agency with its edge, an entry that is replaced. Edges read and verify each change
//! without a restart, and documents go to the new ones at once. What is wrong with a change is refused by name and changes nothing.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use serde_json::Value;
use truc_proto::edge::v1 as pb;
use truc_tests::axis::Axis;
use truc_tests::dms::{Dms, Letter};
use truc_tests::tools::{run_truc, truc_ok};
use truc_types::Reason;

/// Edges ask by themselves every half a minute: what is known sooner came with the announcement.
const ANNOUNCED_WITHIN: Duration = Duration::from_secs(15);

async fn version(dms: &Dms) -> u64 {
    dms.directory().await.unwrap().get_axis(pb::GetAxisRequest {}).await.unwrap().into_inner().registry_version
}

async fn knows(dms: &Dms, wanted: u64) {
    let known = async {
        while version(dms).await < wanted {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(ANNOUNCED_WITHIN, known).await.expect("the edge reads the change when it is announced");
}

/// Seals what stands in CSV files; the statements in order.
fn sealed(axis: &Axis, after: u64, into: &str, files: &[(&str, &str)], more: &[&str]) -> Vec<PathBuf> {
    let (pki, into, after) = (axis.path("pki"), axis.path(into), after.to_string());
    let mut arguments = vec!["admin", "registry", "seal", "--json", "--after", &after];
    arguments.extend(["--pki", pki.to_str().unwrap(), "--into", into.to_str().unwrap()]);
    let paths: Vec<_> = files.iter().map(|(option, text)| (option, csv(axis, option, text))).collect();
    for (option, path) in &paths {
        arguments.extend([**option, path.to_str().unwrap()]);
    }
    arguments.extend(more);
    let told = truc_ok(&arguments);
    told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["file"].as_str().unwrap().into()).collect()
}

fn csv(axis: &Axis, option: &str, text: &str) -> PathBuf {
    let path = axis.path(&format!("change{option}.csv"));
    std::fs::write(&path, text).unwrap();
    path
}

fn append(axis: &Axis, files: &[&Path]) -> Output {
    let (url, pki) = (axis.broker_url(), axis.path("pki"));
    let files: Vec<_> = files.iter().map(|file| file.to_str().unwrap()).collect();
    let options = ["--json", "--broker", url.as_str(), "--pki", pki.to_str().unwrap()];
    run_truc(&[&["admin", "registry", "append"], &files[..], &options].concat())
}

fn appended(output: &Output) -> Vec<(u64, bool)> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8_lossy(&output.stdout);
    let lines = told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| (line["version"].as_u64().unwrap(), line["repeated"].as_bool().unwrap())).collect()
}

fn refused(output: &Output, reason: Reason) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains(reason.code()), "{reason}: {said}");
    said
}

/// One document there and registered.
async fn passes(from: &Dms, to: &Dms, reference: &str, recipient: &str) {
    from.exchange(&Letter::new(reference, &[recipient]), to).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_and_an_agency_are_added_while_edges_run_and_documents_go_there_at_once() {
    let mut axis = Axis::running();
    let (sender, province) = (axis.dms("G22"), axis.dms("H53"));
    passes(&sender, &province, "before", "H53.03").await;
    let unknown = sender.send(&Letter::new("too early", &["H53.77"])).await.unwrap_err();
    assert_eq!(truc_transport::status::refusal(&unknown).unwrap().reason, Reason::RecipientUnknown);
    let before = version(&sender).await;

    let organisation = "code,old_code,served_by,name\nH53.77,,H53,Sở mới lập\n";
    let files = sealed(&axis, before, "first", &[("--organisations", organisation)], &[]);
    assert_eq!(appended(&append(&axis, &[&files[0]])), [(before + 1, false)]);
    knows(&sender, before + 1).await;
    passes(&sender, &province, "to the new one", "H53.77").await;
    // Who is not sure whether it arrived appends it again.
    assert_eq!(appended(&append(&axis, &[&files[0]])), [(before + 1, true)]);

    // An agency that joins: certificates, edge and all, while the others go on. Its province's name is corrected by the same call.
    let pki = axis.path("pki");
    truc_ok(&["pki", "issue", pki.to_str().unwrap(), "H26"]);
    let header = "code,old_code,name_vi,name_en,kind,code_status\n";
    let agencies = format!("{header}H26,000.00.00.H26,UBND thành phố Hà Nội,,province,confirmed\n");
    let files = sealed(&axis, before + 1, "second", &[("--agencies", &agencies)], &["--certificates"]);
    let files: Vec<_> = files.iter().map(PathBuf::as_path).collect();
    assert_eq!(appended(&append(&axis, &files)), [(before + 2, false), (before + 3, false)]);
    let edge = axis.edge_folder("H26");
    let url = axis.broker_url();
    truc_ok(&["edge", "init", "--data", edge.to_str().unwrap(), "--pki", pki.to_str().unwrap(), "--agency", "H26", "--broker", &url]);
    axis.start_edge("H26");
    let joined = axis.dms("H26");
    knows(&sender, before + 3).await;
    passes(&sender, &joined, "to the agency", "H26").await;
    // The other way it needs nothing more than that the recipient's edge has read the certificate.
    passes(&joined, &province, "from the agency", "H53").await;

    // An entry that is there is replaced, under the keys and the index that it has.
    let renamed = format!("{header}H53,,Ủy ban nhân dân tỉnh Tây Ninh (đổi tên),,province,confirmed\n");
    let files = sealed(&axis, before + 3, "third", &[("--agencies", &renamed)], &[]);
    assert_eq!(appended(&append(&axis, &[&files[0]])), [(before + 4, false)]);
    knows(&sender, before + 4).await;
    let found = pb::LookUpCodeRequest { code: "H53".to_owned() };
    let found = sender.directory().await.unwrap().look_up_code(found).await.unwrap().into_inner();
    assert!(found.agency.unwrap().name_vi.contains("đổi tên"));
    passes(&sender, &province, "renamed", "H53").await;

    // It is in the log: the next process of the broker knows it, and every seal in the log is one that a rehearsal finds sound.
    axis.kill_broker();
    axis.start_broker();
    passes(&sender, &province, "after a crash", "H53.77").await;
    passes(&joined, &province, "and from there", "H53").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_wrong_is_refused_by_name_and_changes_nothing() {
    let axis = Axis::running();
    let (sender, province) = (axis.dms("G22"), axis.dms("H53"));
    passes(&sender, &province, "before", "H53").await;
    let before = version(&sender).await;
    let organisations = |rows: &str| format!("code,old_code,served_by,name\n{rows}\n");
    let one = |into: &str, after: u64, rows: &str| sealed(&axis, after, into, &[("--organisations", &organisations(rows))], &[]).remove(0);

    let said = refused(&append(&axis, &[&one("gap", before + 1, "H53.77,,H53,")]), Reason::RegistryVersion);
    assert!(said.contains(&format!("{}", before + 1)), "the version that is expected is told: {said}");
    let said = refused(&append(&axis, &[&one("nobody", before, "H99.1,,H99,")]), Reason::RegistryContradiction);
    assert!(said.contains("H99, which has not joined"), "{said}");
    let said = refused(&append(&axis, &[&one("axis", before, "TRUC.LOOPBACK,,H53,")]), Reason::RegistryContradiction);
    assert!(said.contains("the axis itself"), "{said}");
    // Documents that wait for an organisation are the agency's that served it when they were accepted.
    let said = refused(&append(&axis, &[&one("moved", before, "H53.03,,G22,")]), Reason::RegistryContradiction);
    assert!(said.contains("served by H53"), "{said}");
    let said = refused(&append(&axis, &[&one("hidden", before, "H53.77,H53.03,H53,")]), Reason::RegistryContradiction);
    assert!(said.contains("leads to H53.03"), "{said}");
    let header = "code,old_code,name_vi,name_en,kind,code_status\n";
    let other = format!("{header}H26,,Một trục nữa,,axis,confirmed\n");
    let files = sealed(&axis, before, "second-axis", &[("--agencies", &other)], &[]);
    refused(&append(&axis, &[&files[0]]), Reason::RegistryContradiction);

    // Somebody else's seal, an agency's statement, bytes that are none, and more of them than are taken.
    let stranger = Axis::new();
    let foreign = sealed(&stranger, before, "foreign", &[("--organisations", &organisations("H53.77,,H53,"))], &[]);
    refused(&append(&axis, &[&foreign[0]]), Reason::SealForeign);
    for (name, bytes, reason) in
        [("garbage", b"garbage".to_vec(), Reason::StatementMalformed), ("large", vec![b' '; 60_001], Reason::StatementTooLarge)]
    {
        let path = axis.path(name);
        std::fs::write(&path, bytes).unwrap();
        refused(&append(&axis, &[&path]), reason);
    }
    let parsed = |path: &Path| serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap();
    let mut altered = parsed(&one("this", before, "H53.77,,H53,"));
    altered["signatures"] = parsed(&one("that", before, "H53.78,,H53,"))["signatures"].clone();
    let path = axis.path("altered.json");
    std::fs::write(&path, altered.to_string()).unwrap();
    refused(&append(&axis, &[&path]), Reason::SealInvalid);
    assert_eq!(version(&sender).await, before);
    // The first of two counts although the second is refused; the same call again goes on where it stopped.
    let (first, second) = (one("ok", before, "H53.77,,H53,"), one("not", before + 1, "H99.1,,H99,"));
    refused(&append(&axis, &[&first, &second]), Reason::RegistryContradiction);
    knows(&sender, before + 1).await;
    passes(&sender, &province, "after all", "H53.77").await;
}
