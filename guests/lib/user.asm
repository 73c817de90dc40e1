; SPDX-License-Identifier: MIT
; The step to CPL 3.

USER_CODE32	equ 0x33
USER_DATA	equ 0x3b
USER_CODE64	equ 0x43

section .text
; void user_enter(void (*function)(void *), void *argument, uintptr_t stack)
global user_enter
%if BITS == 64
bits 64
default rel
user_enter:
	sub rdx, 8
	lea rax, [user_end]
	mov [rdx], rax
	push USER_DATA
	push rdx
	push 2
	push USER_CODE64
	push rdi
	mov rdi, rsi
	iretq
%else
bits 32
user_enter:
	mov eax, [esp + 4]
	mov ecx, [esp + 8]
	mov edx, [esp + 12]
	sub edx, 20			; the ABI's alignment at a call
	mov [edx + 4], ecx
	mov dword [edx], user_end
	mov ecx, USER_DATA
	mov ds, ecx
	mov es, ecx
	mov fs, ecx
	mov gs, ecx
	push USER_DATA
	push edx
	push 2
	push USER_CODE32
	push eax
	iretd
%endif

user_end:
	int3				; its gate has DPL 0: #GP, and so back
