/**
 * What a fuzzing thread tells without being asked, in memory that it shares with the main one: an
 * endless loop or a full heap cannot stop it from being read.
 */
const HEADER_WORDS = 4;
const [EXECUTIONS, CORPUS, FINDINGS, INPUT_BYTES] = [0, 1, 2, 3];

export class SharedState {
  private readonly words: Int32Array;
  private readonly bytes: Uint8Array;

  constructor(readonly buffer: SharedArrayBuffer) {
    this.words = new Int32Array(buffer, 0, HEADER_WORDS);
    this.bytes = new Uint8Array(buffer, HEADER_WORDS * 4);
  }

  static forInputs(bytesMax: number): SharedState {
    return new SharedState(new SharedArrayBuffer(HEADER_WORDS * 4 + bytesMax));
  }

  tell(executions: number, corpus: number, findings: number): void {
    Atomics.store(this.words, EXECUTIONS, executions);
    Atomics.store(this.words, CORPUS, corpus);
    Atomics.store(this.words, FINDINGS, findings);
  }

  /** Before the input is run. */
  willRun(input: Uint8Array): void {
    this.bytes.set(input);
    Atomics.store(this.words, INPUT_BYTES, input.length);
  }

  get executions(): number {
    return Atomics.load(this.words, EXECUTIONS);
  }

  get corpus(): number {
    return Atomics.load(this.words, CORPUS);
  }

  get findings(): number {
    return Atomics.load(this.words, FINDINGS);
  }

  /** The input that runs, or was the last to. */
  input(): Uint8Array {
    return this.bytes.slice(0, Atomics.load(this.words, INPUT_BYTES));
  }
}
