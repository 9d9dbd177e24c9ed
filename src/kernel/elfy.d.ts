declare module 'elfy' {
  const elfy: {
    parse(bytes: Buffer): { body: { sections: { name: string; data: Uint8Array }[] } };
  };
  export default elfy;
}
