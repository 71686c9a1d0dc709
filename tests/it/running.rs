//! How a daemon lives: what it tells its service manager, what a reload takes over, what its port describes, and what happens without descriptors.

use std::net::TcpStream;
use std::path::Path;

use prost::Message as _;
use tonic::transport::{Channel, Endpoint};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
use tonic_reflection::pb::v1alpha;
use truc_proto::edge::v1 as pb;
use truc_proto::edge::v1::Stage;
use truc_signing::keyfile;
use truc_tests::axis::Axis;
use truc_tests::daemon::Daemon;
use truc_tests::dms::{Letter, PATIENCE};
use truc_tests::manager::Manager;
use truc_tests::tools::{PASSWORD, program, truc_ok};
use truc_transport::tls::{TlsFiles, client};

use crate::dms_refusals::{asked, certificate};

/// Changes a settings file and lets the daemon read it again; what it says afterwards.
fn reload(daemon: &Daemon, manager: &Manager, file: &Path, change: impl FnOnce(String) -> String) -> String {
    let before = daemon.log().len();
    std::fs::write(file, change(std::fs::read_to_string(file).unwrap())).unwrap();
    daemon.signal("HUP");
    manager.wait_for("RELOADING=1");
    let said = manager.wait_for("READY=1");
    format!("{said}\n{}", &daemon.log()[before..])
}

#[test]
fn the_manager_hears_ready_alive_and_stopping() {
    let axis = Axis::new();
    for (mut command, name) in [(axis.broker_command(), "broker"), (axis.edge_command(&axis.edge_folder("G22")), "edge")] {
        let manager = Manager::new(&axis.path(&format!("notify-{name}")));
        manager.manage(&mut command, Some(400));
        let daemon = Daemon::start(command, &axis.path(&format!("{name}.log")));
        let ready = manager.wait_for("READY=1");
        assert!(ready.contains("STATUS=serving") && ready.contains(&daemon.address().to_string()), "{ready}");
        for _ in 0..3 {
            manager.wait_for("WATCHDOG=1");
        }
        daemon.signal("TERM");
        manager.wait_for("STOPPING=1");
        assert!(daemon.wait().success());
    }
}

