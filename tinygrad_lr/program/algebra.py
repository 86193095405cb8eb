"""Arithmetic of arrays in as few operations as it needs: quotients of polynomials in Symbols."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lr.array.lengths import Length
from tinygrad_lr.program.symbols import Book, Symbol, is_number, same, value_of

Poly = dict[tuple[Any, ...], Any]  # {((atom, power), ...): coefficient}
ARITHMETIC = {np.add, np.subtract, np.multiply, np.divide, np.negative, np.square}
MOST_TERMS, MOST_OPERATIONS = 40, 25  # of an expression that is looked into


class Fraction:
    """A quotient of polynomials in atoms: what arithmetic of arrays of one shape comes to.

    The denominator is a product of polynomials with their powers.
    """

    def __init__(self, above: Poly, below: dict[Any, int] | None = None) -> None:
        self.above, self.below = above, below or {}

    def __add__(self, other: Fraction) -> Fraction:
        below = dict(self.below)
        for f, n in other.below.items():
            below[f] = max(n, below.get(f, 0))
        above = _plus(self._over(below), other._over(below))
        return Fraction(above, below)

    def _over(self, below: dict[Any, int]) -> Poly:
        above = self.above
        for f, n in below.items():
            for _ in range(n - self.below.get(f, 0)):
                above = _times(above, dict(f))
        return above

    def __mul__(self, other: Fraction) -> Fraction:
        below = dict(self.below)
        for f, n in other.below.items():
            below[f] = below.get(f, 0) + n
        return Fraction(_times(self.above, other.above), below).reduced()

    def __truediv__(self, other: Fraction) -> Fraction:
        upside = Fraction({(): 1})
        for f, n in other.below.items():
            for _ in range(n):
                upside = upside * Fraction(dict(f))
        term, rest = _content(other.above)
        factors: dict[Any, int] = {frozenset({(((atom, 1),), 1)}): n for atom, n in term}
        c = rest[_leading(rest)] if len(rest) == 1 else -1 if rest.get((), 1) < 0 else 1
        if len(rest) > 1:
            factors[frozenset((t, d / c if c != 1 else d) for t, d in rest.items())] = 1
        return self * upside * Fraction({(): 1 / c if c not in (1, -1) else c}, factors)

    def reduced(self) -> Fraction:
        """Without the factors that are above and below."""
        above, below = self.above, {}
        for f, n in self.below.items():
            left = n
            while left and (quotient := _divided(above, dict(f))) is not None:
                above, left = quotient, left - 1
            if left:
                below[f] = left
        return Fraction(above, below)


def _plus(p: Poly, q: Poly) -> Poly:
    total = dict(p)
    for term, c in q.items():
        total[term] = total.get(term, 0) + c
        if total[term] == 0:
            del total[term]
    return total


def _product(s: tuple[Any, ...], t: tuple[Any, ...]) -> tuple[Any, ...]:
    powers = dict(s)
    for atom, n in t:
        powers[atom] = powers.get(atom, 0) + n
    return tuple(sorted(powers.items()))


def _times(p: Poly, q: Poly) -> Poly:
    if len(p) * len(q) > MOST_TERMS**2:
        raise OverflowError
    total: Poly = {}
    for (s, c), (t, d) in itertools.product(p.items(), q.items()):
        total = _plus(total, {_product(s, t): c * d})
    return total


def _content(p: Poly) -> tuple[tuple[Any, ...], Poly]:
    """The letters that all terms have in common, and the polynomial without them."""
    first, *others = p
    shared = {a: min([n, *(dict(t).get(a, 0) for t in others)]) for a, n in first}
    rest = {
        tuple((a, n - shared.get(a, 0)) for a, n in t if n > shared.get(a, 0)): c
        for t, c in p.items()
    }
    return tuple((a, n) for a, n in shared.items() if n), rest


def _leading(p: Poly) -> tuple[Any, ...]:
    return max(p, key=lambda term: (sum(n for _, n in term), [(a, n) for a, n in term]))


def _divided(p: Poly, q: Poly) -> Poly | None:
    """p / q, if it is a polynomial."""
    quotient: Poly = {}
    top = _leading(q)
    for _ in range(MOST_TERMS):
        if not p:
            return quotient
        lead = _leading(p)
        powers = dict(lead)
        for atom, n in top:
            powers[atom] = powers.get(atom, 0) - n
        if any(n < 0 for n in powers.values()):
            return None
        term = tuple(sorted((a, n) for a, n in powers.items() if n))
        c = p[lead] / q[top] if p[lead] % q[top] else p[lead] // q[top]
        quotient = _plus(quotient, {term: c})
        p = _plus(p, _times({term: -c}, q))
    return None


class Algebra:
    """Simplifies the arithmetic behind a Symbol.

    Args:
        atoms: whether a Symbol is a letter of the formula, not to be looked into.
    """

    def __init__(self, atoms: Callable[[Symbol], bool]) -> None:
        self.is_atom = atoms
        self.book = Book()
        self.letters: dict[int, Any] = {}
        self._index: dict[Any, int] = {}

    def letter(self, x: Any) -> Fraction:
        """An atom as a fraction; equal numbers asked of shapes are one atom."""
        key = factors(x) if isinstance(x, Length) else id(x)
        key = float(value_of(x)) if is_number(x) else key
        i = self._index.setdefault(key, len(self._index))
        self.letters.setdefault(i, x)
        return Fraction({((i, 1),): 1})

    def fraction(self, x: Any) -> Fraction:
        """The arithmetic behind an argument."""
        if is_number(x):
            n = float(value_of(x))
            if not (4 * n).is_integer():  # a number to be seen again as it is
                return self.letter(x)
            return Fraction({(): int(n) if n.is_integer() else n} if n else {})
        if not isinstance(x, Symbol) or x.function not in ARITHMETIC or self.is_atom(x):
            return self.letter(x)
        a, *rest = (self.fraction(arg) for arg in x.args)
        if x.function is np.negative:
            return Fraction({(): -1}) * a
        if x.function is np.square:
            return a * a
        (b,) = rest
        if x.function is np.add:
            return a + b
        if x.function is np.subtract:
            return a + Fraction({(): -1}) * b
        return a * b if x.function is np.multiply else a / b

    def simplest(self, x: Symbol, spread: bool = False) -> Any:
        """The arithmetic behind a Symbol, in the fewest operations.

        What will be `spread` over its shape may be a number in place of equal ones.
        """
        self.book = x.book
        if self.cost(x) > MOST_OPERATIONS:
            return x
        try:
            f = self.fraction(x).reduced()
            y = self.written(f)
        except (OverflowError, ZeroDivisionError):
            return x
        if not isinstance(y, Symbol) or not same(
            x, np.broadcast_to(y.value, x.shape) if spread else y
        ):
            return x
        return y if self.cost(y) < self.cost(x) else x

    def cost(self, x: Any) -> int:
        """How many operations are written in an expression, or that they are too many."""
        n, waiting = 0, [x]
        while waiting and n <= MOST_OPERATIONS:
            y = waiting.pop()
            if isinstance(y, Symbol) and y.function in ARITHMETIC and not self.is_atom(y):
                n += 1
                waiting += y.args
        return n

    def written(self, f: Fraction) -> Any:
        """A fraction as arithmetic: common * (sum) / denominator."""
        if not f.above:
            return 0.0
        shared, above = _content(f.above)
        terms = list(above.items())
        numbers = [c for _, c in terms]
        common = functools.reduce(_common, numbers, 0)
        if all(c < 0 for c in numbers):
            common = -common
        rest = [(t, c / common) for t, c in terms]
        rest.sort(key=lambda term: term[1] < 0)
        result = self._sum(rest)
        for a, n in shared:
            result = _by(self._power(a, n), result)
        below = None
        for g, n in f.below.items():
            for _ in range(n):
                below = _by(below, self._sum([*g]))
        over, under = _ratio(common)
        if result is None:
            result = over
        elif over == -1:
            result = -result
        elif over != 1:
            result = over * result
        if under != 1:
            below = _by(under, below)
        return result if below is None else self.book.record(np.divide, result, below)

    def _power(self, a: int, n: int) -> Any:
        return self.letters[a] if n == 1 else self.letters[a] ** n

    def _sum(self, terms: list[tuple[Any, Any]]) -> Any:
        """A sum of products; None for 1."""
        total: Any = None
        for term, c in terms:
            product: Any = None
            for a, n in term:
                product = _by(product, self._power(a, n))
            size = abs(c)
            size = int(size) if float(size).is_integer() else size
            if size != 1 or product is None:
                product = _by(size, product)
            if total is None:
                total = product if c > 0 else -product
            else:
                total = total + product if c > 0 else total - product
        return None if type(total) is int and total == 1 else total


def _by(a: Any, b: Any) -> Any:
    """a * b, where None is a 1 that is not written."""
    return b if a is None else a if b is None else a * b


def _common(a: Any, b: Any) -> Any:
    """A number that both are multiples of, the size of one of them if they are not whole."""
    if not a:
        return abs(b)
    whole = all(float(n).is_integer() for n in (a, b))
    return math.gcd(int(a), int(b)) if whole else min(abs(a), abs(b))


def _ratio(c: Any) -> tuple[Any, Any]:
    """A number as one above and one below: 0.25 as 1 and 4."""
    if c and not float(c).is_integer():
        upside = 1 / c
        if abs(upside - round(upside)) < 1e-9 * abs(upside):
            sign = 1 if upside > 0 else -1
            return sign, abs(round(upside))
    return (int(c) if float(c).is_integer() else c), 1


def factors(n: Any) -> Any:
    """A number as the product of the lengths that it was computed from."""
    if not isinstance(n, Length):
        return int(n), ()
    number, lengths = 1, []
    for f in n.factors():
        if isinstance(f, Length):
            lengths.append((id(f.terms[0]), *map(str, f.terms[1:])))
        else:
            number *= f
    return number, tuple(sorted(lengths))
