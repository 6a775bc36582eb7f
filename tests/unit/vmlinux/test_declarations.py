# SPDX-License-Identifier: Apache-2.0
"""What the parser of vmlinux/declarations.py reads out of bpftool's output."""

from __future__ import annotations

import pytest


def references(declarations, text):
    (declaration,) = declarations.parse_header(text)

    return {(ref.name, ref.need.name, ref.member) for ref in declaration.references}


def test_order_and_text_are_kept(declarations):
    """Definitions come back verbatim and in the header's order."""
    header = (
        "#ifndef __VMLINUX_H__\n"
        "typedef unsigned int __u32;\n\n"
        "struct later;\n\n"
        "struct b {\n\t__u32 x;\n};\n\n"
        "enum c {\n\tC_ONE = 1,\n};\n\n"
        "struct a {};\n\n"
        "#endif\n"
    )

    texts = [found.text for found in declarations.parse_header(header)]

    assert texts == [
        "typedef unsigned int __u32;",
        "struct b {\n\t__u32 x;\n};",
        "enum c {\n\tC_ONE = 1,\n};",
        "struct a {};",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("struct a {\n\tint x;\n};", ("struct a",)),
        ("union a {\n\tint x;\n} __attribute__((packed));", ("union a",)),
        ("enum a {\n\tA_X = -1,\n\tA_Y = 2,\n};", ("A_X", "A_Y", "enum a")),
        ("enum a: __u64 {\n\tA_X = 1ULL,\n};", ("A_X", "enum a")),
        ("enum {\n\tfalse = 0,\n\ttrue = 1,\n};", ("false", "true")),
        ("typedef struct {\n\tint val;\n} kuid_t;", ("kuid_t",)),
        ("typedef int (*fn_t)(struct a *, int);", ("fn_t",)),
        ("typedef int fn_t(struct a *);", ("fn_t",)),
        ("typedef struct a *a_array[3];", ("a_array",)),
        ("struct a {\n\tenum {\n\t\tIN_A = 0,\n\t} x;\n};", ("IN_A", "struct a")),
    ],
)
def test_names(declarations, text, expected):
    """A declaration is found by its tag, its typedef name and its enumerators."""
    (found,) = declarations.parse_header(text)

    assert found.names == expected


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        ("struct b x;", {("struct b", "WHOLE", "")}),
        ("struct b x[4];", {("struct b", "WHOLE", "")}),
        ("const struct b *x;", {("struct b", "NAME", "x")}),
        ("struct b * const *x;", {("struct b", "NAME", "x")}),
        ("struct b *x[4];", {("struct b", "NAME", "x")}),
        ("struct b (*x)[4];", {("struct b", "WHOLE", "")}),
        ("enum b x: 3;", {("enum b", "WHOLE", "")}),
        ("__u32 x: 3;", {("__u32", "WHOLE", "")}),
        ("long: 32;", set()),
        ("long unsigned int x;", set()),
        (
            "struct b * (*x)(struct c *, enum d, e_t, ...);",
            {
                ("struct b", "NAME", ""),
                ("struct c", "NAME", ""),
                ("enum d", "NAME", ""),
                ("e_t", "NAME", ""),
            },
        ),
        (
            "void (*x)(void (*)(struct c *), struct d (*)[2]);",
            {("struct c", "NAME", ""), ("struct d", "WHOLE", "")},
        ),
        (
            "void (*(*x)(struct c *))(struct d *);",
            {("struct c", "NAME", ""), ("struct d", "NAME", "")},
        ),
        (
            "struct {\n\tunion {\n\tstruct b x;\n\tstruct c *y;\n\t};\n\t};",
            {("struct b", "WHOLE", ""), ("struct c", "NAME", "y")},
        ),
        ("struct {\n\t\tstruct b x;\n\t} *y;", {("struct b", "WHOLE", "")}),
        (
            'struct b __attribute__((btf_type_tag("rcu"))) *x;',
            {("struct b", "NAME", "x")},
        ),
    ],
)
def test_members(declarations, member, expected):
    """By value needs the definition; a pointer and a parameter list need the name."""
    assert references(declarations, f"struct a {{\n\t{member}\n}};") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("typedef struct b a;", {("struct b", "SAME", "")}),
        ("typedef const struct b *a;", {("struct b", "NAME", "")}),
        ("typedef struct b a[2];", {("struct b", "WHOLE", "")}),
        ("typedef struct {\n\tb_t val;\n} a;", {("b_t", "WHOLE", "")}),
        ("typedef unsigned char a;", set()),
        (
            "typedef b_t (*a)(struct c *);",
            {("b_t", "NAME", ""), ("struct c", "NAME", "")},
        ),
    ],
)
def test_typedefs(declarations, text, expected):
    """A typedef needs of its target what is needed of itself."""
    assert references(declarations, text) == expected


def test_functions_and_macros_are_left_out(declarations):
    """What later bpftool versions add, macros and kfuncs, is no type."""
    header = (
        "#ifndef __ksym\n"
        '#define __ksym \\\n\t__attribute__((section(".ksyms")))\n'
        "#endif\n"
        "extern int bpf_f(struct a *a) __weak __ksym;\n"
        "/* struct comment { */\n"
        "struct a {\n\tint x;\n};\n"
    )

    assert [found.names for found in declarations.parse_header(header)] == [
        ("struct a",)
    ]
