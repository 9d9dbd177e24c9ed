import type { Ground } from './ground.ts';

/** How to have the kernel drop packets for one reason. */
export interface Recipe {
  /**
   * Names without `SKB_DROP_REASON_`: what current kernels say first, then what older ones say instead, the newer ones
   * first. A kernel says the first that it knows; one that knows none of them, NOT_SPECIFIED. So it was measured on
   * 6.1, 6.12, 6.18 and 7.2.
   */
  readonly reasons: readonly string[];
  /** What is sent, and why it is dropped: one line. */
  readonly description: string;
  /** skb->len of each dropped packet. */
  readonly length: number;
  /**
   * The first mainline release that drops this by way of the tracepoint. Kernels before it let it pass, or drop it
   * without a word, unless they know the reason already: distributions bring newer features to older kernels.
   */
  readonly since?: string;
  /** What the kernel must have for it, where it may not: told to people where it fails for the lack of it. */
  readonly needs?: string;
  /** It works without the ground's interface, and so without /dev/net/tun. */
  readonly withoutInterface?: true;
  /** At most so many drops a call; by default as many as come in well under a second. */
  readonly portion?: number;
  /**
   * Has the kernel drop exactly `count` packets for this reason, and none for another. Leaves nothing behind.
   *
   * @throws SkbdropError where this kernel cannot
   */
  provoke(ground: Ground, count: number): void | Promise<void>;
}
