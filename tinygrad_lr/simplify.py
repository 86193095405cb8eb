"""Rewriting of programs: what a person would not write that way is written otherwise.

Every rewriting is an identity of arithmetic, and its result is compared with what it replaces in
the recorded run; one that differs there by more than rounding is not used.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lr.lengths import Length
from tinygrad_lr.symbols import (
    Book,
    Symbol,
    add_at,
    is_number,
    ordered,
    parts,
    put,
    put_in,
    value_of,
)

Poly = dict[tuple[Any, ...], Any]  # {((atom, power), ...): coefficient}
numpy: Any = np  # whose own types do not know of Symbols
ARITHMETIC = {np.add, np.subtract, np.multiply, np.divide, np.negative, np.square}
MOST_TERMS, MOST_OPERATIONS = 40, 25  # of an expression that is looked into


def same(x: Symbol, y: Any) -> bool:
    """Whether y may stand where x does: same shape, dtype and, but for rounding, numbers."""
    a, b = x.value, np.asarray(value_of(y))
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    scale = np.max(np.abs(a), initial=0.0, where=np.isfinite(a))
    rtol = 1e-4 if a.dtype == np.float32 else 1e-10
    return bool(np.allclose(a, b, rtol=rtol, atol=rtol * scale, equal_nan=True))


def tidy(x: Symbol, rules: Sequence[Rule] | None = None) -> Any:
    """A call in fewer words, if one of the rules knows how."""
    for rule in rules or RULES:
        y = rule(x)
        if y is not None and y is not x and same(x, y):
            return y
    return x


def _neutral(x: Symbol) -> Any:
    """x * 1, x / 1, x + 0, x - 0, x ** 1."""
    if x.function not in (np.add, np.subtract, np.multiply, np.divide, np.power):
        return None
    a, b = x.args
    neutral = 0 if x.function in (np.add, np.subtract) else 1
    if _is_all(b, neutral):
        return a
    if _is_all(a, neutral) and x.function in (np.add, np.multiply):
        return b
    return None


def _is_all(x: Any, n: int) -> bool:
    """Whether it is a constant, and nothing but this number."""
    constant = is_number(x) or (isinstance(x, np.ndarray) and x.dtype.kind in "iuf")
    return constant and bool(np.all(value_of(x) == n))


def _sign(x: Symbol) -> Any:
    """-(-x), (-1) * x, -(a * b) with a number."""
    if x.function is np.negative and isinstance(x.args[0], Symbol):
        a = x.args[0]
        if a.function is np.negative:
            return a.args[0]
        if a.function in (np.multiply, np.divide) and not (a.name or a in a.book.shared):
            b = a.args[0]
            if isinstance(b, Symbol) and b.function is np.negative:
                return a.function(b.args[0], a.args[1])
            if is_number(b) and value_of(b) < 0:
                return a.function(-value_of(b), a.args[1])
    if x.function is np.multiply:
        for a, b in (x.args, x.args[::-1]):
            if is_number(a) and value_of(a) == -1:
                return -b
    return None


def _numbers(x: Symbol) -> Any:
    """A number times a number times x; a number divided by n, times x."""
    if x.function is not np.multiply:
        return None
    for a, b in (x.args, x.args[::-1]):
        if isinstance(a, Symbol) and a.function is np.divide and not (a.name or is_number(b)):
            above, below = a.args
            if is_number(above) and isinstance(below, Length):
                return above * b / below
        if is_number(a) and isinstance(b, Symbol) and b.function is np.multiply and not b.name:
            for c, d in (b.args, b.args[::-1]):
                if is_number(c):
                    return value_of(a) * value_of(c) * d
    return None


def _views(x: Symbol) -> Any:
    """Views that change nothing, and of views."""
    a = x.args[0] if x.args else None
    if not isinstance(a, Symbol):
        return None
    if x.function is np.transpose and a.function is np.transpose:
        orders = [(y.args[1:] or (None,))[0] for y in (a, x)]
        first, second = (
            range(x.ndim)[::-1] if o is None else [i % x.ndim for i in o] for o in orders
        )
        if [first[i] for i in second] == list(range(x.ndim)):
            return a.args[0]
    if (
        x.function is np.transpose
        and a.function is np.matmul
        and not (a.name or a in a.book.shared)
    ):
        left, right = a.args
        turned = [y for y in a.args if isinstance(y, Symbol) and y.function is np.transpose]
        if left.ndim == right.ndim == 2 and turned:
            return right.T @ left.T
    if x.function in (np.reshape, np.broadcast_to, np.transpose) and a.shape == x.shape:
        moved = x.function is np.transpose and sum(n != 1 for n in a.shape) > 1
        return None if moved else a
    if x.function is np.reshape and a.function is np.reshape:
        return numpy.reshape(a.args[0], x.args[1])
    if getattr(x.function, "__name__", "") == "astype" and a.dtype == x.dtype:
        return a
    if x.function is np.copy:
        return a
    return None


def _broadcast(x: Symbol) -> Any:
    """Arithmetic broadcasts by itself: it takes what np.broadcast_to repeats."""
    function = x.function
    a = x.args[0] if x.args else None
    if isinstance(a, Symbol) and a.function is np.broadcast_to and a.args[0].ndim == 0:
        if function in (operator.getitem, np.reshape, np.transpose, np.flip):
            return numpy.broadcast_to(a.args[0], x.shape)
        if function == np.add.reduce and x.ndim == 0:
            return a.args[0] * a.size
    if not isinstance(function, np.ufunc) or function.signature or x.kwargs:
        return None
    args = tuple(
        a.args[0] if isinstance(a, Symbol) and a.function is np.broadcast_to else a for a in x.args
    )
    if all(a is b for a, b in zip(args, x.args, strict=True)):
        return None
    y = function(*args)
    if np.shape(value_of(y)) == x.value.shape:
        return y
    return numpy.broadcast_to(y, x.shape) if isinstance(y, Symbol) else None


def _reduced(x: Symbol) -> Any:
    """A sum divided by the number of summands is a mean; a sum of equal numbers is a product."""
    if x.function is np.divide and isinstance(x.args[0], Symbol) and isinstance(x.args[1], int):
        total, n = x.args
        if total.function is np.negative and isinstance(total.args[0], Symbol):
            y = total.args[0] / n
            return -y if y.function is np.mean else None
        if total.function == np.add.reduce and isinstance(total.args[0], Symbol):
            counted = total.args[0]
            axis = total.kwargs.get("axis", 0)
            sizes = counted.shape if axis is None else [counted.shape[i] for i in _tuple(axis)]
            if _factors(n) == _factors(math.prod(sizes)):
                return numpy.mean(counted, **total.kwargs)
    if x.function == np.add.reduce and isinstance(x.args[0], Symbol):
        a = x.args[0]
        if a.name or a in x.book.shared:
            return None
        if a.function is np.negative:
            return -np.add.reduce(a.args[0], **x.kwargs)
        if a.function in (np.multiply, np.divide):
            for i, b in enumerate(a.args):
                if np.ndim(value_of(b)) == 0 and (i == 1 or a.function is np.multiply):
                    return a.function(np.add.reduce(a.args[1 - i], **x.kwargs), b)
    return None


def _tuple(axis: Any) -> tuple[int, ...]:
    return axis if isinstance(axis, tuple) else (axis,)


def _scattered(x: Symbol) -> Any:
    """Zeros with something added at an index, in a product, a sum, and a total of rows."""
    if x.function == np.add.reduce:
        return _total_of_rows(x)
    if x.function not in (np.add, np.subtract, np.multiply):
        return None
    for sign, (a, b) in ((1, x.args), (-1, x.args[::-1])):
        at = _added(b)
        whole = isinstance(a, Symbol) and a.value.shape == x.value.shape
        if x.function is np.multiply:
            inside = _added(b.args[0]) if isinstance(b, Symbol) and b.args else None
            if inside and whole and b.function in (np.add, np.subtract):
                return b.function(a * b.args[0], a * b.args[1])
            if at and whole:
                there = Algebra(lambda _: False).simplest(at[1] * a[at[0]], spread=True)
                return x.book.record(add_at, b.args[0], at[0], there)
        elif at and whole and not _added(a):
            index, value = at
            if x.function is np.subtract:
                a, value = (a, -value) if sign == 1 else (-a, value)
            return x.book.record(add_at, a, index, value)
    return None


def _added(x: Any) -> tuple[Any, Any] | None:
    """(index, value), if it is zeros with a value added at an index."""
    if isinstance(x, Symbol) and x.function in (add_at, put) and isinstance(x.args[0], Symbol):
        return x.args[1:] if x.args[0].function is np.zeros else None
    return None


def _total_of_rows(x: Symbol) -> Any:
    """The sums of rows that hold one value each, which is then what they come to."""
    at = _added(x.args[0])
    if at is None or x.args[0].ndim != 2 or _tuple(x.kwargs.get("axis", 0)) not in ((1,), (-1,)):
        return None
    index, value = at
    if not (isinstance(index, tuple) and len(index) == 2 and _are_rows(index[0])):
        return None
    if np.ndim(value_of(value)) == 0:
        return numpy.broadcast_to(value, x.shape)
    return value[:, None] if x.kwargs.get("keepdims") else value


def _are_rows(x: Any) -> bool:
    return isinstance(x, Symbol) and x.function is np.arange


def _put_whole(x: Symbol) -> Any:
    """What is put into zeros through new axes and fills them is them, in another shape."""
    at = _added(x) if x.function is put else None
    if at is None or not isinstance(at[1], Symbol) or at[1].value.size != x.value.size:
        return None
    index = at[0] if isinstance(at[0], tuple) else (at[0],)
    plain = all(i is None or i is ... or i == slice(None) for i in index if not _is_array(i))
    if not plain or any(map(_is_array, index)):
        return None
    a, sign = (at[1].args[0], -1) if at[1].function is np.negative else (at[1], 1)
    if a.function == np.add.reduce and a.kwargs.get("keepdims"):
        y = numpy.add.reduce(*a.args, axis=a.kwargs["axis"])
        return sign * y if y.value.shape == x.value.shape else None
    return numpy.reshape(at[1], x.shape)


def _is_array(x: Any) -> bool:
    return isinstance(x, (Symbol, np.ndarray, list))


def _one_hot(x: Symbol) -> Any:
    """Labels with one 1 in every row add up to 1 there."""
    if x.function != np.add.reduce or not isinstance(x.args[0], Symbol) or x.value.size == 1:
        return None
    labels = x.args[0]
    if any(y.fixed for y in ordered([labels])) or not np.isin(labels.value, (0, 1)).all():
        return None
    if x.kwargs.get("axis", 0) is None or (x.value != 1).any():
        return None
    x.book.facts[labels] = x.kwargs.get("axis", 0)
    return numpy.broadcast_to(x.book.number(np.ones((), x.dtype)), x.shape)


def _factors(n: Any) -> Any:
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


Rule = Callable[[Symbol], Any]
RULES: list[Rule] = [
    _neutral,
    _sign,
    _numbers,
    _views,
    _broadcast,
    _reduced,
    _scattered,
    _put_whole,
    _one_hot,
]


def tidy_always(x: Symbol) -> Any:
    """The same, by rules that hold for other data, too."""
    return tidy(x, RULES[:-1])


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
        key = _factors(x) if isinstance(x, Length) else id(x)
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
            power = self.letters[a] if n == 1 else self.letters[a] ** n
            result = power if result is None else power * result
        below = None
        for g, n in f.below.items():
            for _ in range(n):
                factor = self._sum(list(g))
                below = factor if below is None else below * factor
        over, under = _ratio(common)
        if result is None:
            result = over
        elif over == -1:
            result = -result
        elif over != 1:
            result = over * result
        if under != 1:
            below = under if below is None else under * below
        if below is None:
            return result
        return self.book.record(np.divide, result, below)

    def _sum(self, terms: list[tuple[Any, Any]]) -> Any:
        """A sum of products; None for 1."""
        total: Any = None
        for term, c in terms:
            product: Any = None
            for a, n in term:
                letter = self.letters[a]
                power = letter if n == 1 else letter**n
                product = power if product is None else product * power
            size = abs(c)
            size = int(size) if float(size).is_integer() else size
            if product is None:
                product = size
            elif size != 1:
                product = size * product
            if total is None:
                total = product if c > 0 else -product
            else:
                total = total + product if c > 0 else total - product
        return None if type(total) is int and total == 1 else total


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


def simplified(results: list[Any], book: Book, gradients: int, facts: bool = True) -> list[Any]:
    """The results, with the arithmetic of the backward pass in as few operations as it needs.

    What takes part in the output, the first of the results, is not looked into, but for sums with
    a number, as 1 - A; and neither is what comes after the `gradients`. `facts` of the recorded
    data, as that labels have one 1 in every row, may be taken for granted or not.
    """
    symbols = ordered(results)
    forward = set(ordered(results[:1]))
    backward = set(ordered(results[:gradients])) - forward
    roots = (
        {
            a
            for x in symbols
            if x.function not in ARITHMETIC
            for a in parts((x.args, tuple(x.kwargs.values())))
        }
        | {x for x in symbols if x.name}
        | set(parts(tuple(results)))
    )
    book.start_again(tidy if facts else tidy_always)
    uses = Counter(a for x in symbols for a in parts((x.args, tuple(x.kwargs.values()))))
    computed: set[Symbol] = set()  # in the forward pass
    letters: set[Any] = set()
    new: dict[Symbol, Any] = {}
    spelled: dict[Any, Any] = {}  # the arithmetic of the backward pass, as it was

    def renewed(x: Any) -> Any:
        return new.get(x, x) if isinstance(x, Symbol) else x

    for x in symbols:
        y: Any = x
        if x.function:
            kwargs = {name: put_in(value, renewed) for name, value in x.kwargs.items()}
            args = put_in(x.args, renewed)
            y = book.record(x.function, *args, **kwargs)
        if isinstance(y, Symbol) and y.function:
            if x in forward or y not in computed:
                y.stand_for(x)
            if x in forward:
                computed.add(y)
            if y.whole or (x in forward and (x.name or not _with_number(y))):
                letters.add(y)
            elif x in backward and y.function in ARITHMETIC:
                if x.function not in ARITHMETIC:
                    args = y.args
                long = put_in(args, lambda a: spelled.get(a, a) if isinstance(a, Symbol) else a)
                call = x.function if x.function in ARITHMETIC else y.function
                first = tidy(Symbol(book, x.value, call, long, name=x.name))
                spelled[y] = first
                expanded = Algebra(lambda a: a in letters)
                kept = Algebra(lambda a: a in letters or _with_number(a))
                better = y
                if x in roots:
                    better = min(expanded.simplest(y), kept.simplest(y), key=expanded.cost)
                if better is not y and isinstance(better, Symbol):
                    if 3 < expanded.cost(first) <= MOST_OPERATIONS and better not in letters:
                        book.because.setdefault(better, (first, kept.simplest(first)))
                    better.stand_for(x)
                    y, spelled[better] = better, first
        new[x] = y
        if uses[x] > 1 and isinstance(y, Symbol):
            book.shared.add(y)
    return [renewed(x.now if isinstance(x, Symbol) else x) for x in results]


def _with_number(x: Any) -> bool:
    """Whether it is a sum with a number, as 1 - A."""
    return x.function in (np.add, np.subtract) and any(map(is_number, x.args))
