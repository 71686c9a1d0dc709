// Sends files through an edge: node send.js --reference R --to H53,G12 FILE…

import { parseArgs } from 'node:util';
import * as truc from './truc-dms.js';

const { values: options, positionals: files } = parseArgs({
  allowPositionals: true,
  options: {
    edge: { type: 'string', default: '127.0.0.1:7522' },
    'token-file': { type: 'string' },
    authority: { type: 'string' },
    reference: { type: 'string' },
    to: { type: 'string' },
    number: { type: 'string', default: '4127' },
    notation: { type: 'string', default: 'BTC-NSNN' },
    subject: { type: 'string', default: 'Về việc thử liên thông' },
  },
});
if (!options.reference || !options.to || files.length === 0) {
  console.error('usage: node send.js --reference R --to CODE,… [--edge HOST:PORT] [--token-file F] [--authority PEM] FILE…');
  process.exit(2);
}

const client = truc.connect(options.edge, { tokenFile: options['token-file'], authority: options.authority });
try {
  const document = {
    recipients: options.to.split(','),
    number: options.number,
    notation: options.notation,
    subject: options.subject,
    type: { name: 'Công văn' },
    urgency: 'URGENCY_NORMAL',
    // Only a person or a rule of your own can know this. Never fill it in blindly: state secrets must not travel here.
    secrecy: 'SECRECY_NONE',
    attachments: await Promise.all(
      files.map((path) => truc.attachment(path, path.endsWith('.pdf') ? 'application/pdf' : 'application/octet-stream')),
    ),
  };
  console.log(await truc.send(client, options.reference, document, files));
} catch (error) {
  console.error(error instanceof truc.Refused ? error.message : error);
  process.exitCode = 1;
} finally {
  client.close();
}
