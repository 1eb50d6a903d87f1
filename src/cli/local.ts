/** Operations on the data directory itself, where no server runs on it. Floor 9. */
import { openParts } from '../compose.ts';
import type { Config } from '../config.ts';
import { discardFiles, receiveFile } from '../http/receive.ts';
import { createLocalActor } from '../http/socket.ts';
import { createLogger } from '../log.ts';
import { perform } from '../operations/perform.ts';
import type { ReceivedFile } from '../repository/ingest-request.ts';
import type { Performer } from './performer.ts';
import { openUpload } from './upload-file.ts';

/** Opens and locks the directory until `close`. */
export async function openLocally(config: Config): Promise<Performer> {
  const parts = await openParts(config, createLogger('warn'));
  const actor = createLocalActor();
  return {
    isServer: false,
    perform: (name, input) => perform(parts, actor, name, input),
    async upload(paths, { suite, component, anyDistribution }, progress) {
      const files: ReceivedFile[] = [];
      try {
        for (const path of paths) files.push(await receiveFile(parts, openUpload(path, progress)));
        const place = { suite, anyDistribution, ...(component === undefined ? {} : { component }) };
        return await perform(parts, actor, 'package.add', { files, ...place });
      } finally {
        await discardFiles(files);
      }
    },
    close: () => parts.close(),
  };
}
