"""Sends a PDF, or an edXML file, through an edge and follows it: send.py --help."""

import argparse
import mimetypes
import sys

import grpc

import truc_dms as truc
from truc_dms import api, docs


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edge", default="127.0.0.1:7522", help="host:port of the edge")
    parser.add_argument("--token-file", help="the token of this DMS, if the edge wants one")
    parser.add_argument("--authority", help="PEM file of the authority of the edge's certificate; without it the line is plain text")
    parser.add_argument("--reference", required=True, help="your own unique key of this document; the same again sends nothing twice")
    parser.add_argument("--to", help="codes of the recipients with commas between them")
    parser.add_argument("--number", default="4127")
    parser.add_argument("--notation", default="BTC-NSNN")
    parser.add_argument("--subject", default="Về việc thử liên thông")
    parser.add_argument("--edxml", action="store_true", help="the one file is an edXML file: it says everything else itself")
    parser.add_argument("--until", choices=["stored", "fetched", "answered"], default="stored", help="return when every recipient is so far")
    parser.add_argument("--patience", type=float, default=60, metavar="SECONDS", help="how long to try an edge that does not answer, and to wait for --until")
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()

    truc.patience_seconds = options.patience
    stub = truc.connect(options.edge, options.token_file, options.authority)
    if options.edxml:
        message_id, warnings = truc.send_edxml(stub, options.reference, options.files[0])
        for warning in warnings:
            print(f"line {warning.line} {warning.path}: {warning.rule}, found {warning.found!r}", file=sys.stderr)
    else:
        document = docs.Document(
            recipients=options.to.split(","),
            number=options.number,
            notation=options.notation,
            subject=options.subject,
            type=docs.DocumentType(name="Công văn"),
            urgency=docs.URGENCY_NORMAL,
            # Only a person or a rule of your own can know this. Never fill it in blindly: state secrets must not travel here.
            secrecy=docs.SECRECY_NONE,
            attachments=[
                truc.attachment(path, mimetypes.guess_type(path)[0] or "application/octet-stream") for path in options.files
            ],
        )
        message_id = truc.send(stub, options.reference, document, options.files)
    print(message_id, flush=True)

    reached = {"stored": 0, "fetched": docs.STEP_FETCHED, "answered": docs.STEP_ACKNOWLEDGED}[options.until]
    if reached:
        status = None
        try:
            for answer in stub.WatchStatus(api.WatchStatusRequest(message_id=message_id), timeout=options.patience):
                status = answer.status
                if status.stage == docs.STAGE_REFUSED_BY_AXIS:
                    sys.exit(f"{status.refusal_reason}: {status.refusal_message}")
                if status.recipients and all(recipient.step >= reached for recipient in status.recipients):
                    break
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.DEADLINE_EXCEEDED:
                raise truc.Refused(error) from error
            late = [recipient.recipient for recipient in status.recipients if recipient.step < reached] if status else []
            sys.exit(f"after {options.patience:.0f} s still waiting for {', '.join(late) or 'the axis'}; the edge goes on by itself")
        for recipient in status.recipients:
            print(recipient.recipient, docs.Step.Name(recipient.step), recipient.at, recipient.arrival_number or recipient.reason_text)


if __name__ == "__main__":
    try:
        main()
    except (truc.Refused, truc.Away) as failed:
        sys.exit(str(failed))
