"""Arithmetic of arrays in as few operations as it needs: quotients of polynomials in Symbols."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction as Rational
from typing import Any

import numpy as np

from tinygrad_lr.array.lengths import Length
from tinygrad_lr.program.symbols import Symbol, is_number, same, value_of

Term = tuple[tuple[int, int], ...]  # ((atom, power), ...), the atoms by number
Poly = dict[Term, Any]  # {term: coefficient}, the coefficients rational
ARITHMETIC = {np.add, np.subtract, np.multiply, np.divide, np.negative, np.square}
MAX_TERMS, MAX_OPERATIONS = 40, 25  # of an expression that is simplified


class Fraction:
    """A quotient of polynomials in atoms: what arithmetic of arrays of one shape comes to.

    The denominator is a product: polynomials, as frozen sets of their items, with their powers.
    """

    def __init__(self, numerator: Poly, denominator: Iterable[Any] | Counter[Any] = ()) -> None:
        self.numerator = numerator
        self.denominator: Counter[frozenset[Any]] = Counter(denominator)

    def __add__(self, other: Fraction) -> Fraction:
        common = self.denominator | other.denominator
        terms = [_times(f.numerator, *(common - f.denominator).elements()) for f in (self, other)]
        return Fraction(_plus(*terms), common)

    def __neg__(self) -> Fraction:
        return Fraction({term: -c for term, c in self.numerator.items()}, self.denominator)

    def __sub__(self, other: Fraction) -> Fraction:
        return self + -other

    def __mul__(self, other: Fraction) -> Fraction:
        numerator = _times(self.numerator, other.numerator.items())
        return Fraction(numerator, self.denominator + other.denominator).reduced()

    def __truediv__(self, other: Fraction) -> Fraction:
        if not other.numerator:
            raise ZeroDivisionError
        inverse = Fraction(_times({(): 1}, *other.denominator.elements()))
        content, rest = _content(other.numerator)
        factors: Counter[Any] = Counter({frozenset({(((atom, 1),), 1)}): n for atom, n in content})
        c = Rational(*rest.values() if len(rest) == 1 else [-1 if rest.get((), 1) < 0 else 1])
        if len(rest) > 1:
            factors[frozenset((t, d / c) for t, d in rest.items())] = 1
        return self * inverse * Fraction({(): 1 / c}, factors)

    def reduced(self) -> Fraction:
        """Without the factors that numerator and denominator share."""
        numerator, denominator = self.numerator, []
        for f in self.denominator.elements():
            quotient = _divided(numerator, dict(f))
            if quotient is None:
                denominator.append(f)
            else:
                numerator = quotient
        return Fraction(numerator, denominator)


def _plus(p: Poly, q: Poly) -> Poly:
    total = dict(p)
    for term, c in q.items():
        _add(total, term, c)
    return total


def _add(p: Poly, term: Term, c: Any) -> None:
    """Add c times a term to a polynomial."""
    p[term] = p.get(term, 0) + c
    if p[term] == 0:
        del p[term]


def _product(s: Term, t: Term, sign: int = 1) -> Term:
    """The product of terms, with a `sign` of -1 the quotient."""
    powers = dict(s)
    for atom, n in t:
        powers[atom] = powers.get(atom, 0) + sign * n
    return tuple(sorted((atom, n) for atom, n in powers.items() if n))


def _times(p: Poly, *others: Iterable[tuple[Term, Any]]) -> Poly:
    for q in others:
        if len(p) * len(items := list(q)) > MAX_TERMS**2:
            raise OverflowError
        product: Poly = {}
        for (s, c), (t, d) in itertools.product(p.items(), items):
            _add(product, _product(s, t), c * d)
        p = product
    return p


def _content(p: Poly) -> tuple[Term, Poly]:
    """The term that all terms have in common, and the polynomial divided by it."""
    first, *others = p
    powers = {a: min([n, *(dict(t).get(a, 0) for t in others)]) for a, n in first}
    content = tuple((a, n) for a, n in powers.items() if n)
    return content, {_product(t, content, -1): c for t, c in p.items()}


def _leading(p: Poly) -> Term:
    return max(p, key=lambda term: (sum(n for _, n in term), term))


def _divided(p: Poly, q: Poly) -> Poly | None:
    """p / q, if it is a polynomial."""
    quotient: Poly = {}
    divisor = _leading(q)
    for _ in range(MAX_TERMS):
        if not p:
            return quotient
        lead = _leading(p)
        term = _product(lead, divisor, -1)
        if any(n < 0 for _, n in term):
            return None
        c = Rational(p[lead], q[divisor])
        quotient = _plus(quotient, {term: c})
        p = _plus(p, _times({term: -c}, q.items()))
    return None


class Algebra:
    """Simplifies the arithmetic behind a Symbol.

    Args:
        is_atom: whether a Symbol is an atom of the polynomials, not looked into.
    """

    def __init__(self, is_atom: Callable[[Symbol], bool]) -> None:
        self.is_atom = is_atom
        self.trace: Any = None
        self.atoms: dict[int, Any] = {}
        self._numbers: dict[Any, int] = {}

    def atom(self, x: Any) -> Fraction:
        """An atom as a fraction; equal numbers and equal lengths are one atom."""
        key = factors(x) if isinstance(x, Length) else id(x)
        key = float(value_of(x)) if is_number(x) else key
        i = self._numbers.setdefault(key, len(self._numbers))
        # a number as a Symbol: a plain one times a Length would be a plain one
        known = isinstance(x, (Symbol, Length)) and not is_number(x)
        self.atoms.setdefault(i, x if known else self.trace.number(value_of(x)))
        return Fraction({((i, 1),): 1})

    def fraction(self, x: Any) -> Any:
        """The arithmetic behind an argument."""
        if is_number(x):
            n = float(value_of(x))
            if not (4 * n).is_integer():  # it shall be written as it is
                return self.atom(x)
            return Fraction({(): int(n) if n.is_integer() else Rational(n)} if n else {})
        if isinstance(x, Length) and (n := factors(x)[0]) != 1:  # 2 * len(X): what divides it
            lengths = [f for f in multiplied(x) if isinstance(f, Length)]
            return Fraction({(): Rational(n)}) * self.atom(functools.reduce(operator.mul, lengths))
        plain = not isinstance(x, Symbol) or x.function not in ARITHMETIC or _is_mask(x)
        if plain or self.is_atom(x):
            return self.atom(x)
        return x.function(*map(self.fraction, x.args))  # NumPy leaves it to the objects' operators

    def simplest(self, x: Symbol, spread: bool = False) -> Any:
        """The arithmetic behind a Symbol, in the fewest operations.

        A Symbol that will be `spread` over its shape may be a number, for equal elements.
        """
        self.trace, cost = x.trace, self.cost(x)
        if cost > MAX_OPERATIONS:
            return x
        try:
            fraction = self.fraction(x).reduced()
            if len(fraction.numerator) > cost:
                return x
            y = self.to_expression(fraction)
        except (OverflowError, ZeroDivisionError, TypeError):  # as of minus a mask
            return x
        if not isinstance(y, Symbol) or not same(
            x, np.broadcast_to(y.value, x.shape) if spread else y
        ):
            return x
        return y if self.cost(y) < cost else x

    def cost(self, x: Any) -> int:
        """The number of operations in an expression, or one that is too large."""
        n, stack = 0, [x]
        while stack and n <= MAX_OPERATIONS:
            y = stack.pop()
            if isinstance(y, Symbol) and y.function in ARITHMETIC and not self.is_atom(y):
                n += 1
                stack += y.args
        return n

    def to_expression(self, f: Fraction) -> Any:
        """A fraction as arithmetic: number * common * (sum) / denominator."""
        if not f.numerator:
            return 0.0
        content, rest = _content(f.numerator)
        c = functools.reduce(_common_divisor, rest.values(), Rational(0))
        c = -c if all(d < 0 for d in rest.values()) else c
        terms = sorted(((t, d / c) for t, d in rest.items()), key=lambda term: term[1] < 0)
        result = functools.reduce(
            lambda y, x: _mul(x, y), map(self._power, content), self._sum(terms)
        )
        denominator = functools.reduce(_mul, map(self._sum, f.denominator.elements()), None)
        if abs(c.numerator) == 1:
            result = 1 if result is None else result
            result = -result if c < 0 else result
            denominator = _mul(None if c.denominator == 1 else c.denominator, denominator)
        else:
            result = _mul(_number(c), result)
        return result if denominator is None else self.trace.emit(np.divide, result, denominator)

    def _power(self, power: tuple[int, int]) -> Any:
        a, n = power
        x = self.atoms[a]
        if isinstance(x, Length):  # its square would be a plain number
            return functools.reduce(operator.mul, [x] * n)
        return x if n == 1 else x**n

    def _sum(self, terms: Iterable[tuple[Term, Any]]) -> Any:
        """A sum of products; None for 1."""
        total: Any = None
        for term, c in terms:
            product = functools.reduce(_mul, map(self._power, term), None)
            if abs(c) != 1 or product is None:
                product = _mul(_number(abs(c)), product)
            if total is None:
                total = product if c > 0 else -product
            elif _is_mask(total) and _is_mask(product):
                raise TypeError("the sum of two masks is no sum")
            else:
                total = total + product if c > 0 else total - product
        return None if type(total) is int and total == 1 else total


def _is_mask(x: Any) -> bool:
    return isinstance(x, Symbol) and bool(x.dtype == bool)


def _mul(a: Any, b: Any) -> Any:
    """a * b, where None is a 1 that is not written."""
    return b if a is None else a if b is None else a * b


def _number(c: Rational) -> float:
    """A number as it is written."""
    return int(c) if c.denominator == 1 else float(c)


def _common_divisor(a: Rational, b: Rational) -> Rational:
    """The largest number of which both are multiples."""
    numerator = math.gcd(a.numerator * b.denominator, b.numerator * a.denominator)
    return Rational(numerator, a.denominator * b.denominator)


def multiplied(n: Length) -> Iterator[Any]:
    """The numbers that a length is the product of, without ones."""
    if n.terms[0] is operator.mul:
        for term in n.terms[1:]:
            yield from multiplied(term) if isinstance(term, Length) else [term] * (term != 1)
    else:
        yield n


def factors(n: Any) -> Any:
    """A number as the product of the lengths that it was computed from."""
    if not isinstance(n, Length):
        return int(n), ()
    number, lengths = 1, []
    for f in multiplied(n):
        if isinstance(f, Length):
            lengths.append((id(f.terms[0]), *map(str, f.terms[1:])))
        else:
            number *= f
    return number, tuple(sorted(lengths))
