"""Takes the documents that arrived at an edge, stores their files and registers them: receive.py --help."""

import argparse
import sys

import truc_dms as truc


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edge", default="127.0.0.1:7512", help="host:port of the edge")
    parser.add_argument("--token-file", help="the token of this DMS, if the edge wants one")
    parser.add_argument("--authority", help="PEM file of the authority of the edge's certificate; without it the line is plain text")
    parser.add_argument("--into", default="arrived", help="folder for the files")
    parser.add_argument("--count", type=int, help="wait for so many documents; without it take what is there and end")
    options = parser.parse_args()

    stub = truc.connect(options.edge, options.token_file, options.authority)
    taken = 0
    for cursor, received, files in truc.receive(stub, options.into, wait=options.count is not None):
        document = received.document
        print(received.message_id, document.sender, "->", received.recipient, f"{document.number}/{document.notation}", document.subject)
        for described, path in zip(document.attachments, files):
            print(f"  {path}  {described.size} bytes  {described.name}")
        taken += 1
        # Here a DMS writes its registry book; the arrival number is what the book gives. A clerk may refuse instead: truc.refuse(...).
        truc.acknowledge(stub, received.message_id, received.recipient, str(taken))
        truc.confirm(stub, cursor)
        if taken == options.count:
            break


if __name__ == "__main__":
    try:
        main()
    except (truc.Refused, truc.Away) as failed:
        sys.exit(str(failed))
