; SPDX-License-Identifier: MIT
; The gate of NMIs while fault=nmis runs: each is noted, then taken as ever.
bits 64
default rel

extern nmis_taken

section .bss
global nmi_original
nmi_original: resq 1			; Socle's own gate

section .text

; On the stack of NMIs, which the CPU has aligned.
global nmi_gate
nmi_gate:
	push rax
	push rcx
	push rdx
	push rsi
	push rdi
	push r8
	push r9
	push r10
	push r11
	lea rdi, [rsp + 9 * 8]		; RIP, CS, RFLAGS, RSP, SS
	cld
	call nmis_taken
	test al, al
	pop r11
	pop r10
	pop r9
	pop r8
	pop rdi
	pop rsi
	pop rdx
	pop rcx
	pop rax
	jnz .done
	jmp [nmi_original]
.done:
	iretq
