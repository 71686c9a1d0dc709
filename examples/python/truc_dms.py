"""A small client of a Trục edge, as a document-management system would have it inside: send, receive, answer, follow.

Everything a real client has to get right is here and nothing else: one reference per document, resuming after a cut, checking digests, confirming
only what is stored, and reading the reason of a refusal. It keeps no state of its own; `send.py` and `receive.py` show how a DMS does.
"""

import hashlib
import os
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, os.environ.get("TRUC_STUBS", str(Path(__file__).parent / "generated")))

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from truc.edge.v1 import document_pb2 as docs
from truc.edge.v1 import document_service_pb2 as api
from truc.edge.v1.document_service_pb2_grpc import DocumentServiceStub

CHUNK_BYTES = 256 * 1024
PAUSE_SECONDS_MAX = 60
# A call that lasted longer than any attempt to connect had an edge before it broke: an upload, say. The patience begins anew.
CONNECT_SECONDS_MAX = 30

# How long a call is repeated while nobody answers. A DMS that keeps its own queue sets None and goes on for ever; a person at a terminal does not.
patience_seconds = 60


class Away(Exception):
    """Nobody answered in time. Nothing is lost or sent twice: call again with the same reference."""

    def __init__(self, error):
        super().__init__(
            f"no edge answered within {patience_seconds:.0f} s: {error.details()}\n"
            "  what to do: see whether the edge runs and --edge is the address that it printed (an edge with TLS wants --authority), then call again"
        )


class Refused(Exception):
    """The edge said no, for good: the same call will be refused again."""

    def __init__(self, error):
        self.reason, self.values, self.fields = error.code().name, {}, []
        status = rpc_status.from_call(error)
        for detail in status.details if status else []:
            info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            if detail.Unpack(info):
                self.reason, self.values = info.reason, dict(info.metadata)
            elif detail.Unpack(request):
                self.fields = [(violation.field, violation.description) for violation in request.field_violations]
        lines = [f"{self.reason}: {error.details()}"]
        lines += [f"  {field}: {description}" for field, description in self.fields]
        if "advice" in self.values:
            lines.append(f"  what to do: {self.values['advice']}")
        super().__init__("\n".join(lines))


class _Token(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor, grpc.StreamUnaryClientInterceptor):
    """Adds the token of this DMS to every call."""

    def __init__(self, token):
        self._header = ("authorization", f"Bearer {token}")

    def _with_token(self, continuation, details, request):
        return continuation(details._replace(metadata=[*(details.metadata or []), self._header]), request)

    intercept_unary_unary = intercept_unary_stream = intercept_stream_unary = _with_token


def connect(target, token_file=None, authority=None, certificate=None, key=None):
    """Connects to an edge at `host:port`: in plain text on loopback, else with TLS and, if the edge wants one, a client certificate."""
    options = [("grpc.keepalive_time_ms", 60_000)]
    if authority:
        pem = [Path(path).read_bytes() if path else None for path in (authority, key, certificate)]
        channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(*pem), options)
    else:
        channel = grpc.insecure_channel(target, options)
    if token_file:
        channel = grpc.intercept_channel(channel, _Token(Path(token_file).read_text().strip()))
    return DocumentServiceStub(channel)


def _until_answered(call):
    """Repeats a call while the edge is away; every call of this interface may be repeated."""
    pause, away_since = 0.5, None
    while True:
        begun = time.monotonic()
        try:
            return call()
        except grpc.RpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise Refused(error) from error
            now = time.monotonic()
            if away_since is None or now - begun > CONNECT_SECONDS_MAX:
                pause, away_since = 0.5, now
            if patience_seconds is not None and now + pause > away_since + patience_seconds:
                raise Away(error) from error
            print(f"the edge is away ({error.details()}), trying again in {pause:.1f} s; Ctrl-C ends it", file=sys.stderr)
            time.sleep(pause * random.uniform(0.8, 1.2))
            pause = min(2 * pause, PAUSE_SECONDS_MAX)


