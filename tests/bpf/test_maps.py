# SPDX-License-Identifier: Apache-2.0
"""Maps of the kernel as bytes."""

from __future__ import annotations

import errno

import pytest

from tetragon_py.errors import KernelError
from tetragon_py.libbpf import maps as maps_module
from tetragon_py.libbpf._libbpf import lib
from tetragon_py.libbpf.maps import NOEXIST, possible_cpus


def u32(number: int) -> bytes:
    return number.to_bytes(4, "little")


def u64(number: int) -> bytes:
    return number.to_bytes(8, "little")


@pytest.fixture
def loaded(objects):
    """The object of maps.bpf.c in the kernel."""
    with objects("maps") as bpf_object:
        bpf_object.load()
        yield bpf_object


@pytest.fixture
def maps(loaded):
    return loaded.maps


def test_entries_come_back(maps):
    """What was written is found, until it is deleted."""
    numbers = maps["numbers"]

    assert numbers.lookup(u32(5)) is None
    numbers.update(u32(5), u64(55))
    assert numbers.lookup(u32(5)) == u64(55)
    numbers.update(u32(5), u64(56))
    assert numbers.lookup(u32(5)) == u64(56)
    assert numbers.delete(u32(5)) is True
    assert numbers.delete(u32(5)) is False
    assert numbers.lookup(u32(5)) is None


def test_noexist_keeps_what_is_there(maps):
    """The first one to write an entry wins if it asks for that."""
    numbers = maps["numbers"]
    numbers.update(u32(5), u64(1), NOEXIST)
    with pytest.raises(KernelError, match="update_elem of map numbers") as raised:
        numbers.update(u32(5), u64(2), NOEXIST)

    assert raised.value.errno == errno.EEXIST
    assert numbers.lookup(u32(5)) == u64(1)


@pytest.mark.parametrize("is_old", [False, True])
def test_take(maps, monkeypatch, is_old):
    """The value comes back, and the entry is gone; also where it takes two steps."""
    if is_old:

        class Old:
            """libbpf on a kernel before 5.14."""

            @staticmethod
            def bpf_map_lookup_and_delete_elem(*_):
                return -524  # ENOTSUPP

            def __getattr__(self, name):
                return getattr(lib, name)

        monkeypatch.setattr(maps_module, "lib", Old())
    numbers = maps["numbers"]
    numbers.update(u32(5), u64(55))

    assert numbers.take(u32(5)) == u64(55)
    assert numbers.lookup(u32(5)) is None
    assert numbers.take(u32(5)) is None


@pytest.mark.parametrize("count", [0, 1, 4095, 4096, 4097, 10_000])
def test_items_are_all_entries(maps, count):
    """Batches of any number: each entry once; the walk over keys agrees."""
    numbers = maps["numbers"]
    for number in range(count):
        numbers.update(u32(number), u64(number * 3))
    items = numbers.items()

    assert sorted(items) == sorted((u32(n), u64(n * 3)) for n in range(count))
    assert sorted(numbers.keys()) == sorted(key for key, _ in items)


def test_full_map_is_an_error(maps):
    """No room is told with the map's name."""
    numbers = maps["numbers"]
    for number in range(numbers.max_entries):
        numbers.update(u32(number), u64(0))
    with pytest.raises(KernelError) as raised:
        numbers.update(u32(number + 1), u64(0))

    assert raised.value.errno == errno.E2BIG


def test_lru_map(maps):
    """An LRU map takes more than it holds."""
    recent = maps["recent"]
    for number in range(5_000):
        recent.update(u32(number), u64(number))

    assert 0 < len(recent.items()) <= 1_000


def test_array(maps):
    """An array has all its entries from the start, and keeps them."""
    slots = maps["slots"]
    slots.update(u32(3), u64(9))

    assert [value for _, value in slots.items()] == [u64(n) for n in (0, 0, 0, 9, 0)]
    assert slots.lookup(u32(5)) is None
    with pytest.raises(KernelError, match="delete_elem of map slots: Invalid argument"):
        slots.delete(u32(3))


def test_percpu_array(maps):
    """One value per possible CPU, each in 8 bytes."""
    counters = maps["counters"]
    cpus = possible_cpus()
    values = [u64(cpu * 10) for cpu in range(cpus)]
    counters.update(u32(1), b"".join(values))

    assert counters.value_size == 8 * cpus
    assert counters.percpu_values(u32(1)) == values
    assert counters.percpu_values(u32(0)) == [u64(0)] * cpus
    assert counters.percpu_values(u32(3)) == []


def test_small_percpu_values_are_rounded_up(maps):
    """A value of 4 bytes takes 8 per CPU."""
    counters = maps["small_counters"]
    cpus = possible_cpus()
    counters.update(u32(1), b"".join(u64(cpu) for cpu in range(cpus)))

    assert counters.value_size == 8 * cpus
    assert [value[:4] for value in counters.percpu_values(u32(1))] == [
        u32(cpu) for cpu in range(cpus)
    ]


@pytest.mark.parametrize("key", [b"", b"abc", b"abcde"])
def test_wrong_key_size_is_refused(maps, key):
    """A key of another size never reaches the kernel, which would read beyond it."""
    for use in (maps["numbers"].lookup, maps["numbers"].delete):
        with pytest.raises(KernelError, match="size of the key"):
            use(key)
    with pytest.raises(KernelError, match="size of the key"):
        maps["numbers"].update(key, u64(0))


@pytest.mark.parametrize("value", [b"", bytes(7), bytes(9)])
def test_wrong_value_size_is_refused(maps, value):
    """The same for values."""
    with pytest.raises(KernelError, match="size of the value"):
        maps["numbers"].update(u32(1), value)


def test_sizes_are_set_before_load_only(objects):
    """A map's size is a knob until it exists."""
    with objects("maps") as bpf_object:
        numbers = bpf_object.maps["numbers"]
        numbers.set_max_entries(3)
        bpf_object.maps["slots"].set_value_size(24)
        assert numbers.fd < 0
        bpf_object.load()

        assert numbers.fd >= 0
        assert numbers.max_entries == 3
        assert bpf_object.maps["slots"].value_size == 24
        assert bpf_object.maps["slots"].lookup(u32(0)) == bytes(24)
        with pytest.raises(KernelError, match="set_max_entries of map numbers"):
            numbers.set_max_entries(4)
        with pytest.raises(KernelError, match="set_value_size of map numbers"):
            numbers.set_value_size(4)


def test_shared_map(objects, maps):
    """A map that is reused is the same one in both objects."""
    with objects("maps") as other:
        other.maps["numbers"].reuse(maps["numbers"])
        other.load()
        other.maps["numbers"].update(u32(1), u64(11))

        assert maps["numbers"].lookup(u32(1)) == u64(11)
        assert other.maps["slots"].lookup(u32(0)) == u64(0)
    assert maps["numbers"].lookup(u32(1)) == u64(11)


def test_unloaded_map_is_an_error(objects):
    """Before load there is no map in the kernel."""
    with objects("maps") as bpf_object, pytest.raises(KernelError) as raised:
        bpf_object.maps["numbers"].items()

    assert raised.value.errno == errno.EBADF
