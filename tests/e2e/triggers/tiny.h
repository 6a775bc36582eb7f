/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The smallest program that leaves a mark: its first instructions write one byte to descriptor
 * 100, its next ones leave with status 42. No loader, no library, no other system call.
 */
#ifndef TINY_H
#define TINY_H

#include <elf.h>
#include <string.h>
#include <unistd.h>

#define TINY_FD 100
#define TINY_STATUS 42
#define TINY_BASE 0x10000000UL

extern const char tiny_start[], tiny_mark[], tiny_end[];

#if defined(__x86_64__)
#define TINY_MACHINE EM_X86_64
asm(".pushsection .rodata\n"
    ".globl tiny_start, tiny_mark, tiny_end\n"
    "tiny_start:\n"
    "	mov $1, %eax\n" /* write(100, tiny_mark, 1) */
    "	mov $100, %edi\n"
    "	lea tiny_mark(%rip), %rsi\n"
    "	mov $1, %edx\n"
    "	syscall\n"
    "	mov $60, %eax\n" /* exit(42) */
    "	mov $42, %edi\n"
    "	syscall\n"
    "tiny_mark: .byte 0\n"
    "tiny_end:\n"
    ".popsection\n");
#elif defined(__aarch64__)
#define TINY_MACHINE EM_AARCH64
asm(".pushsection .rodata\n"
    ".globl tiny_start, tiny_mark, tiny_end\n"
    ".balign 4\n"
    "tiny_start:\n"
    "	mov x8, #64\n"
    "	mov x0, #100\n"
    "	adr x1, tiny_mark\n"
    "	mov x2, #1\n"
    "	svc #0\n"
    "	mov x8, #93\n"
    "	mov x0, #42\n"
    "	svc #0\n"
    "tiny_mark: .byte 0\n"
    "tiny_end:\n"
    ".popsection\n");
#endif

/* Returns the size of the image; `mark` is the byte that it writes. */
static inline int tiny_image(char *image, char mark)
{
	int code = tiny_end - tiny_start, head = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr);
	Elf64_Ehdr file = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, 1 },
		.e_type = ET_EXEC,
		.e_machine = TINY_MACHINE,
		.e_version = 1,
		.e_entry = TINY_BASE + head,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 1,
	};
	Elf64_Phdr part = {
		.p_type = PT_LOAD,
		.p_flags = PF_R | PF_X,
		.p_vaddr = TINY_BASE,
		.p_filesz = head + code,
		.p_memsz = head + code,
		.p_align = 4096,
	};

	memcpy(image, &file, sizeof(file));
	memcpy(image + sizeof(file), &part, sizeof(part));
	memcpy(image + head, tiny_start, code);
	image[head + (tiny_mark - tiny_start)] = mark;
	return head + code;
}

#endif /* TINY_H */
