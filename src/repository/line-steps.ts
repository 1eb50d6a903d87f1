/**
 * A change of an index in lines, for patches: what is taken out at its place, what is added behind
 * the end. The lines of members are counted when they are made, so that nothing else is read.
 * Floor 3.
 */
import { countLines, HunkWriter, type LineEdit } from '../deb/line-edit.ts';
import type { Member, Segment, Unit } from './segments.ts';

/** A member some entries of which are taken out. */
export interface Cut {
  units: readonly Unit[];
  staying: ReadonlySet<Unit>;
}

/** @param cuts of the index as it was before, whose `segments` these are. */
export function describeStep(
  segments: readonly Segment[],
  cuts: ReadonlyMap<Member, Cut>,
  added: readonly Unit[],
): LineEdit {
  const writer = new HunkWriter();
  for (const member of segments.flatMap(({ members }) => members)) {
    const cut = cuts.get(member);
    if (!cut) writer.keep(member.lines);
    for (const unit of cut?.units ?? []) {
      const lines = countLines(unit.bytes);
      if (cut?.staying.has(unit)) writer.keep(lines);
      else writer.drop(lines);
    }
  }
  for (const { bytes } of added) writer.add(bytes);
  return writer.finish();
}
