"use strict";
// Which answers may well be wrong. reading.py marks the same ones, and explains the numbers; it also splits broad ink
// where the network is more sure of the parts. Here it stays one digit, which must be surer than others, and not too wide.

const SURE = 0.8; // least probability of a digit that is not doubtful
const SURE_WHOLE = 0.9; // and of a broad one
const BROAD = 1.1; // times its height is the width of a broad digit
const TOO_WIDE = 1.35; // times its height; hardly any digit is as wide
const NO_DIGIT = [0.3, 0.4]; // with a lower probability, high or low ink is a sign
const LOWER = 0.9; // times the tallest digit in the line is low

/** The digits with their doubts. The bounds hold for the temperature 1. */
function withDoubts(digits) {
  const sure = (digit) => Math.max(...softmax(digit.reading.logits, 1));
  const tallest = (line) => Math.max(...digits.filter((digit) => digit.line === line).map((digit) => digit.height));
  const isSign = (digit) => sure(digit) < NO_DIGIT[Number(digit.height < LOWER * tallest(digit.line))];
  const others = digits.filter((digit) => digit.besideSign || isSign(digit)).map((digit) => digit.line);
  return digits.map((digit) => {
    const shape = digit.width / digit.height; // test images and whole papers have none
    const doubtful = shape > TOO_WIDE || sure(digit) < (shape >= BROAD ? SURE_WHOLE : SURE) || others.includes(digit.line);
    return { ...digit, doubtful };
  });
}
