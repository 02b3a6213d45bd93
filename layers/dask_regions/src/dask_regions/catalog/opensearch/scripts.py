"""Painless scripts for what OpenSearch has no query for; values reach them as parameters only."""

from __future__ import annotations

from typing import Any, Literal

__all__ = ["compare", "fits"]

_PRESENT = "if (doc[params.left].size() == 0 || doc[params.right].size() == 0) { return false; }"
# Java orders texts by UTF-16 units, which puts what lies beyond U+FFFF before U+E000; ours are code points.
_ORDER = """
int order(String left, String right) {
  int length = (int) Math.min(left.length(), right.length());
  for (int i = 0; i < length; i++) {
    int a = left.charAt(i); int b = right.charAt(i);
    if (a != b) {
      if (a >= 0xD800 && b >= 0xD800) {
        a = a >= 0xE000 ? a - 0x800 : a + 0x2000;
        b = b >= 0xE000 ? b - 0x800 : b + 0x2000;
      }
      return a - b;
    }
  }
  return left.length() - right.length();
}
"""
_TEXTS = "int c = order(doc[params.left].value, doc[params.right].value);"
_NUMBERS = (
    "long a = doc[params.left].value; long b = doc[params.right].value; int c = a < b ? -1 : a > b ? 1 : 0;"
)
_TESTS = {"=": "c == 0", "<>": "c != 0", "<": "c < 0", "<=": "c <= 0", ">": "c > 0", ">=": "c >= 0"}
# The classic walk with one place to go back to: linear for what a person writes, and no automaton to outgrow.
_FITS = """
boolean fits(String text, List pattern) {
  int[] characters = text.codePoints().toArray();
  int at = 0; int step = 0; int star = -1; int mark = 0;
  while (at < characters.length) {
    int wanted = step < pattern.size() ? (int) pattern.get(step) : -3;
    if (wanted == -2 || wanted == characters[at]) {
      at++; step++;
    } else if (wanted == -1) {
      star = step; mark = at; step++;
    } else if (star >= 0) {
      mark++; at = mark; step = star + 1;
    } else {
      return false;
    }
  }
  while (step < pattern.size() && (int) pattern.get(step) == -1) { step++; }
  return step == pattern.size();
}
if (doc[params.field].size() == 0) { return false; }
return fits(doc[params.field].value, params.pattern);
"""


def compare(operator: str, kind: Literal["text", "number"], left: str, right: str) -> dict[str, Any]:
    """Return the query for documents that have both fields, and in which they compare so."""
    test = f"return {_TESTS[operator]};"
    source = f"{_ORDER}{_PRESENT} {_TEXTS} {test}" if kind == "text" else f"{_PRESENT} {_NUMBERS} {test}"
    return _query(source, {"left": left, "right": right})


def fits(field: str, pattern: list[int]) -> dict[str, Any]:
    """Return the query for documents whose field fits a pattern.

    Parameters
    ----------
    pattern
        Code points; -1 stands for any characters, -2 for one.
    """
    return _query(_FITS, {"field": field, "pattern": pattern})


def _query(source: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"script": {"script": {"lang": "painless", "source": source, "params": parameters}}}
