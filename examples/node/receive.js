// Takes the documents that arrived at an edge, stores their files and registers them: node receive.js [--count N] [--into DIR]

import { parseArgs } from 'node:util';
import * as truc from './truc-dms.js';

const { values: options } = parseArgs({
  options: {
    edge: { type: 'string', default: '127.0.0.1:7512' },
    'token-file': { type: 'string' },
    authority: { type: 'string' },
    into: { type: 'string', default: 'arrived' },
    count: { type: 'string' },
  },
});

const client = truc.connect(options.edge, { tokenFile: options['token-file'], authority: options.authority });
try {
  let taken = 0;
  for await (const { cursor, document: received, paths } of truc.receive(client, options.into, { wait: options.count !== undefined })) {
    const { document } = received;
    console.log(`${received.messageId} ${document.sender} -> ${received.recipient} ${document.number}/${document.notation} ${document.subject}`);
    document.attachments.forEach(({ name, size }, index) => console.log(`  ${paths[index]}  ${size} bytes  ${name}`));
    taken += 1;
    // Here a DMS writes its registry book; the arrival number is what the book gives. A clerk may refuse instead: truc.refuse(…).
    await truc.acknowledge(client, received.messageId, received.recipient, String(taken));
    await truc.confirm(client, cursor);
    if (taken === Number(options.count)) break;
  }
} catch (error) {
  console.error(error instanceof truc.Refused ? error.message : error);
  process.exitCode = 1;
} finally {
  client.close();
}
