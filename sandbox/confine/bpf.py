"""A filter of system calls as a program for the kernel: rules in, classic BPF out.

The kernel runs the program on every system call, on a `struct seccomp_data` that holds the
call's number, the architecture and six arguments (seccomp(2), linux/filter.h). Pointers can't
be followed, so a rule sees numbers and addresses only.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

ALLOW = 0x7FFF0000
NOTIFY = 0x7FC00000
KILL_PROCESS = 0x80000000
_ERRNO = 0x00050000

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_LIMIT = 4096  # instructions that the kernel takes

_LOAD, _AND, _RETURN, _JUMP = 0x20, 0x54, 0x06, 0x05
_EQUAL, _AT_LEAST = 0x15, 0x35
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant


def errno_action(code: int) -> int:
    """The action that makes the call fail with `code`; 0 makes it succeed without being done."""
    return _ERRNO | code


@dataclass(frozen=True)
class Compare:
    """True if the argument number `argument`, masked, is `value`; 64 bits, little-endian.

    The mask of an `int` is 0xFFFFFFFF: the upper half of its register may hold anything.
    """

    argument: int
    value: int
    mask: int = 0xFFFFFFFF


@dataclass(frozen=True)
class Cases:
    """The first case whose tests are all true decides; if there is none, `otherwise`."""

    cases: tuple[tuple[tuple[Compare, ...], int], ...]
    otherwise: int


Rule = int | Cases


def assemble(
    rules: Mapping[int, Rule],
    *,
    architecture: str,
    unknown: int,
    known: frozenset[int],
    default: int,
) -> bytes:
    """The program: `rules` by number, `default` for other `known` numbers, `unknown` for the rest.

    A call of another architecture ends the process; x32's numbers, from 0x40000000 on, are
    unknown. Raises ValueError if the program is longer than the kernel takes.
    """
    spans = _spans({number: rules.get(number, default) for number in known}, unknown)
    tree = _tree(spans)
    blocks: dict[Cases, list[Instruction]] = {}
    for _, rule in spans:
        if isinstance(rule, Cases) and rule not in blocks:
            blocks[rule] = _block(rule)
    head: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, AUDIT_ARCH[architecture]),
        (_RETURN, 0, 0, KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER),
    ]
    starts, place = {}, len(head) + len(tree)
    for rule, code in blocks.items():
        starts[rule] = place
        place += len(code)
    program = list(head)
    for entry in tree:
        here = len(program) + 1
        program.append((_JUMP, 0, 0, starts[entry] - here) if isinstance(entry, Cases) else entry)
    for code in blocks.values():
        program += code
    if len(program) > _LIMIT:
        raise ValueError(f"a filter of {len(program)} instructions; the kernel takes {_LIMIT}")
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _spans(rules: Mapping[int, Rule], unknown: int) -> list[tuple[int, Rule]]:
    """Neighbouring numbers with one rule as one span: its first number and the rule."""
    spans: list[tuple[int, Rule]] = []
    for number in range(max(rules) + 2):
        rule = rules.get(number, unknown)
        if not spans or spans[-1][1] != rule:
            spans.append((number, rule))
    return spans


def _tree(spans: list[tuple[int, Rule]]) -> "list[Instruction | Cases]":
    """A binary search for the span of the number; a Cases stands for a jump to its block."""
    if len(spans) == 1:
        rule = spans[0][1]
        return [rule if isinstance(rule, Cases) else (_RETURN, 0, 0, rule)]
    middle = len(spans) // 2
    left, right = _tree(spans[:middle]), _tree(spans[middle:])
    first = spans[middle][0]
    if len(left) < 256:
        return [(_AT_LEAST, len(left), 0, first), *left, *right]
    return [(_AT_LEAST, 0, 1, first), (_JUMP, 0, 0, len(left)), *left, *right]


def _block(rule: Cases) -> list[Instruction]:
    code: list[Instruction] = []
    for tests, action in rule.cases:
        case: list[Instruction] = []
        for test in tests:
            for half in (0, 1):
                case += _half(test, half)
        # A test that fails jumps over the rest of its case, the action included.
        for place, (operation, yes, no, constant) in enumerate(case):
            if operation == _EQUAL:
                case[place] = (operation, yes, no + len(case) - place, constant)
        code += [*case, (_RETURN, 0, 0, action)]
    return [*code, (_RETURN, 0, 0, rule.otherwise)]


def _half(test: Compare, half: int) -> list[Instruction]:
    """Compare the lower (0) or upper (1) 32 bits; nothing to do where the mask is empty."""
    mask, value = (test.mask >> 32 * half) & 0xFFFFFFFF, (test.value >> 32 * half) & 0xFFFFFFFF
    if not mask:
        return []
    load: list[Instruction] = [(_LOAD, 0, 0, _ARGUMENTS + 8 * test.argument + 4 * half)]
    if mask != 0xFFFFFFFF:
        load.append((_AND, 0, 0, mask))
    return [*load, (_EQUAL, 0, 0, value)]
