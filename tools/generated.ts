/**
 * What a generator gives: the seam between `gen.ts` and the `gen_*.ts` modules.
 *
 * @module
 */

/** A file that is written by a tool and committed. */
export interface GeneratedFile {
  /** Path from the root of the repository, with `/`. */
  readonly path: string;
  /** The whole content, ending with a newline. */
  readonly text: string;
}

/** What each `tools/gen_*.ts` exports; it must give the same on every machine, without a network. */
export interface Generator {
  /** Makes the file, or the files. */
  generate(): Promise<GeneratedFile | readonly GeneratedFile[]>;
}
