; SPDX-License-Identifier: MIT
; General registers held over a loop: each is the pattern times a number of its own.

bits 64

ROUNDS		equ 20000

section .text
; unsigned registers_hold(uint64_t pattern): how many are not what they were
global registers_hold
registers_hold:
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	mov rax, rdi
	mov ecx, ROUNDS
%assign n 3
%macro EACH 1-*
%rep %0
	imul %1, rdi, n
	%assign n n + 2
	%rotate 1
%endrep
%endmacro
	EACH rbx, rdx, rsi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
	; DF and the status flags, too.
	std
	stc
.again:	lea rcx, [rcx - 1]
	jrcxz .look
	jnc .look
	jmp .again
.look:	pushfq
	cld
	xor rax, rdi
	mov [accumulated], rax
	pop rax
	and eax, 0x401
	xor eax, 0x401
	or [accumulated], rax
%assign n 3
%macro COMPARE 1-*
%rep %0
	imul rax, rdi, n
	xor rax, %1
	or [accumulated], rax
	%assign n n + 2
	%rotate 1
%endrep
%endmacro
	COMPARE rbx, rdx, rsi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
	xor eax, eax
	cmp qword [accumulated], 0
	setne al
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret

section .bss
accumulated:	resq 1
