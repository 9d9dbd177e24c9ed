import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MachineConsole } from '../../vm/console.ts';

function read(pieces: (mark: string) => readonly string[]): { output: string; screen: MachineConsole } {
  let output = '';
  const screen = new MachineConsole((text) => {
    output += text;
  });
  for (const piece of pieces(screen.mark)) screen.write(piece);
  return { output, screen };
}

describe('what the command prints', () => {
  test('is passed on, without what comes before and after', () => {
    const { output, screen } = read((mark) => [
      `Linux\n\n${mark} started\nhello\nworld\n\n${mark} exit 3\n[1.2] off\n`,
    ]);
    expect(output).toBe('hello\nworld\n');
    expect(screen.end).toEqual({ kind: 'exited', status: 3 });
  });

  test('needs no line end', () => {
    const { output } = read((mark) => [`${mark} started\nno end\n${mark} exit 0\n`]);
    expect(output).toBe('no end');
  });

  test('is passed on before its line ends, as a prompt', () => {
    const { output } = read((mark) => [`${mark} started\n`, 'login: ']);
    expect(output).toBe('login: ');
  });

  test('comes whole, however it is cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('\n', 'vm-', 'a line', ' ', 'vm-0 exit 0', '\n\n'), { maxLength: 20 }),
        fc.integer({ min: 1, max: 9 }),
        (words, size) => {
          const text = words.join('');
          const { output, screen } = read((mark) => {
            const all = `boot\n${mark} started\n${text}\n${mark} exit 5\n`;
            return Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.slice(i * size, (i + 1) * size));
          });
          expect(output).toBe(text);
          expect(screen.end).toEqual({ kind: 'exited', status: 5 });
        },
      ),
    );
  });
});

describe('how it ended', () => {
  test.each(['exit 0\n', 'vm-0123456789abcdef exit 0\n', 'vm- exit 0'])('is not to be had by writing %j', (text) => {
    const { screen } = read((mark) => [`${mark} started\n${text}`]);
    expect(screen.end).toEqual({ kind: 'silent' });
  });

  test('a mark in the middle of a line is none', () => {
    const { screen } = read((mark) => [`${mark} started\nand ${mark} exit 0\n`]);
    expect(screen.end).toEqual({ kind: 'silent' });
  });

  test('a machine that cannot set itself up says why', () => {
    const { screen } = read((mark) => [`\n${mark} broken: the kernel does not take its module tun\n`]);
    expect(screen.end).toEqual({ kind: 'broken', why: 'the kernel does not take its module tun' });
  });

  test('the last lines are kept for the report', () => {
    const { screen } = read((mark) => [
      `${mark} started\n`,
      ...Array.from({ length: 100 }, (_, i) => `${i}\r\n`),
      'panic',
    ]);
    expect(screen.tail).toHaveLength(41);
    expect(screen.tail.slice(-3)).toEqual(['98', '99', 'panic']);
  });

  test('each boot has a mark of its own', () => {
    expect(new MachineConsole(() => {}).mark).not.toBe(new MachineConsole(() => {}).mark);
  });
});
