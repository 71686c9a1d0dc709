//! Clients that are not ours: the examples in Python and Node.js against running edges, and a client that knows no proto but what reflection tells.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use truc_tests::axis::Axis;
use truc_tests::tools::{node_modules, program, python, root};

/// An attachment that takes several pieces on the wire.
fn letter(axis: &Axis, name: &str, bytes: usize) -> PathBuf {
    let path = axis.path(name);
    let text = (0..).map(|line| format!("% {name} {line}\n")).flat_map(String::into_bytes).take(bytes);
    std::fs::write(&path, text.collect::<Vec<_>>()).unwrap();
    path
}

fn said(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "it ended with {}: {error}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The Python client, its stubs made once from the protos as its README says.
struct Python {
    stubs: PathBuf,
}

impl Python {
    fn new(axis: &Axis) -> Self {
        let stubs = axis.path("stubs");
        let made = Command::new("sh").arg(root().join("examples/python/generate.sh")).arg(&stubs).env("PYTHON", python()).output().unwrap();
        said(&made);
        Self { stubs }
    }

    fn run(&self, script: &str, edge: &str, arguments: &[&str]) -> Output {
        let script = root().join("examples/python").join(script);
        let mut command = Command::new(python());
        command.arg(script).args(["--edge", edge]).args(arguments);
        command.env("TRUC_STUBS", &self.stubs).env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap()
    }
}

/// The Node.js client beside its packages.
struct Node {
    folder: PathBuf,
}

impl Node {
    fn new(axis: &Axis) -> Self {
        let folder = axis.path("node");
        std::fs::create_dir(&folder).unwrap();
        for file in ["package.json", "truc-dms.js", "send.js", "receive.js"] {
            std::fs::copy(root().join("examples/node").join(file), folder.join(file)).unwrap();
        }
        std::os::unix::fs::symlink(node_modules(), folder.join("node_modules")).unwrap();
        Self { folder }
    }

    fn run(&self, script: &str, edge: &str, arguments: &[&str]) -> Output {
        let mut command = program("node");
        command.arg(self.folder.join(script)).args(["--edge", edge]).args(arguments).env("TRUC_PROTOS", root().join("proto"));
        command.output().unwrap()
    }
}

/// The one file that a client stored.
fn stored(folder: &Path, message_id: &str, recipient: &str) -> Vec<u8> {
    std::fs::read(folder.join(format!("{message_id}.{recipient}")).join("00")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn python_and_node_clients_send_receive_and_register() {
    let axis = Axis::running();
    let (python, node) = (Python::new(&axis), Node::new(&axis));
    let edge = |agency: &str| axis.edge_address(agency).to_string();
    let file = letter(&axis, "cong-van.pdf", 700_000);
    let path = file.to_str().unwrap();
    let (python_inbox, node_inbox) = (axis.path("python-inbox"), axis.path("node-inbox"));

    // Python sends, Node.js receives.
    let send = ["--reference", "python-1", "--to", "G12", path];
    let message_id = said(&python.run("send.py", &edge("G22"), &send)).trim().to_owned();
    assert_eq!(said(&python.run("send.py", &edge("G22"), &send)).trim(), message_id, "the same reference is the same message");
    let taken = said(&node.run("receive.js", &edge("G12"), &["--count", "1", "--into", node_inbox.to_str().unwrap()]));
    assert!(taken.contains(&message_id) && taken.contains("Về việc thử liên thông"), "{taken}");
    assert_eq!(stored(&node_inbox, &message_id, "G12"), std::fs::read(&file).unwrap());
    // What Node.js confirmed and registered is seen on the other side, and does not come again.
    let answered = ["--reference", "python-1", "--to", "G12", "--until", "answered", path];
    let followed = said(&python.run("send.py", &edge("G22"), &answered));
    assert!(followed.contains("G12 STEP_ACKNOWLEDGED"), "{followed}");
    assert_eq!(said(&node.run("receive.js", &edge("G12"), &[])), "");

    // Node.js sends, Python receives.
    let message_id = said(&node.run("send.js", &edge("G12"), &["--reference", "node-1", "--to", "G22,H53", path])).trim().to_owned();
    let taken = said(&python.run("receive.py", &edge("H53"), &["--count", "1", "--into", python_inbox.to_str().unwrap()]));
    assert!(taken.contains(&message_id), "{taken}");
    assert_eq!(stored(&python_inbox, &message_id, "H53"), std::fs::read(&file).unwrap());

    // edXML, and what a refusal looks like from outside.
    let sample = root().join("testdata/edxml/sdk/edoc_new.edxml");
    let edxml = ["--edxml", "--reference", "python-2", "--until", "fetched", sample.to_str().unwrap()];
    let followed = said(&python.run("send.py", &edge("G22"), &edxml));
    assert!(followed.contains("28.22.H17 STEP_FETCHED"), "{followed}");
    for refused in [
        python.run("send.py", &edge("G22"), &["--reference", "python-1", "--to", "H53", path]),
        node.run("send.js", &edge("G12"), &["--reference", "node-1", "--to", "H53", path]),
    ] {
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains("REFERENCE_CONFLICT") && said.contains("what to do:"), "{said}");
    }
}

/// Lists the services and asks one, from reflection alone, as grpcurl does.
const REFLECT: &str = r#"
import sys, grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
channel = grpc.insecure_channel(sys.argv[1])
database = ProtoReflectionDescriptorDatabase(channel)
print(*sorted(database.get_services()))
method = DescriptorPool(database).FindServiceByName("truc.edge.v1.DocumentService").FindMethodByName("GetEdgeInfo")
call = channel.unary_unary(
    "/truc.edge.v1.DocumentService/GetEdgeInfo",
    request_serializer=lambda message: message.SerializeToString(),
    response_deserializer=GetMessageClass(method.output_type).FromString,
)
print(call(GetMessageClass(method.input_type)()).agency)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_protos_finds_its_way_by_reflection() {
    let mut axis = Axis::new();
    axis.start_edge("G22");
    let output = Command::new(python()).args(["-c", REFLECT]).arg(axis.edge_address("G22").to_string()).output().unwrap();
    let said = said(&output);
    let (services, agency) = said.trim().split_once('\n').unwrap();
    assert!(services.contains("truc.edge.v1.DocumentService") && services.contains("grpc.health.v1.Health"), "{services}");
    assert_eq!(agency, "G22");
}
