/** The two ways a command is carried out, with the same words and the same output. Floor 9. */
import type { RoutedName } from '../http/routes.ts';
import type { AddedPackage } from '../operations/packages.ts';
import type { InputOf, OutputOf } from '../operations/table.ts';

/** Where an upload goes; no component means the suite's first. */
export interface UploadPlace {
  suite: string;
  component: string | undefined;
  /** A .changes for another suite is meant for this one. */
  anyDistribution: boolean;
}

/** Told how many bytes more are on their way. */
export type Progress = (bytes: number) => void;

export interface Performer {
  /** Whether a server carries it out, and not this process on the directory itself. */
  readonly isServer: boolean;
  perform<Name extends RoutedName>(name: Name, input: InputOf<Name>): Promise<OutputOf<Name>>;
  /**
   * Hands over files that are taken whole or not at all; `created` is false where exactly these
   * bytes were there before.
   */
  upload(
    files: readonly string[],
    place: UploadPlace,
    progress: Progress,
  ): Promise<{ packages: AddedPackage[]; created: boolean }>;
  close(): Promise<void>;
}
