// Hands on what the microphone hears, in blocks of 2,048 samples, one channel.
class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(2048);
    this.filled = 0;
  }

  process([channels]) {
    if (!channels.length) return true;
    for (let place = 0; place < channels[0].length; place++) {
      let sum = 0;
      for (const channel of channels) sum += channel[place];
      this.block[this.filled++] = sum / channels.length;
      if (this.filled === this.block.length) {
        this.port.postMessage(this.block);
        this.filled = 0;
      }
    }
    return true;
  }
}
registerProcessor("recorder", Recorder);
