"""The parser on wordings as people type them, with the programs they mean (wordings.jsonl: one question a line)."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy3d_core.reasoning import parser, rules
from proxy3d_core.reasoning.grammar import Rule
from proxy3d_core.reasoning.parser import NotUnderstood, parse

LABELS = frozenset(
    """chair table sofa tv lamp bed door window bookshelf plant desk refrigerator mug laptop rug cabinet pillow stove
    person""".split()  # noqa: SIM905
) | {"trash bin"}
WORDINGS = [json.loads(line) for line in Path(__file__).with_name("wordings.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("row", WORDINGS, ids=lambda row: row["text"][:60])
def test_wording(row):
    assert str(parse(row["text"], LABELS)) == row["program"]


def test_there_are_enough_of_them():
    assert len(WORDINGS) >= 400
    assert len({row["program"] for row in WORDINGS}) >= 100


@pytest.mark.parametrize(
    ("text", "labels", "program"),
    [
        # As live segmenters name things.
        ("How many dining tables are there?", {"diningtable"}, "count(dining table)"),
        ("Where is the tv?", {"tvmonitor"}, "where(tv)"),
        # A class of the scene is one noun, not a noun with an adjective that nobody knows.
        ("Where is the office chair?", {"office chair", "chair"}, "where(office chair)"),
        ("Where is the green office chair?", {"office_chair"}, "where(filter(office chair, color(green)))"),
        ("How tall is the wooden chair?", {"chair"}, "height(chair[wooden?])"),
        # "can" is a verb, except in the bin.
        ("Can you see a trash can?", {"trash bin"}, "exists(trash bin)"),
        # British and American.
        ("What colour is the grey settee?", {"sofa"}, "color(filter(sofa, color(gray)))"),
        ("How far is the wardrobe from the cooker, in metres?", {"closet", "stove"}, "distance(closet, stove) in m"),
        # Slips.
        ("wich chair is cloest to the tv", {"chair", "tv"}, "name(argmin(chair, distance(tv)))"),
        ("hows the tv far from the sofa", {"sofa", "tv"}, None),
    ],
)
def test_names(text, labels, program):
    if program is None:
        with pytest.raises(NotUnderstood):
            parse(text, frozenset(labels))
    else:
        assert str(parse(text, frozenset(labels))) == program


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("How many chairs are floating upside down?", "floating upside down"),
        ("Why is there a chair?", "why"),
        ("Is the bed parallel to the wall?", "parallel"),
        ("how many chairs are there and how purple is the door?", "how purple is the door"),
    ],
)
def test_it_says_what_it_did_not_understand(text, part):
    with pytest.raises(NotUnderstood) as error:
        parse(text, LABELS)
    assert part in error.value.part


def captures(pattern: str) -> tuple[set[str], set[str]]:
    """Names that a pattern always captures, and all that it may."""
    lexemes = re.findall(r"<[^>]+>|[\[\]()]|\||[^\s\[\]()|<>]+", pattern)
    position = 0

    def alternatives(close: str) -> set[str]:
        nonlocal position
        options = []
        while True:
            always: set[str] = set()
            while position < len(lexemes) and lexemes[position] not in ("|", close):
                lexeme = lexemes[position]
                position += 1
                if lexeme in "([":
                    inner = alternatives(")" if lexeme == "(" else "]")
                    position += 1
                    always |= inner if lexeme == "(" else set()
                elif lexeme.startswith("<"):
                    always.add(lexeme[1:-1].partition(":")[0])
            options.append(always)
            if position < len(lexemes) and lexemes[position] == "|":
                position += 1
                continue
            return set.intersection(*options)

    return alternatives(""), set(re.findall(r"<(\w+):", pattern))


GRAMMARS = (rules.QUESTIONS, rules.SEEN_FROM, rules.STANCE, rules.STANCE_PART, parser.ROUTE, parser.GOAL)
ALL_RULES: list[Rule] = [rule for grammar in GRAMMARS for rule in grammar.rules]


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda r: r.pattern[:60])
def test_rules_get_what_they_need(rule):
    """Every builder takes all that its pattern may capture, and needs no more than it always captures."""
    always, ever = captures(rule.pattern)
    parameters = inspect.signature(rule.build).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    assert ever <= set(parameters)
    assert {n for n, p in parameters.items() if p.default is p.empty} <= always


WORDS = sorted({w for row in WORDINGS for w in row["text"].split()})


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=40).map(" ".join) | st.text(max_size=200))
def test_any_text_is_understood_or_refused(text):
    try:
        assert str(parse(text, LABELS))
    except NotUnderstood as error:
        assert isinstance(error.part, str)


@pytest.mark.parametrize(
    "text",
    ["the chair on the table " * 23, "chair, " * 60, "is it left or right or " * 19, "between the bed and " * 29],
)
def test_long_repetitions_end(text):
    """Ambiguous attachments do not multiply: this finishes at once, or not at all."""
    with pytest.raises(NotUnderstood):
        parse(text, LABELS)