#[test]
fn a_reload_changes_the_level_names_what_needs_a_restart_and_keeps_everything_on_a_mistake() {
    let axis = Axis::new();
    let manager = Manager::new(&axis.path("notify"));
    let folder = axis.edge_folder("G22");
    let file = folder.join("edge.toml");
    let mut command = axis.edge_command(&folder);
    manager.manage(&mut command, None);
    command.env_remove("TRUC_LOG");
    let daemon = Daemon::start(command, &axis.path("edge.log"));
    manager.wait_for("READY=1");

    reload(&daemon, &manager, &file, |text| text.replace("# level = \"info\"", "level = \"error\""));
    // What the start still had to say came before that.
    let said = reload(&daemon, &manager, &file, |text| text + "\n");
    assert!(said.contains("STATUS=serving") && !said.contains(" INFO "), "from now on only errors are logged: {said}");
    let said = reload(&daemon, &manager, &file, |text| {
        text.replace("level = \"error\"", "level = \"debug\"").replace("# reflection = true", "reflection = false")
    });
    assert!(said.contains("reloaded settings=\"log.level\""), "{said}");
    assert!(said.contains("changed settings need a restart settings=\"reflection\""), "{said}");
    let said = reload(&daemon, &manager, &file, |text| text.replace("level = \"debug\"", "level = \"error\"\nlevle = 1"));
    assert!(said.contains("there is no such setting; did you mean log.level?") && said.contains("nothing was reloaded"), "{said}");
    assert!(said.contains("STATUS=serving with the old settings"), "{said}");
    // The level of the broken file was not taken either: this one is heard.
    let said = reload(&daemon, &manager, &file, |text| text.replace("levle = 1", ""));
    assert!(!said.contains(" INFO "), "the level is taken before the line is written: {said}");
    std::fs::write(folder.join("keys/tls.key.pem"), "no key").unwrap();
    let said = reload(&daemon, &manager, &file, |text| text);
    assert!(said.contains("nothing was reloaded") && said.contains("TLS key"), "{said}");
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_that_a_dms_sees_is_renewed_without_a_restart_and_a_new_seal_is_named() {
    let axis = Axis::new();
    let manager = Manager::new(&axis.path("notify"));
    let (folder, scratch) = (axis.edge_folder("G22"), axis.path(""));
    let (shown, key) = certificate(&scratch, "shown", None);
    let (renewed, renewed_key) = certificate(&scratch, "renewed", None);
    let old = axis.path("old.pem");
    std::fs::copy(&shown, &old).unwrap();
    let mut command = axis.edge_command(&folder);
    command.arg("--dms-tls-cert").arg(&shown).arg("--dms-tls-key").arg(&key);
    manager.manage(&mut command, None);
    command.env_remove("TRUC_LOG");
    let daemon = Daemon::start(command, &axis.path("edge.log"));
    manager.wait_for("READY=1");
    let url = format!("https://localhost:{}", daemon.address().port());
    assert_eq!(asked(&url, &old, None).await.as_deref(), Ok("G22"));

    std::fs::copy(&renewed, &shown).unwrap();
    std::fs::copy(&renewed_key, &key).unwrap();
    std::fs::copy(axis.path("pki/agencies/H53/seal.cert.pem"), folder.join("keys/seal.cert.pem")).unwrap();
    let said = reload(&daemon, &manager, &folder.join("edge.toml"), |text| text);
    assert!(said.contains("TLS certificates, DMS certificates"), "{said}");
    assert!(said.contains("changed files need a restart files=\"keys/seal.cert.pem\""), "{said}");
    assert_eq!(asked(&url, &renewed, None).await.as_deref(), Ok("G22"));
    let refused = asked(&url, &old, None).await;
    assert!(refused.is_err(), "the certificate of before is still shown: {refused:?}");
    assert!(daemon.terminate().success());
}

/// A connection to the broker with the certificates of an agency in a PKI folder.
async fn connect(axis: &Axis, pki: &Path, agency: &str) -> Result<Channel, tonic::transport::Error> {
    let read = |name: &str| std::fs::read_to_string(pki.join(name)).unwrap();
    let key = keyfile::read_encrypted(&read(&format!("agencies/{agency}/tls.key.pem")), PASSWORD.as_bytes()).unwrap();
    let files = TlsFiles {
        certificate_pem: read(&format!("agencies/{agency}/tls.cert.pem")),
        key_pem: keyfile::write_plain(&key).unwrap(),
        authority_pem: read("ca.pem"),
    };
    let address = axis.broker().unwrap().address();
    Endpoint::from_shared(format!("https://{address}")).unwrap().tls_config(client(&files)).unwrap().connect().await
}

async fn ask(channel: &Channel, request: MessageRequest) -> ServerReflectionResponse {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
    let mut answers =
        ServerReflectionClient::new(channel.clone()).server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
    answers.message().await.unwrap().unwrap()
}

/// The services of a port with the methods of each, as reflection tells them.
async fn services(channel: &Channel) -> Vec<(String, Vec<String>)> {
    let Some(MessageResponse::ListServicesResponse(list)) =
        ask(channel, MessageRequest::ListServices(String::new())).await.message_response
    else {
        panic!("no list of services")
    };
    let mut found = Vec::new();
    for service in list.service {
        let answer = ask(channel, MessageRequest::FileContainingSymbol(service.name.clone())).await;
        let Some(MessageResponse::FileDescriptorResponse(files)) = answer.message_response else { panic!("no file of {}", service.name) };
        let files = files.file_descriptor_proto.iter().map(|file| prost_types::FileDescriptorProto::decode(file.as_slice()).unwrap());
        let methods = files.flat_map(|file| file.service).flat_map(|service| service.method).filter_map(|method| method.name).collect();
        found.push((service.name, methods));
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_describe_their_services_and_certificates_change_without_a_restart() {
    let mut axis = Axis::new();
    let manager = Manager::new(&axis.path("notify"));
    axis.start_edge("G22");
    let edge = Endpoint::from_shared(format!("http://{}", axis.edge_address("G22"))).unwrap().connect().await.unwrap();
    let described = services(&edge).await;
    let documents = described.iter().find(|(name, _)| name == "truc.edge.v1.DocumentService").unwrap();
    assert!(documents.1.contains(&"SendDocument".to_owned()) && documents.1.contains(&"GetEvidence".to_owned()), "{documents:?}");
    assert!(!described.iter().any(|(name, _)| name.starts_with("truc.broker.")), "a port describes its own services only");
    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1alpha::server_reflection_request::MessageRequest::ListServices(String::new())),
    };
    let mut older = v1alpha::server_reflection_client::ServerReflectionClient::new(edge);
    let older = older.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner().message().await.unwrap().unwrap();
    assert!(format!("{older:?}").contains("truc.edge.v1.DocumentService"));

    axis.start_broker_with(|command| manager.manage(command, None));
    manager.wait_for("READY=1");
    let first_pki = axis.path("pki");
    let first = connect(&axis, &first_pki, "G22").await.unwrap();
    let names: Vec<_> = services(&first).await.into_iter().map(|(name, _)| name).filter(|name| name.starts_with("truc.")).collect();
    let expected = ["BlobService", "DeliveryService", "DirectoryService", "LogService", "SubmitService"];
    assert_eq!(names, expected.map(|name| format!("truc.broker.v1.{name}")));

    // Another authority altogether: what was shown and trusted before cannot pass by accident.
    let second_pki = axis.path("second");
    truc_ok(&["pki", "init", second_pki.to_str().unwrap()]);
    truc_ok(&["pki", "issue", second_pki.to_str().unwrap(), "G22"]);
    assert!(connect(&axis, &second_pki, "G22").await.is_err());
    for (from, to) in [("broker.tls.cert.pem", "keys/tls.cert.pem"), ("broker.tls.key.pem", "keys/tls.key.pem"), ("ca.pem", "trust/ca.pem")]
    {
        std::fs::copy(second_pki.join(from), axis.path("broker").join(to)).unwrap();
    }
    let said = reload(axis.broker().unwrap(), &manager, &axis.path("broker").join("broker.toml"), |text| text);
    assert!(said.contains("TLS certificates"), "{said}");
    let second = connect(&axis, &second_pki, "G22").await.unwrap();
    assert_eq!(services(&second).await.len(), services(&first).await.len(), "what is open goes on as it began");
    assert!(connect(&axis, &first_pki, "G22").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_connections_takes_neither_documents_nor_the_processor() {
    let axis = Axis::new();
    // Both limits, or the edge would raise its own.
    let inner = axis.edge_command(&axis.edge_folder("G22"));
    let mut command = program("prlimit");
    command.arg("--nofile=96:96").arg(inner.get_program()).args(inner.get_args());
    let edge = Daemon::start(command, &axis.path("edge.log"));
    assert!(edge.log().contains("connections=48"), "{}", edge.log());
    let dms = truc_tests::dms::Dms::new(edge.address());
    let mut early = dms.client().await.unwrap();
    let unknown =
        pb::GetStatusRequest { document: Some(pb::get_status_request::Document::MessageId("01ARYZ6S41TSV4RRFFQ69G5FAV".to_owned())) };
    assert_eq!(early.get_status(unknown.clone()).await.unwrap_err().code(), tonic::Code::NotFound);
    let crowd: Vec<_> = (0..120).map(|_| TcpStream::connect(edge.address()).unwrap()).collect();
    // Documents need descriptors of their own.
    for number in 0..5 {
        let letter = Letter::new(&format!("crowded-{number}"), &["G12"]);
        early.send_document(letter.stream()).await.unwrap();
    }
    drop(crowd);
    let message_id = tokio::time::timeout(PATIENCE, dms.send(&Letter::new("after", &["G12"]))).await.unwrap().unwrap();
    assert_eq!(dms.status(&message_id).await.unwrap().stage(), Stage::Stored);

    // Now the system itself has none left: not even the next descriptor.
    let limit = |soft: usize| {
        let limited = program("prlimit").args([&format!("--pid={}", edge.pid()), &format!("--nofile={soft}:")]).status().unwrap();
        assert!(limited.success());
    };
    limit(3);
    let waiting = TcpStream::connect(edge.address()).unwrap();
    let begun = tokio::time::Instant::now();
    let refused = || edge.log().matches("no connection can be taken").count();
    while refused() < 3 {
        assert!(begun.elapsed() < PATIENCE, "{}", edge.log());
        assert_eq!(early.get_status(unknown.clone()).await.unwrap_err().code(), tonic::Code::NotFound);
    }
    // Pauses of 100, 200, 400, 800 ms and then a second: never more tries than that.
    let tries = u128::try_from(refused()).unwrap();
    assert!(tries <= 2 + begun.elapsed().as_millis() / 100, "{tries} tries in {:?}", begun.elapsed());
    limit(96);
    drop(waiting);
    tokio::time::timeout(PATIENCE, dms.send(&Letter::new("recovered", &["G12"]))).await.unwrap().unwrap();
    assert!(edge.terminate().success());
}
