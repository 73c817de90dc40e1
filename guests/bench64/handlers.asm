; SPDX-License-Identifier: MIT
; Handlers of the bench, as short as they can be: a round's ticks have them in them.
bits 64
default rel

section .bss align=8
global bench_handled, bench_handled_at, bench_skipped, bench_mended, bench_called, bench_mend
bench_handled:		resd 1
bench_handled_at:	resd 1
bench_skipped:		resd 1
bench_mended:		resd 1
bench_called:		resd 1
			resd 1
bench_mend:		resq 2

section .text
global bench_handler
bench_handler:
	push rax
	push rdx
	rdtsc
	mov [bench_handled_at], eax
	mov dword [bench_handled], 1
	pop rdx
	pop rax
	iretq

global bench_skip
bench_skip:
	inc dword [bench_skipped]
	add qword [rsp + 8], 2
	add rsp, 8
	iretq

global bench_fault
bench_fault:
	push rax
	push rcx
	mov rax, [bench_mend]
	mov rcx, [bench_mend + 8]
	mov [rcx], rax
	inc dword [bench_mended]
	pop rcx
	pop rax
	add rsp, 8
	iretq

global bench_syscall
bench_syscall:
	inc dword [bench_called]
	o64 sysret
