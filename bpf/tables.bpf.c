// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * No program: creates the maps that all other objects share.
 */
#include "maps.bpf.h"
#include "tables.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
