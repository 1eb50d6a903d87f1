/** What the real apt notices of the server it asks. Wall time alone: nearly all of it is apt's own. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FIRST_NEW, makeSample } from '../publish/corpus.ts';
import { SUITE } from '../publish/peer.ts';
import type { BenchServer } from '../server.ts';
import { type Apt, copyApt, openApt } from './apt.ts';
import { compare, type Peer, type Row } from './rounds.ts';

const ROUNDS = 9;

interface Field {
  server: BenchServer;
  data: string;
  /** What nginx serves: an export. */
  tree: string;
  peers: readonly Peer[];
}

/** A publication with one more package, at both servers. */
function publishOne({ server, data, tree }: Field): void {
  const { bytes, file } = makeSample(FIRST_NEW);
  const path = join(data, file);
  writeFileSync(path, bytes);
  server.run('upload', path, '--suite', SUITE);
  server.run('export', tree);
}

/** @param measure the peer that ratios are to. */
export async function compareApt(field: Field, measure: string): Promise<void> {
  const { data } = field;
  const [own, stock] = field.peers;
  if (!own || !stock) return;
  const roots = join(data, 'apt');
  mkdirSync(roots);
  const first = openApt(data, 'apt-host', join(roots, 'own'), SUITE);
  const copy = copyApt(join(roots, 'own'), join(roots, 'nginx'), [own.port, stock.port]);
  const again = copyApt(join(roots, 'own'), join(roots, 'control'), [own.port, stock.port]);
  const apts = new Map<string, Apt>([
    [own.name, first],
    [measure, copy],
    [`${measure}, control`, again],
  ]);
  const row = (what: string, run: (apt: Apt) => void, prepare?: (apt: Apt) => void): Row => {
    const of = ({ name }: Peer): Apt => apts.get(name) ?? first;
    return {
      ...{ what, count: 1, unit: 'runs', per: 1 },
      prepare: (peer) => prepare?.(of(peer)),
      run: async (peer) => run(of(peer)),
    };
  };
  const peers = [...apts.keys()].map((name): Peer => ({ ...own, name, cpu: () => 0 }));
  const update = (apt: Apt): void => apt.update();
  for (const apt of apts.values()) apt.update();
  await compare(peers, measure, [row('apt-get update, nothing new', update)], ROUNDS);
  for (const apt of apts.values()) apt.keep();
  publishOne(field);
  const rows = [
    row('apt-get update, one change', update, (apt) => apt.recall()),
    row('apt-get update, from nothing', update, (apt) => apt.forget()),
    row('apt-get install -d, 80 MB', (apt) => apt.download('of-eighty')),
  ];
  await compare(peers, measure, rows, ROUNDS);
}