def attachment(path, media_type):
    """Describes a file; with its digest the edge notices when it changes while it is sent."""
    path = Path(path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return docs.Attachment(name=path.name, media_type=media_type, size=path.stat().st_size, sha256=digest)


def send(stub, reference, document, paths):
    """Hands a document in and returns its message id. After a cut it goes on where the edge says; after a crash call it again with the same
    reference and document: the answer is the same message id, and the document goes out once."""
    header = api.DocumentHeader(client_reference=reference, document=document)

    def requests(skip):
        yield api.SendDocumentRequest(header=header, resume_from=skip)
        for path in map(Path, paths):
            size = path.stat().st_size
            with path.open("rb") as file:
                file.seek(min(skip, size))
                skip -= file.tell()
                while data := file.read(CHUNK_BYTES):
                    yield api.SendDocumentRequest(data=data)

    def once():
        try:
            progress = stub.GetSendProgress(api.GetSendProgressRequest(client_reference=reference))
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.NOT_FOUND:
                raise
            progress = api.GetSendProgressResponse()
        return stub.SendDocument(requests(progress.bytes_kept)).message_id

    return _until_answered(once)


def send_edxml(stub, reference, path):
    """Hands a national edXML file in and returns its message id and what the edge tolerated in the file."""

    def requests():
        yield api.SendEdxmlRequest(header=api.EdxmlHeader(client_reference=reference, secrecy=docs.SECRECY_NONE))
        with Path(path).open("rb") as file:
            while data := file.read(CHUNK_BYTES):
                yield api.SendEdxmlRequest(data=data)

    answer = _until_answered(lambda: stub.SendEdxml(requests()))
    return answer.message_id, answer.warnings


def receive(stub, folder, wait=False):
    """Yields (cursor, document, paths) for each document that arrived, its files already stored under `folder`. Call `confirm` once your own
    record of it is stored as well: until then it comes again after a restart, and (message_id, recipient) recognises it. Without `wait` it ends
    when nothing is left."""
    begun = time.monotonic()
    while True:
        try:
            for arrived in stub.ReceiveDocuments(api.ReceiveDocumentsRequest(no_wait=not wait)):
                begun = time.monotonic()
                yield arrived.cursor, arrived.document, store(stub, arrived.document, folder)
            return
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise Refused(error) from error
            # Who waits for documents waits for the edge, too.
            if not wait and patience_seconds is not None and time.monotonic() > begun + patience_seconds:
                raise Away(error) from error
            time.sleep(1)


def confirm(stub, cursor):
    """Tells the edge that everything up to the cursor is stored here."""
    _until_answered(lambda: stub.ConfirmDocuments(api.ConfirmDocumentsRequest(cursor=cursor)))


def store(stub, received, folder):
    """Downloads the files of a document to `folder/message-id.recipient/NN`, never under names that the sender chose. A part that is there
    already is continued. Returns the paths in the order of the attachments."""
    target = Path(folder) / f"{received.message_id}.{received.recipient}"
    target.mkdir(parents=True, exist_ok=True)
    paths = []
    for index, described in enumerate(received.document.attachments):
        path, part = target / f"{index:02}", target / f"{index:02}.part"
        if not path.exists():
            _until_answered(lambda: _download(stub, received.message_id, index, described, part))
            part.rename(path)
        paths.append(path)
    return paths


def _download(stub, message_id, index, described, part):
    offset = part.stat().st_size if part.exists() else 0
    request = api.DownloadAttachmentRequest(message_id=message_id, index=index, offset=offset)
    with part.open("ab") as file:
        for piece in stub.DownloadAttachment(request):
            file.write(piece.data)
        file.flush()
        os.fsync(file.fileno())
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != described.sha256:
        part.unlink()
        raise RuntimeError(f"attachment {index} of {message_id} has digest {found}, the document says {described.sha256}")


def acknowledge(stub, message_id, recipient, arrival_number=""):
    """Status 03: the agency has registered the document."""
    _until_answered(
        lambda: stub.Acknowledge(api.AcknowledgeRequest(message_id=message_id, recipient=recipient, arrival_number=arrival_number))
    )


def refuse(stub, message_id, recipient, reason_code, reason_text):
    """Status 02: the agency returns the document, with a reason."""
    _until_answered(
        lambda: stub.Refuse(
            api.RefuseRequest(message_id=message_id, recipient=recipient, reason_code=reason_code, reason_text=reason_text)
        )
    )


def events(stub, after_cursor=0, wait=False):
    """Yields (cursor, event) for everything that happened to any document. Store the cursor with what you made of the events before it."""
    while True:
        try:
            for answer in stub.WatchEvents(api.WatchEventsRequest(after_cursor=after_cursor, no_wait=not wait)):
                for event in answer.events:
                    yield answer.cursor, event
                after_cursor = answer.cursor
            return
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise Refused(error) from error
            # Who waits for documents waits for the edge, too.
            if not wait and patience_seconds is not None and time.monotonic() > begun + patience_seconds:
                raise Away(error) from error
            time.sleep(1)
