; SPDX-License-Identifier: MIT
; The start of a test guest: Multiboot 1 header, a stack, and, for a guest of 64-bit C, long mode.
;
; A Multiboot loader enters guest_start in flat 32-bit protected mode without paging, EBX = its
; information structure (Multiboot specification 0.6.96, "Machine state"). main gets its address.

MULTIBOOT_MAGIC	equ 0x1badb002
FLAGS		equ 1 << 1		; memory information wanted

PAGE		equ 3			; present, writable
PAGE_LARGE	equ 1 << 7
CR0_PG		equ 1 << 31
CR4_PAE		equ 1 << 5
CR4_SSE		equ 3 << 9		; OSFXSR, OSXMMEXCPT
MSR_EFER	equ 0xc0000080
EFER_LME	equ 1 << 8
CODE64		equ 0x08

extern main
extern guest_exit

section .multiboot progbits alloc noexec nowrite align=4
	dd MULTIBOOT_MAGIC, FLAGS, -(MULTIBOOT_MAGIC + FLAGS)

section .bss nobits alloc noexec write align=4096
%if BITS == 64
pml4:	resb 4096
pdpt:	resb 4096
pd:	resb 4 * 4096			; the first 4 GiB, identity-mapped in 2 MiB pages
%endif
	resb 16384
stack:

section .text
bits 32
global guest_start
guest_start:
	cli
	cld
	mov esp, stack
%if BITS == 32
	lgdt [gdtr]
	jmp CODE32:.flat
.flat:	mov eax, DATA
	mov ds, eax
	mov es, eax
	mov ss, eax
	mov fs, eax
	mov gs, eax
	sub esp, 12			; the ABI wants 16-byte alignment at the call
	push ebx
	call main
	push eax
	call guest_exit
%else
	mov dword [pml4], pdpt + PAGE
	mov edi, pdpt
	mov eax, pd + PAGE
	mov ecx, 4
.pdpt:	mov [edi], eax
	add edi, 8
	add eax, 4096
	loop .pdpt
	mov edi, pd
	mov eax, PAGE | PAGE_LARGE
	mov ecx, 4 * 512
.pd:	mov [edi], eax
	add edi, 8
	add eax, 1 << 21
	loop .pd
	mov eax, CR4_PAE | CR4_SSE
	mov cr4, eax
	mov eax, pml4
	mov cr3, eax
	mov ecx, MSR_EFER
	rdmsr
	or eax, EFER_LME
	wrmsr
	mov eax, cr0
	or eax, CR0_PG
	mov cr0, eax
	lgdt [gdtr]
	jmp CODE64:.long
bits 64
.long:	mov eax, DATA
	mov ds, eax
	mov es, eax
	mov ss, eax
	mov fs, eax
	mov gs, eax
	mov rsp, stack
	mov edi, ebx
	call main
	mov edi, eax
	call guest_exit
%endif

section .data
; Selectors: 0x08 64-bit code, 0x10 data, 0x18 32-bit code, 0x20 16-bit code, 0x28 16-bit data.
CODE32		equ 0x18
DATA		equ 0x10
align 8
global guest_gdt
guest_gdt:
	dq 0
	dq 0x00af9b000000ffff
	dq 0x00cf93000000ffff
	dq 0x00cf9b000000ffff
	dq 0x00009b000000ffff
	dq 0x000093000000ffff
gdtr:	dw $ - guest_gdt - 1
%if BITS == 64
	dq guest_gdt
%else
	dd guest_gdt
%endif
