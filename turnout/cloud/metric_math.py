"""The part of CloudWatch's metric math that scaling alarms need. Pure.

Source: "Using math expressions with CloudWatch metrics" (Amazon CloudWatch User Guide): arithmetic and its missing values,
"Comparison and logical operators", "Using IF expressions", FILL. Whatever else an expression asks for is refused by name.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence

Series = tuple[float | None, ...]
"""One value a period, oldest first; None where there is none."""
Value = float | Series

_TOKEN = re.compile(r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<sign>==|!=|<=|>=|&&|\|\||[-+*/^<>(),]))")
_LEVELS: tuple[dict[str, Callable[[float, float], float]], ...] = (
    {"OR": lambda a, b: float(bool(a) or bool(b)), "||": lambda a, b: float(bool(a) or bool(b))},
    {"AND": lambda a, b: float(bool(a) and bool(b)), "&&": lambda a, b: float(bool(a) and bool(b))},
    {
        "==": lambda a, b: float(a == b),
        "!=": lambda a, b: float(a != b),
        "<=": lambda a, b: float(a <= b),
        ">=": lambda a, b: float(a >= b),
        "<": lambda a, b: float(a < b),
        ">": lambda a, b: float(a > b),
    },
    {"+": operator.add, "-": operator.sub},
    {"*": operator.mul, "/": operator.truediv},
    {"^": operator.pow},
)
"""Operators from the weakest binding to the strongest."""


class MathError(ValueError):
    """An expression that cannot be evaluated here; the message names what in it."""


def evaluate(expression: str, metrics: Mapping[str, Sequence[float | None]]) -> Series:
    """The expression's series over metrics by id, all of one length. Raises `MathError`."""
    parser = _Parser(expression, {name: tuple(points) for name, points in metrics.items()})
    value = parser.level(0)
    if parser.peek():
        raise MathError(f"{expression!r}: {parser.peek()!r} is not expected")
    if isinstance(value, float):
        raise MathError(f"{expression!r} is a scalar; an alarm needs a time series")
    return value


class _Parser:
    def __init__(self, expression: str, metrics: Mapping[str, Series]) -> None:
        self._expression, self._metrics = expression, metrics
        self._tokens: list[str] = []
        at, end = 0, len(expression.rstrip())
        while at < end:
            match = _TOKEN.match(expression, at)
            if match is None:
                raise MathError(f"{expression!r}: {expression[at:].strip()[:1]!r} is not known here")
            self._tokens.append(match.group().strip())
            at = match.end()

    def peek(self) -> str:
        """The next token, or nothing."""
        return self._tokens[0] if self._tokens else ""

    def _take(self, wanted: str = "") -> str:
        token = self._tokens.pop(0) if self._tokens else ""
        if not token or (wanted and token != wanted):
            raise MathError(f"{self._expression!r}: {wanted or 'more'} is expected where {token or 'it ends'!r}")
        return token

    def level(self, depth: int) -> Value:
        """What operators of this level and stronger ones join."""
        if depth == len(_LEVELS):
            return self._operand()
        left = self.level(depth + 1)
        while self.peek() in _LEVELS[depth]:
            left = _joined(_LEVELS[depth][self._take()], left, self.level(depth + 1))
        return left

    def _operand(self) -> Value:
        token = self._take()
        if token == "-":
            return _joined(operator.mul, -1.0, self._operand())
        if token == "(":
            value = self.level(0)
            self._take(")")
            return value
        if token[0].isdigit():
            return float(token)
        if self.peek() == "(":
            return self._call(token)
        if token in self._metrics:
            return self._metrics[token]
        raise MathError(f"{self._expression!r}: no metric has the id {token!r}")

    def _call(self, name: str) -> Value:
        if name not in ("IF", "FILL"):
            raise MathError(f"{self._expression!r}: the function {name} is not known here")
        self._take("(")
        arguments = [self._argument()]
        while self.peek() == ",":
            self._take()
            arguments.append(self._argument())
        self._take(")")
        if name == "FILL" and len(arguments) == 2 and isinstance(arguments[0], tuple):
            return _filled(arguments[0], arguments[1])
        if name == "IF" and len(arguments) in (2, 3) and not any(isinstance(item, str) for item in arguments):
            return _chosen(*(item for item in arguments if not isinstance(item, str)))
        raise MathError(f"{self._expression!r}: {name} has arguments that are not known here")

    def _argument(self) -> Value | str:
        return self._take() if self.peek() == "REPEAT" else self.level(0)


def _joined(act: Callable[[float, float], float], left: Value, right: Value) -> Value:
    """Of two series a missing value counts as 0 where the other has one; a scalar makes up for nothing."""
    if isinstance(left, float) and isinstance(right, float):
        return act(left, right)
    if isinstance(left, float):
        return tuple(None if b is None else _acted(act, left, b) for b in _series(right))
    if isinstance(right, float):
        return tuple(None if a is None else _acted(act, a, right) for a in left)
    return tuple(None if a is None and b is None else _acted(act, a or 0.0, b or 0.0) for a, b in zip(left, right, strict=True))


def _acted(act: Callable[[float, float], float], left: float, right: float) -> float | None:
    try:
        return act(left, right)
    except ZeroDivisionError:
        return None


def _series(value: Value) -> Series:
    assert not isinstance(value, float)
    return value


def _filled(points: Series, filler: Value | str) -> Series:
    """FILL with a scalar, a series, or REPEAT (the value before)."""
    out: list[float | None] = []
    for index, point in enumerate(points):
        if point is not None:
            out.append(point)
        elif filler == "REPEAT":
            out.append(out[-1] if out else None)
        else:
            out.append(filler if isinstance(filler, float) else _at(filler, index))
    return tuple(out)


def _at(value: Value | str, index: int) -> float | None:
    assert not isinstance(value, str)
    return value if isinstance(value, float) else value[index]


def _chosen(condition: Value, then: Value, otherwise: Value | None = None) -> Value:
    """IF: nothing where the condition is missing; 0 where it is true and the series has no value."""
    if isinstance(condition, float):
        if all(not isinstance(item, tuple) for item in (then, otherwise)):
            raise MathError("IF over scalars gives a scalar; an alarm needs a time series")
        length = len(next(item for item in (then, otherwise) if isinstance(item, tuple)))
        condition = (condition,) * length
    out: list[float | None] = []
    for index, value in enumerate(condition):
        if value is None:
            out.append(None)
        elif value:
            out.append(_at(then, index) or 0.0)
        else:
            out.append(None if otherwise is None else _at(otherwise, index))
    return tuple(out)
