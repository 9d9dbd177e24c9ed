/** The smallest ELF files: 64 bits, little-endian, sections and their names. */
export function elfFile(sections: Readonly<Record<string, Uint8Array>>): Buffer {
  const HEADER = 64;
  const ENTRY = 64;
  const names = ['', ...Object.keys(sections), '.shstrtab'];
  const offsets = new Map<string, number>();
  let text = '';
  for (const name of names) {
    offsets.set(name, text.length);
    text += `${name}\0`;
  }
  const bodies = [...Object.values(sections), Buffer.from(text)];
  const places: number[] = [];
  let at = HEADER;
  for (const body of bodies) {
    places.push(at);
    at += Math.ceil(body.length / 8) * 8;
  }
  const file = Buffer.alloc(at + ENTRY * names.length);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  file.writeUInt16LE(1, 16); // ET_REL
  file.writeUInt16LE(62, 18); // EM_X86_64
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(BigInt(at), 40); // e_shoff
  file.writeUInt16LE(HEADER, 52);
  file.writeUInt16LE(ENTRY, 58);
  file.writeUInt16LE(names.length, 60);
  file.writeUInt16LE(names.length - 1, 62);
  bodies.forEach((body, i) => {
    file.set(body, places[i]!);
    const entry = at + ENTRY * (i + 1);
    const [SHT_PROGBITS, SHT_STRTAB] = [1, 3];
    file.writeUInt32LE(offsets.get(names[i + 1]!)!, entry);
    file.writeUInt32LE(i === bodies.length - 1 ? SHT_STRTAB : SHT_PROGBITS, entry + 4);
    file.writeBigUInt64LE(BigInt(places[i]!), entry + 24);
    file.writeBigUInt64LE(BigInt(body.length), entry + 32);
    file.writeBigUInt64LE(1n, entry + 48);
  });
  return file;
}
