/** Health as the endpoints, the server and its parts speak of it (WIRE §6). */

/** One dependency's state. */
export interface DependencyHealth {
  readonly resource: string;
  /** HTTP status: 200 or 503. */
  readonly status: 200 | 503;
  /** Why not, for a person; absent when healthy. */
  readonly error?: string;
  readonly message: string;
}

export interface HealthReport {
  readonly status: 200 | 503;
  readonly dependencies: readonly DependencyHealth[];
}

/** Anything that readiness asks. Must answer within the signal. */
export interface HealthChecked {
  health(signal: AbortSignal): Promise<DependencyHealth>;
}

/** One question of readiness: to a dependency, or to a part that speaks for several. */
export interface HealthCheck {
  /** What is reported when it does not answer. */
  readonly resource: string;
  readonly check: (signal: AbortSignal) => Promise<DependencyHealth | readonly DependencyHealth[]>;
}

/** One question of liveness: to what can be past recovery. */
export interface VitalSign {
  readonly resource: string;
  /** Why it cannot recover, or `undefined` while it lives. */
  readonly fault: () => string | undefined;
}
