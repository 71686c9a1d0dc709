// A small client of a Trục edge, as a document-management system would have it inside: send, receive, answer, follow. The protos are loaded as they
// are; there is nothing to generate. It keeps no state of its own; send.js and receive.js show how a DMS does.

import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync, mkdirSync, readFileSync, renameSync, statSync, unlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

const CHUNK_BYTES = 256 * 1024;
const PAUSE_MILLIS_MAX = 60_000;
const PASSING = [grpc.status.UNAVAILABLE, grpc.status.RESOURCE_EXHAUSTED, grpc.status.DEADLINE_EXCEEDED];
// How long a call is repeated while nobody answers. A DMS that keeps its own queue says Infinity; a person at a terminal does not.
const PATIENCE_MILLIS = 60_000;
// A call that lasted longer than any attempt to connect had an edge before it broke: an upload, say. The patience begins anew.
const CONNECT_MILLIS_MAX = 30_000;
const PROTOS = process.env.TRUC_PROTOS ?? fileURLToPath(new URL('../../proto', import.meta.url));

const definition = protoLoader.loadSync('truc/edge/v1/document_service.proto', {
  includeDirs: [PROTOS],
  keepCase: false,
  longs: Number,
  enums: String,
  defaults: true,
  oneofs: true,
});
const { DocumentService } = grpc.loadPackageDefinition(definition).truc.edge.v1;

// google.rpc.Status and the details that an edge sends, as in google/rpc/status.proto and google/rpc/error_details.proto.
const rpc = protoLoader.fromJSON({
  nested: {
    Any: { fields: { typeUrl: { type: 'string', id: 1 }, value: { type: 'bytes', id: 2 } } },
    Status: {
      fields: { code: { type: 'int32', id: 1 }, message: { type: 'string', id: 2 }, details: { rule: 'repeated', type: 'Any', id: 3 } },
    },
    ErrorInfo: {
      fields: {
        reason: { type: 'string', id: 1 },
        domain: { type: 'string', id: 2 },
        metadata: { keyType: 'string', type: 'string', id: 3 },
      },
    },
    Service: { methods: { Of: { requestType: 'Status', responseType: 'ErrorInfo' } } },
  },
});

/** The edge said no, for good: the same call will be refused again. */
export class Refused extends Error {
  constructor(error) {
    const info = errorInfo(error);
    const advice = info?.metadata?.advice;
    super(`${info?.reason ?? grpc.status[error.code]}: ${error.details}${advice ? `\n  what to do: ${advice}` : ''}`);
    this.reason = info?.reason;
    this.values = info?.metadata ?? {};
  }
}

function errorInfo(error) {
  const [bytes] = error.metadata?.get('grpc-status-details-bin') ?? [];
  if (!bytes) return undefined;
  const status = rpc.Service.Of.requestDeserialize(bytes);
  const detail = (status.details ?? []).find(({ typeUrl }) => typeUrl.endsWith('/google.rpc.ErrorInfo'));
  return detail && rpc.Service.Of.responseDeserialize(detail.value);
}

/** Connects to an edge at `host:port`: in plain text on loopback, else with TLS and, if the edge wants one, a client certificate. */
export function connect(target, { tokenFile, authority, certificate, key } = {}) {
  const pem = (path) => (path ? readFileSync(path) : null);
  const credentials = authority
    ? grpc.credentials.createSsl(pem(authority), pem(key), pem(certificate))
    : grpc.credentials.createInsecure();
  const interceptors = [];
  if (tokenFile) {
    const header = `Bearer ${readFileSync(tokenFile, 'utf8').trim()}`;
    interceptors.push(
      (options, next) =>
        new grpc.InterceptingCall(next(options), {
          start(metadata, listener, start) {
            metadata.set('authorization', header);
            start(metadata, listener);
          },
        }),
    );
  }
  return new DocumentService(target, credentials, { interceptors, 'grpc.keepalive_time_ms': 60_000 });
}

/** One call with one answer. */
export function call(client, method, request) {
  return new Promise((resolve, reject) => client[method](request, (error, answer) => (error ? reject(error) : resolve(answer))));
}

/** Repeats work while the edge is away; every call of this interface may be repeated. */
async function untilAnswered(work) {
  let awaySince;
  for (let millis = 500; ; millis = Math.min(2 * millis, PAUSE_MILLIS_MAX)) {
    const begun = Date.now();
    try {
      return await work();
    } catch (error) {
      if (error.code === undefined) throw error;
      if (!PASSING.includes(error.code)) throw new Refused(error);
      const now = Date.now();
      if (awaySince === undefined || now - begun > CONNECT_MILLIS_MAX) awaySince = now;
      if (now + millis > awaySince + PATIENCE_MILLIS) throw new Refused(error);
      console.error(`the edge is away (${error.details}), trying again in ${millis} ms`);
      await pause(millis * (0.8 + 0.4 * Math.random()));
    }
  }
}

