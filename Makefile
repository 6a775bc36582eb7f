# SPDX-License-Identifier: Apache-2.0
# `make help` says what there is. Artefacts go to build/, .venv/ and tetragon_py/loader/objects/.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

# V=1 shows the commands.
Q := $(if $(V),,@)
say = @printf '  %-8s %s\n' $(1) '$(2)'

CLANG ?= clang-19
STRIP ?= llvm-strip-19
CLANG_FORMAT ?= clang-format-19
# The distribution's: it has the headers of python3-dev. Any other 3.11 or newer works too.
PYTHON ?= /usr/bin/python3
VENV := .venv
BIN := $(VENV)/bin

PACKAGES := clang-19 llvm-19 clang-format-19 bpftool gcc libc6-dev libbpf-dev libelf-dev zlib1g-dev zstd \
	python3 python3-dev python3-venv

# The kernel's names of the architectures, and which one this machine is.
ARCHS := x86 arm64
ARCH := $(patsubst aarch64,arm64,$(patsubst x86_64,x86,$(shell uname -m)))
OBJECTS := tetragon_py/loader/objects
SOURCES := $(notdir $(wildcard bpf/*.bpf.c))
HEADERS := $(wildcard bpf/*.h bpf/*/*.h)
BPF_CFLAGS := -g -O2 -Wall -Wextra -Wno-unused-parameter -Werror -target bpf -mcpu=v3 -I bpf

.PHONY: all help run test check test-unit test-bpf test-e2e test-vm ci guests fuzz bench objects abi vmlinux wheel \
	install uninstall clean
all: $(BIN)/tetragon-py $(OBJECTS)/sha256sums ## build; the command is .venv/bin/tetragon-py

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

run: all ## start the agent in the foreground (as root)
	$(Q)$(BIN)/tetragon-py run --output compact --color auto

# ---- what has to be installed ----

build/packages.stamp: Makefile
	$(call say,PACKAGES,$(PACKAGES))
	$(Q)mkdir -p build
	$(Q)if ! dpkg-query -W $(PACKAGES) >/dev/null 2>&1; then \
		apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
			$(PACKAGES) >build/apt.log 2>&1 || { tail -5 build/apt.log; exit 1; }; fi
	$(Q)touch $@

# A shipper for the tests. Unpacked, not installed: no machine gets a second log daemon by it.
SHIPPER := rsyslog libestr0 libfastjson4 liblognorm5
build/rsyslog.stamp: Makefile | build/packages.stamp
	$(call say,SHIPPER,$(SHIPPER))
	$(Q)rm -rf build/rsyslog && mkdir -p build/rsyslog
	$(Q)cd build/rsyslog && download() { apt-get download -qq $(SHIPPER) >../rsyslog.log 2>&1; } && \
		{ download || { apt-get update -qq && download; } || { tail -5 ../rsyslog.log; exit 1; }; } && \
		for package in *.deb; do dpkg -x $$package .; done && rm *.deb
	$(Q)touch $@

build/venv.stamp: pyproject.toml | build/packages.stamp
	$(call say,VENV,$(VENV))
	$(Q)[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	$(Q)$(BIN)/python -m pip install -qq --disable-pip-version-check --upgrade 'pip>=25.1' 'setuptools>=77'
	$(Q)touch $@

# ---- BPF objects: every architecture compiles, the package carries this machine's ----

define object_rules
build/$(1)/%.bpf.o: bpf/%.bpf.c $(HEADERS) vmlinux/$(1)/vmlinux.h Makefile | build/packages.stamp
	$$(call say,BPF,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$(CLANG) $(BPF_CFLAGS) -D__TARGET_ARCH_$(1) -I vmlinux/$(1) -c $$< -o $$@
	$$(Q)$(STRIP) -g $$@
endef
$(foreach arch,$(ARCHS),$(eval $(call object_rules,$(arch))))

ALL_OBJECTS := $(foreach arch,$(ARCHS),$(SOURCES:%.bpf.c=build/$(arch)/%.bpf.o))
objects: $(OBJECTS)/sha256sums ## the BPF objects of all architectures

$(OBJECTS)/sha256sums: $(ALL_OBJECTS)
	$(Q)mkdir -p $(OBJECTS)
	$(Q)rm -f $(OBJECTS)/*.bpf.o
	$(Q)cp build/$(ARCH)/*.bpf.o $(OBJECTS)/
	$(Q)cd $(OBJECTS) && sha256sum *.bpf.o >sha256sums

vmlinux: ## regenerate vmlinux/*/vmlinux.h from Debian's kernels
	$(Q)$(PYTHON) vmlinux/generate.py

# ---- Python ----

EXTENSION_SOURCES := $(wildcard tetragon_py/libbpf/_*.c tetragon_py/libbpf/_*.h) \
	tetragon_py/libbpf/_build.py $(wildcard bpf/abi/*.h)

$(BIN)/tetragon-py: build/venv.stamp $(EXTENSION_SOURCES) pyproject.toml | $(OBJECTS)/sha256sums
	$(call say,PYTHON,$@)
	$(Q)$(BIN)/python -m pip install -qq --disable-pip-version-check -e .
	$(Q)touch $@

build/dev.stamp: $(BIN)/tetragon-py
	$(call say,DEV,test and lint tools)
	$(Q)$(BIN)/python -m pip install -qq --disable-pip-version-check --group dev
	$(Q)touch $@

abi: $(BIN)/tetragon-py ## regenerate tetragon_py/abi/_generated.py from bpf/abi/*.h
	$(Q)$(BIN)/python -m tetragon_py.libbpf._abi >build/_generated.py
	$(Q)mv build/_generated.py tetragon_py/abi/_generated.py

wheel: all ## build/wheel/*.whl
	$(Q)rm -rf build/wheel
	$(Q)$(BIN)/python -m pip wheel -qq --no-deps -w build/wheel .

# ---- the service of this host ----

HOME_OF_SERVICE := /opt/tetragon-py

install: wheel ## the package to /opt/tetragon-py, the service to systemd (as root)
	$(call say,INSTALL,$(HOME_OF_SERVICE))
	$(Q)[ -x $(HOME_OF_SERVICE)/bin/python ] || $(PYTHON) -m venv $(HOME_OF_SERVICE)
	$(Q)$(HOME_OF_SERVICE)/bin/python -m pip install -qq --disable-pip-version-check build/wheel/*.whl
	$(Q)$(HOME_OF_SERVICE)/bin/python -m pip install -qq --disable-pip-version-check \
		--force-reinstall --no-deps build/wheel/*.whl
	$(Q)ln -sf $(HOME_OF_SERVICE)/bin/tetragon-py /usr/local/bin/tetragon-py
	$(Q)$(HOME_OF_SERVICE)/bin/tetragon-py install-service

uninstall: ## remove both; configuration, policies and events stay
	$(Q)$(HOME_OF_SERVICE)/bin/tetragon-py uninstall-service
	$(Q)rm -rf $(HOME_OF_SERVICE)
	$(Q)rm -f /usr/local/bin/tetragon-py

# ---- tests ----

# What tells kernels apart: [smoke] of tests/vm/kernels.toml.
SMOKE := tests/vm/in_guest tests/e2e/test_exec.py tests/e2e/test_signals.py tests/e2e/test_prevention.py

PYTEST := $(BIN)/python -m pytest

test: build/dev.stamp build/rsyslog.stamp all ## everything that this machine can run
	$(Q)$(PYTEST)

check: build/dev.stamp ## format, lint, types, imports and unit tests; no root
	$(Q)$(PYTEST) tests/test_tree.py tests/unit

test-unit test-bpf test-e2e: test-%: build/dev.stamp build/rsyslog.stamp all
	$(Q)$(PYTEST) tests/$*

# Compiled here: in a guest that takes a minute.
TRIGGERS := $(patsubst tests/e2e/triggers/%.c,build/triggers/%,$(wildcard tests/e2e/triggers/*.c))
build/triggers/%: tests/e2e/triggers/%.c $(wildcard tests/e2e/triggers/*.h) | build/packages.stamp
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -static -O1 -Wall -Wextra -Werror -pthread $< -o $@

test-vm: build/dev.stamp build/rsyslog.stamp all $(TRIGGERS) ## the kernel tests on Debian's kernels, in QEMU; KERNEL=6.12 for one
	$(Q)$(BIN)/python -m tests.vm --keep-going $(KERNEL)

# Each step takes longer than the one before.
ci: build/dev.stamp build/rsyslog.stamp all $(TRIGGERS) ## all tests here, then on the kernels: 45 minutes
	$(Q)step() { local since=$$SECONDS; echo "== $$1"; "$${@:2}"; \
		echo "== $$1: $$((SECONDS - since)) s, in all $$SECONDS s"; }; \
	step 'without root' $(PYTEST) tests/test_tree.py tests/unit; \
	step 'on this kernel' $(PYTEST) --ignore=tests/test_tree.py --ignore=tests/unit; \
	step 'a guest' $(BIN)/python -m tests.vm 6.12 --run true; \
	step 'on other kernels' $(MAKE) --no-print-directory guests

# Two at a time, as each is emulated by one core: what the kernel decides, and the service, on
# one of them, beside it what can tell the others apart. `make test-vm` runs all.
DECIDED := tests/vm/in_guest tests/bpf tests/e2e/library $(addprefix tests/e2e/test_,$(addsuffix .py,\
	exec guards other_doors prevention reload signals))
guests: build/dev.stamp build/rsyslog.stamp all $(TRIGGERS)
	$(Q)vm() { $(BIN)/python -m tests.vm --timeout 3000 "$$@"; }; \
	others() { vm 7.2 5.10 -- $(SMOKE) && vm 6.1 -- $(filter-out %prevention.py,$(SMOKE)); }; \
	mkdir -p build/vm; others >build/vm/others.txt 2>&1 & others=$$!; status=0; \
	vm 6.12 -- $(DECIDED) && vm 6.12 --systemd || status=$$?; \
	wait $$others || status=$$?; \
	cat build/vm/others.txt; \
	exit $$status

fuzz: build/dev.stamp all ## random policies and hits: the kernel's classifier against plain Python
	$(Q)$(BIN)/python -m tests.fuzz

bench: build/dev.stamp all ## ratios against a C floor and against no agent at all
	$(Q)$(BIN)/python -m tests.bench

clean: ## remove what was built
	$(Q)rm -rf build $(VENV) $(OBJECTS) *.egg-info tetragon_py/libbpf/*.so
