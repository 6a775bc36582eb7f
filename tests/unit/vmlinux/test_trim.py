# SPDX-License-Identifier: Apache-2.0
"""What vmlinux/trim.py keeps of a full header."""

from __future__ import annotations

import re

import pytest

HEADER = """\
typedef unsigned int __u32;

typedef unsigned char unused_t;

enum {
	false = 0,
	true = 1,
};

enum colour {
	COLOUR_RED = 0,
	COLOUR_BLUE = 1,
};

enum distant;

typedef struct {
	__u32 val;
} kuid_t;

struct list_head {
	struct list_head *next;
};

typedef struct list_head list_t;

struct name_space;

struct cred {
	kuid_t uid;
	struct name_space *user_ns;
};

struct other;

struct task {
	struct list_head list;
	enum colour colour;
	const struct cred *cred;
	struct task *parent;
	struct other *other;
	list_t *lists;
	int (*call)(struct late *, enum distant);
};

struct other {
	struct cred cred;
};

struct late {
	struct task task;
};

enum distant {
	DISTANT = 0,
};

struct name_space {
	__u32 inum;
};
"""


@pytest.fixture
def cut(trim, declarations):
    def run(*sources, roots=()):
        header = declarations.parse_header(HEADER)
        return trim.trim(header, trim.scan_sources(sources), list(roots))

    return run


# Names of what is defined, in order; then of what is declared only.
def defined(text):
    return re.findall(
        r"^((?:struct|enum) \w+|enum) \{|^(?:typedef.*|\}) (\w+);", text, re.MULTILINE
    )


def names(text):
    return ["".join(pair) for pair in defined(text)]


def forward(text):
    return re.findall(r"^((?:struct|enum) \w+);$", text, re.MULTILINE)


def test_embedded_types_are_kept(cut):
    """A root brings what it embeds by value, and declares what it points to."""
    text = cut("struct cred *cred;")

    assert names(text) == ["__u32", "kuid_t", "struct cred"]
    assert forward(text) == ["struct name_space"]


def test_order_is_kept(cut):
    """After the enums the header's order survives: each type after what it embeds."""
    text = cut(roots=["late", "colour"])

    assert names(text) == [
        "enum colour",
        "enum distant",
        "struct list_head",
        "list_t",
        "struct task",
        "struct late",
    ]


def test_parameters_are_declared_first(cut):
    """A tag of a parameter list is declared, an enum defined: the kernel wants it."""
    text = cut(roots=["late"])

    assert "enum distant" in names(text)
    assert forward(text) == [
        "struct cred",
        "struct late",
        "struct other",
    ]


def test_self_reference_needs_no_declaration(cut):
    """A struct that points to itself is declared by its own definition."""
    text = cut(roots=["list_head"])

    assert text == "struct list_head {\n\tstruct list_head *next;\n};"


def test_named_pointers_are_followed(cut):
    """A pointer member that the sources name brings what it points to."""
    text = cut("struct task *t; return BPF_CORE_READ(t, cred, user_ns, inum);")

    assert [name for name in names(text) if name.startswith("struct")] == [
        "struct list_head",
        "struct cred",
        "struct task",
        "struct name_space",
    ]
    assert "struct other {" not in text


def test_pointers_to_typedefs_keep_the_typedef_only(cut):
    """Behind a pointer to a typedef the struct may stay incomplete."""
    text = cut(roots=["list_t"])

    assert names(text) == ["struct list_head", "list_t"]


def test_enumerator_keeps_its_enum(cut):
    """One enumerator brings its whole enum, named or not."""
    text = cut("return true ? COLOUR_BLUE : 0;")

    assert names(text) == ["enum", "enum colour"]


@pytest.mark.parametrize(
    "source",
    [
        "/* struct cred */",
        "// struct cred\n",
        'bpf_printk("cred %d");',
        "#include <cred/list_head.h>\n",
        "struct cred___old { int x; };",
        "struct cred { int x; };",
        "enum { COLOUR_RED = 4, DISTANT };",
        "#define DISTANT 1\n",
    ],
)
def test_no_root(cut, source):
    """Comments, strings, flavours and what a source defines itself are no roots."""
    assert cut(source) == ""


def test_unknown_root_is_refused(cut, trim):
    """A name of the list that the kernel does not have is an error that names it."""
    with pytest.raises(trim.UnknownRootError, match="no_such, nor_this"):
        cut(roots=["no_such", "cred", "nor_this"])


def test_unknown_word_of_a_source_is_nothing(cut):
    """Sources may name what only other kernels have."""
    assert cut("bpf_core_type_exists(struct no_such)") == ""
