import { NotSupportedError } from './errors.ts';
import { Fd } from './fd.ts';
import { syscall } from './syscall.ts';

// include/uapi/linux/mount.h
const FSOPEN_CLOEXEC = 1;
const FSCONFIG_CMD_CREATE = 6;
const FSMOUNT_CLOEXEC = 1;
const MOUNT_ATTR_RDONLY = 1;

/**
 * A file system that is mounted nowhere: only who holds the descriptor sees it, and it is gone when that is closed.
 * Its files are under `/proc/self/fd/N/`. Requires Linux 5.2 and CAP_SYS_ADMIN.
 *
 * @throws SyscallError EPERM without the capability, ENODEV where the kernel lacks the file system
 */
export function detachedMount(fileSystem: string): Fd {
  const name = Buffer.from(`${fileSystem}\0`);
  let context: Fd;
  try {
    context = new Fd(syscall('fsopen', [name, FSOPEN_CLOEXEC], `fsopen(${fileSystem})`), `fsopen ${fileSystem}`);
  } catch (error) {
    if (error instanceof Error && 'errnoName' in error && error.errnoName === 'ENOSYS') {
      throw new NotSupportedError('fsopen()', { minimum: '5.2', cause: error });
    }
    throw error;
  }
  try {
    syscall('fsconfig', [context.fd, FSCONFIG_CMD_CREATE, 0, 0, 0], `fsconfig(${fileSystem})`);
    const mount = syscall('fsmount', [context.fd, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY], `fsmount(${fileSystem})`);
    return new Fd(mount, `${fileSystem} (mounted nowhere)`);
  } finally {
    context.close();
  }
}
