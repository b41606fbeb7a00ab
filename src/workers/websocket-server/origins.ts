/** Which web pages may read from here. */
export class AllowedOrigins {
  readonly #allowed: ReadonlySet<string>;

  /** `p2p_websocket_allowed_origins`; empty: any. */
  constructor(origins: readonly string[]) {
    this.#allowed = new Set(origins.map((origin) => origin.trim().toLowerCase().replace(/\/$/, '')));
  }

  /**
   * Whether a request with these headers may be upgraded. One without `Origin` comes from no browser, so there is no page to
   * be protected from; the server's own page is always welcome.
   */
  admits(origin: string, host: string): boolean {
    if (this.#allowed.size === 0 || origin === '') return true;
    const lower = origin.toLowerCase();
    return (
      this.#allowed.has('*') ||
      this.#allowed.has(lower) ||
      lower === `http://${host.toLowerCase()}` ||
      lower === `https://${host.toLowerCase()}`
    );
  }

  /** `Access-Control-Allow-Origin` for a request from `origin`; undefined for none. */
  header(origin: string): string | undefined {
    if (this.#allowed.size === 0 || this.#allowed.has('*')) return '*';
    return this.#allowed.has(origin.toLowerCase()) ? origin : undefined;
  }
}
