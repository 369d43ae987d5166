"""Docstrings, descriptions and messages use the field's terms in short, direct sentences."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[2]

TERMS = {
    r"\b(keep_)?fresh rows?\b": "new rows",
    r"\bconserv(ed|ation)\b": "reconciliation",
    r"\bjudg(e|es|ed|ing)\b": "check, recheck",
    r"\bsettle[sd]? (the )?(quarantine|record)": "resolve",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\btid(y|ies|ied|ying)\b": "compact, vacuum",
    r"\bplain hash(es)?\b": "unkeyed hash",
    r"\bclocks? (was|were|is|are) changed\b": "DST transition",
    r"\bstrangers?\b": "orphaned relation",
    r"\bforg(ets?|ot|otten)\b": "delete",
    r"\bopen to the past\b": "valid_from = -infinity",
    r"\bread to an empty page\b": "pagination",
    r"\b(is|are|was|were|be) told\b": "report, emit",
}
"""Private words, and the field's terms that replace them."""

PHRASES = {
    r"\banew\b": "again",
    r"\b(is|are|was|were) (?-i:none)\b": "there is no …, is not a …",
    r"\bnobody('s)?\b": "no user, no person",
    r"\b(stands|stood)\b": "is, holds, is kept",
    r"\bwho(m|se)?ever\b": "name the subject",
    r"\bbehind\b": "after",
    r"(?:^|[.!:;] )(What|Who|Whose) [^?]*(?:[.;:]|$)": "name the subject: no sentence begins with what or who",
}
"""Phrases that a reader has to read twice, and what to write."""

LONGEST_SENTENCE, WIDEST_YAML = 25, 100
"""Words of a sentence, and columns of a line of YAML: longer flow mappings are written in block style."""

YAML_ROOMS = ("models", "macros", "seeds", "snapshots", "tests/dbt")


def texts_of_python(path: Path) -> Iterator[str]:
    """Yield docstrings and the texts of messages; SQL is code."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value
        elif isinstance(node, ast.JoinedStr):
            text = "".join(part.value if isinstance(part, ast.Constant) else "X" for part in node.values)
            if not re.search(r"\b(select|from|create|insert|union all|case when|cast\(|where)\b", text):
                yield text


def texts_of_yaml(path: Path) -> Iterator[str]:
    """Yield all descriptions, without their fenced SQL."""

    def walk(value: Any) -> Iterator[str]:
        if isinstance(value, list):
            for item in value:
                yield from walk(item)
        elif isinstance(value, dict):
            for key, item in value.items():
                if key == "description" and isinstance(item, str):
                    yield re.sub(r"```.*?```", "", item, flags=re.S)
                else:
                    yield from walk(item)

    yield from walk(yaml.safe_load(path.read_text(encoding="utf-8")))


def sentences(text: str) -> list[str]:
    """Split a text into sentences; list items, table cells and paragraphs are sentences of their own."""
    parts = re.split(r"(?<=[.!?])\s+(?=[\"'«`({*A-Z0-9])|\n\s*\n|\n\s*[-|*] |:\n| \| ", text)
    return [" ".join(part.split()) for part in parts if part.strip()]


FILES = sorted(
    [
        *(PROJECT / "flows").rglob("*.py"),
        *(PROJECT / "demo").rglob("*.py"),
        *(
            path
            for room in ("models", "macros", "seeds", "snapshots", "tests/dbt")
            for path in (PROJECT / room).rglob("*.yml")
        ),
    ]
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_texts_use_the_fields_terms_in_short_sentences(path: Path) -> None:
    texts = texts_of_python(path) if path.suffix == ".py" else texts_of_yaml(path)
    found = []
    for sentence in (sentence for text in texts for sentence in sentences(text)):
        for pattern, instead in (TERMS | PHRASES).items():
            if match := re.search(pattern, sentence, re.IGNORECASE if "What|Who" not in pattern else 0):
                found.append(f"«{match[0].strip()}» (write: {instead}): {sentence}")
        if len(sentence.split()) > LONGEST_SENTENCE:
            found.append(f"{len(sentence.split())} words: {sentence}")
    assert found == []


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".yml"], ids=lambda path: path.stem)
def test_yaml_is_no_wider_than_a_page(path: Path) -> None:
    wide = [line for line in path.read_text(encoding="utf-8").splitlines() if len(line) > WIDEST_YAML]
    assert wide == []
