# SPDX-License-Identifier: Apache-2.0
"""Mistakes that the fuzz has to find: each changes one stage of the kernel side."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

__all__ = ["MUTANTS", "Mutant"]

_BPF = Path(__file__).parent.parent.parent / "bpf"


class Mutant(NamedTuple):
    """A mistake: a piece of some header, and what takes its place."""

    name: str
    right: str
    wrong: str

    def plant(self, folder: Path) -> None:
        """Write the header with the mistake to its place below `folder`.

        The right piece, in any layout, has to be in one place only: who changes a stage
        changes it here too.
        """
        piece = re.compile(r"\s+".join(map(re.escape, self.right.split())))
        texts = {path: path.read_text() for path in sorted(_BPF.rglob("*.h"))}
        headers = [path for path, text in texts.items() if piece.search(text)]
        places = sum(len(piece.findall(text)) for text in texts.values())
        assert places == 1, f"{self.name}: {places} times in {headers}"
        planted = folder / headers[0].relative_to(_BPF)
        planted.parent.mkdir(parents=True, exist_ok=True)
        planted.write_text(piece.sub(lambda _: self.wrong, texts[headers[0]]))


#: The first one is for kernels on which building takes long.
MUTANTS = (
    Mutant("bound-excluded", "bound->low <= value", "bound->low < value"),
    Mutant(
        "or-for-and",
        "hit->matched.words[i] &= vector->words[i];",
        "hit->matched.words[i] |= vector->words[i];",
    ),
    Mutant(
        "unreadable-number-misses",
        "if (read_number(hit, dimension, &value)) "
        "return keep_vector(hit, config->words, dimension->error);",
        "if (read_number(hit, dimension, &value)) "
        "return keep_vector(hit, config->words, dimension->miss);",
    ),
    Mutant(
        "unreadable-text-misses",
        "if (find_value(hit, dimension, &at, &length)) "
        "return keep_vector(hit, config->words, dimension->error);",
        "if (find_value(hit, dimension, &at, &length)) "
        "return keep_vector(hit, config->words, dimension->miss);",
    ),
    Mutant(
        "prefix-one-bit-short",
        "key->prefix_bits = 8 * (sizeof(key->table) + length);",
        "key->prefix_bits = 8 * (sizeof(key->table) + length) - 1;",
    ),
    Mutant(
        "no-end-of-text",
        "find_text(&hit->bytes[at], CLAMP_SIZE(length + 1, TEXT_KEY_BYTES)",
        "find_text(&hit->bytes[at], CLAMP_SIZE(length, TEXT_KEY_BYTES)",
    ),
    Mutant("signs-ignored", "value ^= SIGN_BIT;", ";"),
    Mutant(
        "negative-bits-positive",
        "dimension->kind == DIMENSION_NO_BITS);",
        "dimension->kind == DIMENSION_NONE);",
    ),
    Mutant("reversed-by-words", "__builtin_bswap64(", "("),
    Mutant("one-family", "+ (family == AF_INET6);", "+ 0;"),
    Mutant(
        "old-bytes-behind-a-text",
        "bpf_probe_read_kernel(hit->key.text, SHORT_TEXT_BYTES, zeros);",
        ";",
    ),
    Mutant("search-forgets", "state = hit->search_state;", "state = 0;"),
    Mutant(
        "first-word-only",
        "for (i = 0; i < VECTOR_WORDS; i++) "
        "hit->collected.words[i] |= vector->words[i];",
        "for (i = 0; i < 1; i++) hit->collected.words[i] |= vector->words[i];",
    ),
    Mutant("gained-is-had", "*value &= ~before;", ";"),
    Mutant("changed-is-had", "entry->capabilities[which] ^ read", "read"),
    Mutant("moved-is-not-seen", "changed |= 1 << slot;", ";"),
    Mutant("whole-words", "__u32 unused = (8 - dimension->width)", "__u32 unused = 0"),
    Mutant(
        "every-selector-counts",
        "counter->posted++; return selector->policy_end;",
        "counter->posted++; return bit + 1;",
    ),
    Mutant(
        "children-not-followed",
        "class->followed |= follow_bits(",
        "class->followed = follow_bits(",
    ),
    Mutant("pids-of-all-namespaces", "config->pid_table + 1,", "config->pid_table,"),
    Mutant(
        "parent-is-grandparent",
        "replace_parent_classes(entry); entry->classes[0].followed",
        "entry->classes[0].followed",
    ),
)
