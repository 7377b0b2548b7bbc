"use strict";
// Which answers may well be wrong. reading.py marks the same ones, and explains the numbers; it also splits broad ink
// where the network is more sure of the parts. Here it stays one digit, which must be surer than others, and not too wide.

const SURE = 0.88; // least probability of a digit that is not doubtful
const SURE_WHOLE = 0.9; // and of a broad one, before the temperature
const BROAD = 1.1; // times its height is the width of a broad digit
const TOO_WIDE = 1.35; // times its height; hardly any digit is as wide
const NO_DIGIT = 0.3; // with a lower probability, before the temperature, ink is a sign
const SIGN_WIDTH = 0.7; // of its height is the least width of a sign; what is narrower is only doubtful itself
const SLASH = 1.25; // times as high as the other digits is a slash, which looks like a 1

/** The digits with their doubts. */
function withDoubts(digits) {
  const before = (digit) => Math.max(...softmax(digit.reading.logits, 1));
  const isSign = (digit) => before(digit) < NO_DIGIT && digit.width >= SIGN_WIDTH * digit.height;
  const isSlash = ({ name, line, height }) => {
    const measures = digits.filter((other) => other.line === line && !["0", "1"].includes(other.name));
    return name === "1" && measures.length > 0 && measures.every((other) => height > SLASH * other.height);
  };
  const others = digits.filter((digit) => digit.besideSign || isSign(digit) || isSlash(digit)).map(({ line }) => line);
  return digits.map((digit) => {
    const shape = digit.width / digit.height; // test images and whole papers have none
    const isUnsure = Math.max(...digit.reading.probabilities) < SURE || (shape >= BROAD && before(digit) < SURE_WHOLE);
    return { ...digit, doubtful: shape > TOO_WIDE || isUnsure || others.includes(digit.line) };
  });
}
