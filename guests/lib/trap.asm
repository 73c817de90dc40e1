; SPDX-License-Identifier: MIT
; Interrupt gates of a test guest, and trap_run: the way out of code that faulted.

%if BITS == 64
bits 64
default rel
%define ax_ rax
%define bx_ rbx
%define cx_ rcx
%define dx_ rdx
%define si_ rsi
%define di_ rdi
%define bp_ rbp
%define sp_ rsp
%define PTR dq
%define WORD_SIZE 8
%else
bits 32
%define ax_ eax
%define bx_ ebx
%define cx_ ecx
%define dx_ edx
%define si_ esi
%define di_ edi
%define bp_ ebp
%define sp_ esp
%define PTR dd
%define WORD_SIZE 4
%endif

extern trap_dispatch

section .bss
saved_sp:	resb WORD_SIZE

section .text
%define HAS_ERROR(v) ((v) == 8 || ((v) >= 10 && (v) <= 14) || (v) == 17 || (v) == 21)
%assign v 0
%rep 256
gate_ %+ v:
%if !HAS_ERROR(v)
	push 0
%endif
	push v
	jmp enter
%assign v v + 1
%endrep

enter:
%if BITS == 64
	push r11
	push r10
	push r9
	push r8
%endif
	push ax_
	push cx_
	push dx_
	push bx_
	push bp_
	push si_
	push di_
	cld
	mov bp_, sp_
%if BITS == 64
	mov rdi, rsp
	and rsp, -16
	call trap_dispatch
%else
	mov eax, esp
	and esp, -16
	sub esp, 12
	push eax
	call trap_dispatch
%endif
	test eax, eax
	jnz unwind
	mov sp_, bp_
	pop di_
	pop si_
	pop bp_
	pop bx_
	pop dx_
	pop cx_
	pop ax_
%if BITS == 64
	pop r8
	pop r9
	pop r10
	pop r11
%endif
	add sp_, 2 * WORD_SIZE
%if BITS == 64
	iretq
%else
	iretd
%endif

; void trap_call(void (*function)(void *), void *argument): comes back also by unwind.
global trap_call
trap_call:
%if BITS == 64
	mov ax_, rdi
	mov dx_, rsi
%else
	mov eax, [esp + 4]
	mov edx, [esp + 8]
%endif
	push bx_
	push bp_
	push si_
	push di_
%if BITS == 64
	push r12
	push r13
	push r14
	push r15
	sub rsp, 8
%endif
	mov [saved_sp], sp_
%if BITS == 64
	mov rdi, rdx
	call rax
%else
	sub esp, 8
	push edx
	call eax
%endif
unwind:
	mov sp_, [saved_sp]
%if BITS == 64
	add rsp, 8
	pop r15
	pop r14
	pop r13
	pop r12
%endif
	pop di_
	pop si_
	pop bp_
	pop bx_
	ret

section .data
align 8
global trap_gates
trap_gates:
%assign v 0
%rep 256
	PTR gate_ %+ v
%assign v v + 1
%endrep
