import { setTapFilter } from '../../sys/net.ts';
import { datagram, frame, type Ground, kernel, PAYLOAD, peer, QUEUE } from '../ground.ts';
import type { Recipe } from '../recipe.ts';
import { Tap } from '../wire.ts';

/** Frames that the kernel sends on to the peer, out of the interface that they came in by. */
const onward = frame(datagram({ to: peer.ip }));

function forwarded(ground: Ground, count: number): void {
  ground.set({ 'ipv4/ip_forward': '1' }, () => {
    for (let sent = 0; sent < count; sent++) ground.tap.send(onward);
  });
}

export const tapRecipes: readonly Recipe[] = [
  {
    reasons: ['FULL_RING'],
    length: 62,
    description: 'packets that leave by a TAP interface faster than they are read from it',
    provoke(ground, count) {
      const few = 8;
      ground.interfaces.queueLength(ground.tap.name, few);
      try {
        forwarded(ground, few + count);
      } finally {
        ground.tap.drain();
        ground.interfaces.queueLength(ground.tap.name, QUEUE);
      }
    },
  },
  {
    reasons: ['TAP_TXFILTER'],
    length: 62,
    description: 'packets that leave by a TAP interface whose filter wants another hardware address',
    provoke(ground, count) {
      setTapFilter(ground.tap.fd, [kernel.mac]);
      try {
        forwarded(ground, count);
      } finally {
        setTapFilter(ground.tap.fd, []);
      }
    },
  },
  {
    reasons: ['DEV_READY'],
    length: 20,
    description: 'frames that come in at an interface that is down',
    provoke(_ground, count) {
      const down = new Tap('demo1');
      try {
        for (let sent = 0; sent < count; sent++) down.trySend(frame(PAYLOAD));
      } finally {
        down.close();
      }
    },
  },
  {
    reasons: ['SKB_UCOPY_FAULT'],
    length: 4000,
    description: 'a write to a TAP interface from an address where there is no memory',
    provoke(ground, count) {
      // The first page of the address space belongs to nobody (vm.mmap_min_addr); longer than a page with its
      // overhead, because only then is there a packet before there are bytes (v6.12 drivers/net/tun.c, tun_get_user()).
      for (let sent = 0; sent < count; sent++) ground.tap.sendFrom(16n, 4000);
    },
  },
];
