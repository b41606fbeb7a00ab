/** What a server that wants `DATADIR` and the one that holds it tell each other. Releases of either kind meet: nothing here is ever renamed. */

/** Numbers of formats in `DATADIR`, by name: what a release writes, and the newest that it reads. */
export type Formats = Readonly<Record<string, number>>;

export interface HandOverRequest {
  /** Made anew by each process: who asks again is known by it. */
  readonly id: string;
  /** For people: on which host which process. */
  readonly name: string;
  /** The pod it is, which outlives its containers; empty outside Kubernetes. */
  readonly pod: string;
  readonly version: string;
  readonly formats: Formats;
  /**
   * Whether it has seen that it would get the directory. Nothing is given up before: a holder that stood still for a while finds questions of processes that
   * are long gone.
   */
  readonly confirmed: boolean;
}

/** Why a holder keeps what it has. */
export type Refusal =
  /** It never hands over: its `p2p_datadir_wait` is 0. */
  | 'off'
  /** The directory has a format that the other could not read. */
  | 'format'
  /** Not to this one: it handed the directory to the holder, or took it before and did not keep it. */
  | 'not to you'
  /** It is handing over to another, or stops. */
  | 'busy';

export type HandOverAnswer =
  /** To be confirmed, where the request was not. */
  | { readonly granted: true; readonly name: string; readonly pod: string; readonly version: string }
  | { readonly granted: false; readonly refusal: Refusal; readonly message: string };
