// Why a file is not answered on the device. `code` is a key of the words under "pocket.unreadable", with `values` in its places.

export class Unreadable extends Error {
  /**
   * code: "form" (of a form that is read by the server only), "damaged", "large", "kind" (no JPEG or PNG), "corners" (marked where no picture can lie);
   * of ECGs those that begin with "ecg_". values: by the names in its words.
   */
  constructor(code, values = {}) {
    super(`unreadable: ${code}`);
    this.name = "Unreadable";
    this.code = code;
    this.values = values;
  }
}
