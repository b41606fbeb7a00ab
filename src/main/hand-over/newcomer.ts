/**
 * A server at its start whose `DATADIR` another holds. It asks for it only when it could use it, since the other one serves nobody from then on; and who gives it says
 * so by the end of the connection, after which the lock is free. The lock alone decides: an answer is a courtesy, and process ids mean nothing across containers.
 */

import pTimeout from 'p-timeout';
import { raceSignal } from 'race-signal';
import { pause } from '../../shared/async/pause.js';
import { monotonic } from '../../shared/clock.js';
import { AbortedError, errorMessage } from '../../shared/errors.js';
import type { Logger } from '../../shared/logging/logger.js';
import { ControlConnection } from '../control/client.js';
import type { HandOverAnswer } from '../control/hand-over.js';
import { controlSocketPath } from '../control/protocol.js';
import { inUse } from '../data-directory/data-directory.js';
import { answerInFile, askByFile } from './files.js';
import { checkAnswer, shown, type Tenure } from './tenure.js';

const ANSWER_MS = 5_000;
/** Between two questions to one that does not hand over, or does not answer. */
const ASK_AGAIN_MS = 1_000;
/** The lock is tried so often, and for so long, after the holder has said that it is free. */
const TRY_MS = 25;
const TRYING_MS = 2_000;
/** One that has said that it hands over closes everything first, and would do so for nobody if it were not waited for: it has so long at least. */
const GRANTED_MS = 60_000;

export interface NewcomerComponents {
  readonly tenure: Tenure;
  readonly logger: Logger;
  /** Waits for whatever a start waits for besides the directory. Throws what a start would fail of. */
  readonly prepare: () => Promise<void>;
}

/** A holder that was told that the directory is wanted for certain. Its answer may be late, or never come, and it hands over all the same. */
interface Giver {
  readonly name: string;
  readonly pod: string;
  /** Until when (monotonic) it is waited for. */
  readonly until: number;
}

interface Grant {
  /** Undefined where it came by file: then only the lock tells. */
  readonly connection: ControlConnection | undefined;
  /** When (monotonic) the connection ended. */
  overAt: number | undefined;
}

export class Newcomer {
  readonly #components: NewcomerComponents;
  /** `DATADIR`, absolute. */
  readonly #path: string;
  readonly #signal: AbortSignal;
  #deadline: number | undefined;
  #grant: Grant | undefined;
  #giver: Giver | undefined;
  /** Why the directory is not ours yet. */
  #why = '';
  #asked = 0;

  constructor(components: NewcomerComponents, path: string, signal: AbortSignal) {
    this.#components = components;
    this.#path = path;
    this.#signal = signal;
  }

  /** The lock is held: resolves when to try it again. Throws ConfigurationError when it is not to be had, AbortedError with the signal. */
  async held(): Promise<void> {
    const { tenure, logger, prepare } = this.#components;
    if (tenure.waitMs === 0) throw inUse(this.#path);
    if (this.#deadline === undefined) {
      logger.info({ path: this.#path }, 'DATADIR is in use by another server');
      await prepare();
      this.#deadline = monotonic() + tenure.waitMs;
      logger.info({ path: this.#path }, 'asking the server that has DATADIR to hand it over');
    }
    for (;;) {
      if (this.#signal.aborted) throw new AbortedError('stopped while DATADIR was in use');
      if (monotonic() >= Math.max(this.#deadline, this.#giver?.until ?? 0)) throw this.#refusal();
      const grant = this.#grant;
      if (grant === undefined) {
        await this.#ask();
        if (this.#grant !== undefined) continue;
        await pause(ASK_AGAIN_MS, { signal: this.#signal });
        return;
      }
      if (grant.connection === undefined) {
        await pause(ASK_AGAIN_MS, { signal: this.#signal });
        return;
      }
      if (grant.overAt === undefined) {
        const { over } = grant.connection;
        await pTimeout(
          raceSignal(over, this.#signal).catch(() => {}),
          {
            milliseconds: ASK_AGAIN_MS,
            message: false,
          },
        );
        continue;
      }
      if (monotonic() - grant.overAt < TRYING_MS) {
        await pause(TRY_MS, { signal: this.#signal });
        return;
      }
      // Somebody else was quicker.
      this.#grant = undefined;
    }
  }

  /** The lock is ours, after all or at once. */
  end(): void {
    const { tenure, logger } = this.#components;
    this.#grant?.connection?.leave();
    if (this.#deadline === undefined) return;
    // One that was asked by file may have been quicker than the look at its answer.
    const inFile = answerInFile(this.#path, tenure.request);
    if (inFile?.granted) this.#gives(inFile);
    if (this.#giver === undefined) {
      logger.info('DATADIR is free');
      return;
    }
    tenure.took(this.#giver);
    logger.info({ by: shown(this.#giver.name) }, 'DATADIR was handed over to this server');
  }

  async #ask(): Promise<void> {
    const { tenure, logger } = this.#components;
    let connection: ControlConnection | undefined = new ControlConnection(controlSocketPath(this.#path));
    let answer: HandOverAnswer | undefined;
    try {
      answer = checkAnswer(
        await connection.ask('handOver', { ...tenure.request, confirmed: false }, ANSWER_MS),
      );
      if (answer.granted) {
        this.#gives(answer);
        answer = checkAnswer(
          await connection.ask('handOver', { ...tenure.request, confirmed: true }, ANSWER_MS),
        );
      }
    } catch (error) {
      connection.leave();
      connection = undefined;
      answer = askByFile(this.#path, { ...tenure.request, confirmed: true }, ++this.#asked);
      if (answer === undefined) {
        this.#unanswered(errorMessage(error));
        return;
      }
    }
    if (!answer.granted) {
      this.#giver = undefined;
      connection?.leave();
      const message = shown(answer.message);
      if (answer.refusal === 'off') throw inUse(this.#path);
      if (answer.refusal === 'format') throw inUse(this.#path, `: ${message}`);
      if (message !== this.#why) logger.info({ reason: message }, 'DATADIR is not handed over yet');
      this.#why = message;
      return;
    }
    this.#gives(answer);
    logger.info({ by: shown(answer.name), version: shown(answer.version) }, 'DATADIR is being handed over');
    this.#why = `${shown(answer.name)} said that it would, and still has it`;
    const grant: Grant = { connection, overAt: undefined };
    void connection?.over.then(() => {
      grant.overAt = monotonic();
    });
    this.#grant = grant;
  }

  #gives({ name, pod }: Pick<Giver, 'name' | 'pod'>): void {
    this.#giver = { name, pod, until: this.#giver?.until ?? monotonic() + GRANTED_MS };
  }

  #unanswered(reason: string): void {
    const why = `it does not answer (${reason}): it may hang, be of an earlier version, or be on another machine with p2p_datadir_wait at 0`;
    if (why !== this.#why) {
      this.#components.logger.warn({ reason }, 'the server that has DATADIR does not answer at its socket');
    }
    this.#why = why;
  }

  #refusal(): Error {
    this.#grant?.connection?.leave();
    const waited = `${this.#components.tenure.waitMs / 1000} s`;
    return inUse(
      this.#path,
      `, which did not hand it over within ${waited} (p2p_datadir_wait): ${this.#why}`,
    );
  }
}
