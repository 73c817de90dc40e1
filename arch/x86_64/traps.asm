; SPDX-License-Identifier: MIT
; Interrupt gates: one stub for each vector, one enter_c path to C and back; MSR accesses that may
; fault.
bits 64
default rel

extern traps_dispatch

section .text

; Vectors whose exceptions push an error code (Intel SDM volume 3, "Error Code").
%define HAS_ERROR_CODE(v) ((v) == 8 || ((v) >= 10 && (v) <= 14) || (v) == 17 || (v) == 21)

; Short, as there are 256: push and jump are two bytes each, and each 16 of them have the two long
; jumps that they reach. traps.c computes where they are.
STUBS_IN_GROUP	equ 16
GROUP_BYTES	equ 80

global trap_stubs
align 16
trap_stubs:
%assign v 0
%rep 256 / STUBS_IN_GROUP
%assign group v
.group_ %+ group:
%rep STUBS_IN_GROUP
	push strict byte (v & 127) - (v & 128)
%if HAS_ERROR_CODE(v)
	jmp short .with_code_ %+ group
%else
	jmp short .without_code_ %+ group
%endif
%assign v v + 1
%endrep
.with_code_ %+ group:
	jmp strict near enter_c
.without_code_ %+ group:
	jmp strict near enter_without_code
	times GROUP_BYTES - ($ - .group_ %+ group) int3
%endrep

enter_without_code:
	push qword [rsp]
	mov qword [rsp + 8], 0
enter_c:
	and qword [rsp], 0xff		; the byte was sign-extended
	push rax
	push rcx
	push rdx
	push rbx
	push rbp
	push rsi
	push rdi
	push r8
	push r9
	push r10
	push r11
	push r12
	push r13
	push r14
	push r15
	cld
	mov rdi, rsp
	mov rbp, rsp
	and rsp, -16
	call traps_dispatch
	mov rsp, rbp
	pop r15
	pop r14
	pop r13
	pop r12
	pop r11
	pop r10
	pop r9
	pop r8
	pop rdi
	pop rsi
	pop rbp
	pop rbx
	pop rdx
	pop rcx
	pop rax
	add rsp, 16			; vector, error code
	iretq

; void irq_enable_and_halt(void)
; STI takes effect after the next instruction, so that no interrupt slips in between it and HLT. An
; NMI may, and its IRET ends that: its handler does not return to HLT, but behind it.
global irq_enable_and_halt
global idle_halt
irq_enable_and_halt:
	sti
idle_halt:
	hlt
	cli
	ret

; bool rdmsr_safe(uint32_t msr, uint64_t *value)
global rdmsr_safe
global rdmsr_safe_access
rdmsr_safe:
	mov ecx, edi
rdmsr_safe_access:
	rdmsr
	shl rdx, 32
	or rax, rdx
	mov [rsi], rax
	mov eax, 1
	ret

; bool wrmsr_safe(uint32_t msr, uint64_t value)
global wrmsr_safe
global wrmsr_safe_access
wrmsr_safe:
	mov ecx, edi
	mov eax, esi
	mov rdx, rsi
	shr rdx, 32
wrmsr_safe_access:
	wrmsr
	mov eax, 1
	ret

; Where traps_dispatch resumes when one of the two accesses faulted.
global msr_safe_failed
msr_safe_failed:
	xor eax, eax
	ret