async function sha256(path) {
  const hash = createHash('sha256');
  for await (const data of createReadStream(path)) hash.update(data);
  return hash.digest('hex');
}

/** Describes a file; with its digest the edge notices when it changes while it is sent. */
export async function attachment(path, mediaType) {
  return { name: basename(path), mediaType, size: statSync(path).size, sha256: await sha256(path) };
}

/**
 * Hands a document in and returns its message id. After a cut it goes on where the edge says; after a crash call it again with the same reference and
 * document: the answer is the same message id, and the document goes out once.
 */
export function send(client, clientReference, document, paths) {
  return untilAnswered(async () => {
    const progress = await call(client, 'getSendProgress', { clientReference }).catch((error) => {
      if (error.code === grpc.status.NOT_FOUND) return {};
      throw error;
    });
    const resumeFrom = progress.bytesKept ?? 0;
    return new Promise((resolve, reject) => {
      const stream = client.sendDocument((error, answer) => (error ? reject(error) : resolve(answer.messageId)));
      stream.on('error', () => {}); // the callback has it
      stream.write({ header: { clientReference, document }, resumeFrom });
      write(stream, paths, resumeFrom).catch((error) => {
        stream.cancel();
        reject(error);
      });
    });
  });
}

async function write(stream, paths, skip) {
  for (const path of paths) {
    const start = Math.min(skip, statSync(path).size);
    skip -= start;
    for await (const data of createReadStream(path, { start, highWaterMark: CHUNK_BYTES })) {
      if (stream.destroyed) return;
      if (!stream.write({ data })) await new Promise((resolve) => stream.once('drain', resolve).once('close', resolve));
    }
  }
  stream.end();
}

/**
 * Yields { cursor, document, paths } for each document that arrived, its files already stored under `folder`. Call `confirm` once your own record of it is
 * stored as well: until then it comes again after a restart, and (messageId, recipient) recognises it. Without `wait` it ends when nothing is left.
 */
export async function* receive(client, folder, { wait = false } = {}) {
  for (;;) {
    const arrivals = client.receiveDocuments({ noWait: !wait });
    try {
      for await (const { cursor, document } of arrivals) {
        yield { cursor, document, paths: await store(client, document, folder) };
      }
      return;
    } catch (error) {
      if (error.code === undefined) throw error;
      if (error.code !== grpc.status.UNAVAILABLE) throw new Refused(error);
      await pause(1000);
    } finally {
      // Who stops reading early must say so, or the call stays open.
      arrivals.on('error', () => {}).cancel();
    }
  }
}

/** Downloads the files of a document to `folder/message-id.recipient/NN`, never under names that the sender chose. Continues a part that is there. */
async function store(client, received, folder) {
  const target = join(folder, `${received.messageId}.${received.recipient}`);
  mkdirSync(target, { recursive: true });
  const paths = [];
  for (const [index, described] of received.document.attachments.entries()) {
    const path = join(target, String(index).padStart(2, '0'));
    if (!existsSync(path)) {
      const part = `${path}.part`;
      await untilAnswered(async () => {
        const offset = existsSync(part) ? statSync(part).size : 0;
        const pieces = client.downloadAttachment({ messageId: received.messageId, index, offset });
        const bytes = async function* () {
          for await (const { data } of pieces) yield data;
        };
        await pipeline(bytes(), createWriteStream(part, { flags: 'a', flush: true }));
      });
      const found = await sha256(part);
      if (found !== described.sha256) {
        unlinkSync(part);
        throw new Error(`attachment ${index} of ${received.messageId} has digest ${found}, the document says ${described.sha256}`);
      }
      renameSync(part, path);
    }
    paths.push(path);
  }
  return paths;
}

/** Tells the edge that everything up to the cursor is stored here. */
export const confirm = (client, cursor) => untilAnswered(() => call(client, 'confirmDocuments', { cursor }));

/** Status 03: the agency has registered the document. */
export const acknowledge = (client, messageId, recipient, arrivalNumber = '') =>
  untilAnswered(() => call(client, 'acknowledge', { messageId, recipient, arrivalNumber }));

/** Status 02: the agency returns the document, with a reason. */
export const refuse = (client, messageId, recipient, reasonCode, reasonText) =>
  untilAnswered(() => call(client, 'refuse', { messageId, recipient, reasonCode, reasonText }));
