; SPDX-License-Identifier: MIT
; The interrupt handler whose first instruction reads the TSC.

bits 64
default rel

X2APIC_EOI	equ 0x80b

extern ipi_arrived, ipi_count, ipi_eoi

section .text
global ipi_handler
ipi_handler:
	push rax			; not counted: RDTSC needs both
	push rdx
	rdtsc
	push rcx
	mov [ipi_arrived], eax
	mov [ipi_arrived + 4], edx
	cmp dword [ipi_eoi], 0
	jne .memory
	mov ecx, X2APIC_EOI
	xor eax, eax
	xor edx, edx
	wrmsr
	jmp .end
.memory:
	mov eax, [ipi_eoi]
	mov dword [rax], 0
.end:	lock inc dword [ipi_count]
	pop rcx
	pop rdx
	pop rax
	iretq
