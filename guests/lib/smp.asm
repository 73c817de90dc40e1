; SPDX-License-Identifier: MIT
; Where the other CPUs of a test guest begin: a page of real-mode code, copied below 1 MiB, that
; writes down the state in which the start-up IPI left the CPU and goes on to 64-bit code.

%if BITS == 64

STACKS		equ 0x600000		; SMP_STACKS
STACK_SIZE	equ 0x4000
CODE64		equ 0x08
DATA		equ 0x10
MSR_EFER	equ 0xc0000080
EFER_LMA	equ 1 << 10

extern smp_main

section .text
bits 16
%define AT(label) (label - smp_trampoline)
global smp_trampoline
smp_trampoline:
	mov [cs:AT(entry.eax)], eax
	mov [cs:AT(entry.ebx)], ebx
	mov [cs:AT(entry.ecx)], ecx
	mov [cs:AT(entry.edx)], edx
	mov [cs:AT(entry.esp)], esp
	mov [cs:AT(entry.esi)], esi
	mov eax, cr0
	mov [cs:AT(entry.cr0)], eax
	mov eax, cr3
	mov [cs:AT(entry.cr3)], eax
	mov eax, cr4
	mov [cs:AT(entry.cr4)], eax
	mov [cs:AT(entry.cs)], cs
	mov [cs:AT(entry.ds)], ds
	mov [cs:AT(entry.ss)], ss
	mov ax, cs
	mov ss, ax
	mov sp, 0x1000
	pushfd
	pop dword [cs:AT(entry.flags)]
	cli
	cld

	mov eax, [cs:AT(state.cr4)]
	mov cr4, eax
	mov eax, [cs:AT(state.cr3)]
	mov cr3, eax
	mov ecx, MSR_EFER
	mov eax, [cs:AT(state.efer)]
	and eax, ~EFER_LMA
	xor edx, edx
	wrmsr
	o32 lgdt [cs:AT(state.gdtr)]
	mov eax, [cs:AT(state.cr0)]
	mov cr0, eax
	jmp dword CODE64:long_mode

align 4
global smp_trampoline_entry, smp_trampoline_state, smp_trampoline_end
smp_trampoline_entry:			; struct smp_entry
entry:
.eax:	dd 0
.ebx:	dd 0
.ecx:	dd 0
.edx:	dd 0
.esp:	dd 0
.esi:	dd 0
.cr0:	dd 0
.cr3:	dd 0
.cr4:	dd 0
.flags:	dd 0
.cs:	dw 0
.ds:	dw 0
.ss:	dw 0
	dw 0
smp_trampoline_state:			; struct state of smp.c
state:
.cr0:	dd 0
.cr3:	dd 0
.cr4:	dd 0
.efer:	dd 0
.gdtr:	dw 0
	dq 0
	times 6 db 0
smp_trampoline_end:

bits 64
long_mode:
	mov eax, DATA
	mov ds, eax
	mov es, eax
	mov ss, eax
	xor eax, eax
	mov fs, eax
	mov gs, eax
	mov eax, 1
	cpuid
	shr ebx, 24
	mov edi, ebx
	lea eax, [rbx + 1]
	imul eax, STACK_SIZE
	lea rsp, [rax + STACKS]
	call smp_main
%endif
