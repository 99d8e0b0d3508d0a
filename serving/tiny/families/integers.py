"""Whole numbers: primes, common divisors and multiples, counting, and number bases."""

from __future__ import annotations

import bisect
import functools
import math
import random

from serving.tiny.families.common import Kind, between, kinds_family, templates_of, whole
from serving.tiny.phrasings import Family, Templates

_SIEVE_LIMIT = 30_000


@functools.cache
def _primes() -> list[int]:
    flags = bytearray([1]) * _SIEVE_LIMIT
    flags[:2] = b"\0\0"
    for n in range(2, math.isqrt(_SIEVE_LIMIT) + 1):
        if flags[n]:
            flags[n * n :: n] = bytes(len(flags[n * n :: n]))
    return [n for n, flag in enumerate(flags) if flag]


def _is_prime(n: int) -> bool:
    """By Miller and Rabin with the bases 2, 3, 5 and 7: exact below 3 215 031 751."""
    if n < 50:
        return n in _primes()
    if any(n % p == 0 for p in (2, 3, 5, 7, 11, 13)):
        return False
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in (2, 3, 5, 7):
        x = pow(base, odd, n)
        if x in (1, n - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


def _next_prime(n: int) -> int:
    n += 1
    while not _is_prime(n):
        n += 1
    return n


def _previous_prime(n: int) -> int:
    n -= 1
    while not _is_prime(n):
        n -= 1
    return n


def _factors(n: int) -> list[int]:
    found: list[int] = []
    for p in _primes():
        if p * p > n:
            break
        while n % p == 0:
            found.append(p)
            n //= p
    return [*found, n] if n > 1 else found


def _primes_between(a: int, b: int) -> list[int]:
    """The primes from a to b, both included."""
    return _primes()[bisect.bisect_left(_primes(), a) : bisect.bisect_right(_primes(), b)]


def _maybe_prime(rng: random.Random) -> dict[str, str]:
    n = int(whole(rng, 1, 7))
    if rng.random() < 0.5:
        return {"n": str(_next_prime(n))}
    return {"n": str(n if n % 2 else n + 1)}


def _span(rng: random.Random) -> dict[str, str]:
    a = rng.randint(2, 1500)
    return {"a": str(a), "b": str(a + rng.randint(12, 90))}


def _long_span(rng: random.Random) -> dict[str, str]:
    a = rng.randint(2, 9000)
    return {"a": str(a), "b": str(a + rng.randint(50, 9000))}


def _sympy(name: str, expression: str) -> str:
    return f"from sympy import {name}\nfinal_answer({expression})"


PRIMES = {
    "is_prime": Kind(
        "Primes: is {n} prime?",
        _sympy("isprime", '"yes" if isprime({n}) else "no"'),
        lambda n: "yes" if _is_prime(int(n)) else "no",
        _maybe_prime,
        (
            "Is {n} prime?",
            "Is {n} a prime?",
            "Tell me whether {n} is a prime number.",
            "Is {n} a prime number?",
            "Is the number {n} prime?",
            "Check whether {n} is prime.",
            "Check if {n} is a prime number.",
            "Tell me if {n} is prime.",
            "Determine whether {n} is a prime number.",
            "Find out if {n} is prime.",
            "Would you say that {n} is a prime?",
            "Is it true that {n} is prime?",
        ),
    ),
    "nth": Kind(
        "Primes: prime number {n} in order.",
        _sympy("prime", "prime({n})"),
        lambda n: _primes()[int(n) - 1],
        lambda rng: {"n": between(rng, 4, rng.choice((200, 3000)))},
        (
            "What is prime number {n}?",
            "Find prime number {n}.",
            "What is prime number {n}, counting from 2?",
            "Compute prime no. {n}.",
            "What is prime number {n} in order?",
            "Find prime number {n} in the list of primes.",
            "Which prime is number {n}?",
            "Which prime is number {n} in the sequence of primes?",
            "Give me prime no. {n}.",
            "Counting from 2, which is prime number {n}?",
            "Tell me prime number {n}.",
        ),
    ),
    "factors": Kind(
        "Primes: the prime factors of {n}.",
        _sympy("factorint", "factorint({n}, multiple=True)"),
        lambda n: _factors(int(n)),
        lambda rng: {"n": whole(rng, 2, 6)},
        (
            "Factor {n} into primes.",
            "Factorise {n} into primes.",
            "Factorize {n}.",
            "What is the prime factorization of {n}?",
            "What are the prime factors of {n}?",
            "Find the prime factors of {n}.",
            "Find the prime factorisation of {n}.",
            "Break {n} down into prime factors.",
            "Write {n} as a product of primes.",
            "List the prime factors of {n}.",
        ),
    ),
    "list": Kind(
        "Primes: list those from {a} to {b}.",
        _sympy("primerange", "list(primerange({a}, {b} + 1))"),
        lambda a, b: _primes_between(int(a), int(b)),
        _span,
        (
            "List the primes from {a} to {b}.",
            "List all primes between {a} and {b}.",
            "Which primes lie between {a} and {b}?",
            "What are the prime numbers from {a} to {b}?",
            "Give me all prime numbers between {a} and {b}.",
            "Find all primes from {a} to {b}.",
            "Show the prime numbers between {a} and {b}.",
            "Which numbers from {a} to {b} are prime?",
        ),
    ),
    "list_up_to": Kind(
        "Primes: list those up to {b}.",
        _sympy("primerange", "list(primerange({b} + 1))"),
        lambda b: _primes_between(2, int(b)),
        lambda rng: {"b": between(rng, 10, 300)},
        (
            "List the primes up to {b}.",
            "List the prime numbers that are at most {b}.",
            "Which numbers up to {b} are prime?",
            "Show all primes up to {b}.",
            "List all prime numbers up to {b}.",
            "Which primes are there up to {b}?",
            "What are the prime numbers up to {b}?",
            "Give me all primes up to {b}.",
            "Find all the primes up to {b}.",
            "Show me the prime numbers up to {b}.",
        ),
    ),
    "count": Kind(
        "Primes: count those from {a} to {b}.",
        _sympy("primerange", "len(list(primerange({a}, {b} + 1)))"),
        lambda a, b: len(_primes_between(int(a), int(b))),
        _long_span,
        (
            "How many primes are there from {a} to {b}?",
            "How many primes are between {a} and {b}?",
            "Count the primes from {a} to {b}.",
            "Count the prime numbers between {a} and {b}.",
            "How many numbers from {a} to {b} are prime?",
            "How many prime numbers lie between {a} and {b}?",
            "What is the number of primes from {a} to {b}?",
            "Find the number of primes between {a} and {b}.",
        ),
    ),
    "next": Kind(
        "Primes: the next one after {n}.",
        _sympy("nextprime", "nextprime({n})"),
        lambda n: _next_prime(int(n)),
        lambda rng: {"n": whole(rng, 1, 6)},
        (
            "What is the next prime after {n}?",
            "Find the first prime after {n}.",
            "What is the smallest prime greater than {n}?",
            "Which prime comes next after {n}?",
            "Find the next prime number above {n}.",
            "What is the smallest prime number larger than {n}?",
            "Give me the next prime that is greater than {n}.",
        ),
    ),
    "previous": Kind(
        "Primes: the last one before {n}.",
        _sympy("prevprime", "prevprime({n})"),
        lambda n: _previous_prime(int(n)),
        lambda rng: {"n": whole(rng, 2, 6)},
        (
            "What is the largest prime below {n}?",
            "Find the last prime before {n}.",
            "What is the largest prime less than {n}?",
            "Which prime comes just before {n}?",
            "Find the largest prime number smaller than {n}.",
            "What is the last prime number below {n}?",
            "Give me the largest prime that is smaller than {n}.",
        ),
    ),
}


def _related(rng: random.Random, count: int, top: int) -> dict[str, str]:
    shared = rng.choice((1, rng.randint(2, 30), rng.randint(2, 60)))
    return {key: str(shared * rng.randint(2, top)) for key in "abc"[:count]}


def _fraction(a: int, b: int) -> str:
    shared = math.gcd(a, b)
    return f"{a // shared}/{b // shared}" if b != shared else f"{a // shared}"


GCD_LCM = {
    "gcd": Kind(
        "Greatest common divisor of {a} and {b}.",
        "import math\nfinal_answer(math.gcd({a}, {b}))",
        lambda a, b: _euclid(int(a), int(b)),
        lambda rng: _related(rng, 2, rng.choice((30, 900, 20000))),
        (
            "What is the greatest common divisor of {a} and {b}?",
            "Find the greatest common divisor of {a} and {b}.",
            "What is the gcd of {a} and {b}?",
            "Compute the GCD of {a} and {b}.",
            "What is gcd({a}, {b})?",
            "Calculate gcd({a}, {b}).",
            "What is the greatest common factor of {a} and {b}?",
            "Find the highest common factor of {a} and {b}.",
            "What is the largest number that divides both {a} and {b}?",
            "Which is the largest number that divides {a} and {b}?",
            "Give the HCF of {a} and {b}.",
            "{name} has {a} pens and {b} books for equal gift bags. What is the largest number"
            " of bags?",
        ),
    ),
    "lcm": Kind(
        "Least common multiple of {a} and {b}.",
        "import math\nfinal_answer(math.lcm({a}, {b}))",
        lambda a, b: int(a) * int(b) // _euclid(int(a), int(b)),
        lambda rng: _related(rng, 2, rng.choice((12, 60, 400))),
        (
            "What is the least common multiple of {a} and {b}?",
            "Find the least common multiple of {a} and {b}.",
            "Find the lowest common multiple of {a} and {b}.",
            "Give the LCM of {a} and {b}.",
            "Find the smallest number that is divisible by {a} and {b}.",
            "What is the lcm of {a} and {b}?",
            "Compute the LCM of {a} and {b}.",
            "What is lcm({a}, {b})?",
            "Calculate lcm({a}, {b}).",
            "What is the lowest common multiple of {a} and {b}?",
            "What is the smallest number divisible by both {a} and {b}?",
            "Which is the smallest number that both {a} and {b} divide?",
            "Two buses leave every {a} and {b} minutes. After how many minutes do they leave"
            " together again?",
            "One lamp blinks every {a} seconds, another every {b}. After how many seconds do they"
            " blink together?",
        ),
    ),
    "gcd3": Kind(
        "Greatest common divisor of {a}, {b} and {c}.",
        "import math\nfinal_answer(math.gcd({a}, {b}, {c}))",
        lambda a, b, c: _euclid(_euclid(int(a), int(b)), int(c)),
        lambda rng: _related(rng, 3, rng.choice((30, 300))),
        (
            "What is the greatest common divisor of {a}, {b} and {c}?",
            "Find the greatest common divisor of {a}, {b} and {c}.",
            "What is the gcd of {a}, {b} and {c}?",
            "Compute the GCD of {a}, {b} and {c}.",
            "Calculate gcd({a}, {b}, {c}).",
            "What is the largest number that divides {a}, {b} and {c}?",
            "Find the highest common factor of {a}, {b} and {c}.",
            "Give the greatest common factor of {a}, {b} and {c}.",
        ),
    ),
    "lcm3": Kind(
        "Least common multiple of {a}, {b} and {c}.",
        "import math\nfinal_answer(math.lcm({a}, {b}, {c}))",
        lambda a, b, c: _lcm(_lcm(int(a), int(b)), int(c)),
        lambda rng: _related(rng, 3, rng.choice((8, 30))),
        (
            "What is the least common multiple of {a}, {b} and {c}?",
            "Find the least common multiple of {a}, {b} and {c}.",
            "What is the lcm of {a}, {b} and {c}?",
            "Compute the LCM of {a}, {b} and {c}.",
            "Calculate lcm({a}, {b}, {c}).",
            "What is the smallest number divisible by {a}, {b} and {c}?",
            "Give the lowest common multiple of {a}, {b} and {c}.",
            "Find the smallest number that is divisible by {a}, {b} and {c}.",
        ),
    ),
    "coprime": Kind(
        "Coprime means that the greatest common divisor of {a} and {b} is 1.",
        'import math\nfinal_answer("yes" if math.gcd({a}, {b}) == 1 else "no")',
        lambda a, b: "yes" if _euclid(int(a), int(b)) == 1 else "no",
        lambda rng: {"a": whole(rng, 1, 4), "b": whole(rng, 1, 4)},
        (
            "Are {a} and {b} coprime?",
            "Are the numbers {a} and {b} relatively prime?",
            "Check whether {a} and {b} are coprime.",
            "Is it true that {a} and {b} are coprime?",
            "Tell me if {a} and {b} are relatively prime.",
            "Determine whether {a} and {b} are relatively prime.",
            "Is {a} coprime to {b}?",
        ),
    ),
    "reduce": Kind(
        "Reduce the fraction {a} over {b}.",
        "from fractions import Fraction\nfinal_answer(str(Fraction({a}, {b})))",
        lambda a, b: _fraction(int(a), int(b)),
        lambda rng: _related(rng, 2, rng.choice((12, 90))),
        (
            "Simplify the fraction {a}/{b}.",
            "Reduce the fraction {a}/{b}.",
            "Reduce {a}/{b} to lowest terms.",
            "Write {a}/{b} in lowest terms.",
            "What is the fraction {a}/{b} in lowest terms?",
            "What is the simplest form of the fraction {a}/{b}?",
            "Simplify {a}/{b} as a fraction.",
            "Cancel the fraction {a}/{b} down to its simplest form.",
        ),
    ),
}


def _euclid(a: int, b: int) -> int:
    while b:
        a, b = b, a % b
    return a


def _lcm(a: int, b: int) -> int:
    return a * b // _euclid(a, b)


TEMPLATES: dict[str, Templates] = {
    "primes": templates_of(PRIMES),
    "gcd_lcm": templates_of(GCD_LCM),
}
FAMILIES: dict[str, Family] = {
    "primes": kinds_family("primes", PRIMES),
    "gcd_lcm": kinds_family("gcd_lcm", GCD_LCM),
}
