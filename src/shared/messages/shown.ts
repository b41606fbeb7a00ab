/**
 * How a person is shown a kind's frames, on the terminal and on the page: plain data, since the page gets it from `/api/status`. Whatever
 * the kind, author and time are shown beside.
 */
export interface Shown {
  readonly colour: ShownColour;
  /**
   * Field of the frame with the hash.
   * @default `hash`
   */
  readonly hash?: string;
  /**
   * Field with the height.
   * @default `height`
   */
  readonly height?: string;
  /**
   * Field whose text says the most.
   * @default `base_url`
   */
  readonly text?: string;
  /** What the page has room for besides, in this order. */
  readonly facts?: readonly ShownFact[];
}

/** The terminal and the page have a palette each. */
interface ShownColour {
  readonly terminal: 'green' | 'cyan' | 'yellow' | 'red' | 'magenta' | 'blue' | 'gray' | 'white';
  readonly page: 'teal' | 'blue' | 'amber' | 'red' | 'violet' | 'grey';
}

/** A field of a frame; one that is empty or 0 is left out. */
interface ShownFact {
  readonly field: string;
  /**
   * @default text
   */
  readonly as?: 'number' | 'bytes';
  /** Stands before it. */
  readonly before?: string;
  /** Stands behind it. */
  readonly after?: string;
}
