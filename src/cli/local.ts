/** Operations on the data directory itself, where no server runs on it. Floor 9. */
import { openParts } from '../compose.ts';
import type { Config } from '../config.ts';
import { discardFiles, receiveFile } from '../http/receive.ts';
import { createLocalActor } from '../http/socket.ts';
import { createLogger } from '../log.ts';
import { perform } from '../operations/perform.ts';
import type { Performer } from './performer.ts';
import { openUpload } from './upload-file.ts';

/** Opens and locks the directory until `close`. */
export async function openLocally(config: Config): Promise<Performer> {
  const parts = await openParts(config, createLogger('warn'));
  const actor = createLocalActor();
  return {
    isServer: false,
    perform: (name, input) => perform(parts, actor, name, input),
    async upload(path, { suite, component }, progress) {
      const file = await receiveFile(parts, openUpload(path, progress));
      try {
        const input = { files: [file], suite, ...(component === undefined ? {} : { component }) };
        const { packages, created } = await perform(parts, actor, 'package.add', input);
        const [added] = packages;
        if (!added) throw new Error('package.add answered without a package');
        return { added, created };
      } finally {
        await discardFiles([file]);
      }
    },
    close: () => parts.close(),
  };
}
