; SPDX-License-Identifier: MIT
; The tour of the modes: modes_tour starts and ends in flat 32-bit protected mode without paging,
; and notes at each stop what it finds there.
;
; The real-mode part runs at LOW, below 1 MiB, where modes_tour copies it.

LOW		equ 0x8000
CODE64		equ 0x08
DATA		equ 0x10
CODE32		equ 0x18
CODE16		equ 0x20		; base 0, limit 0xffff
DATA16		equ 0x28
CR0_PE		equ 1
CR0_PG		equ 1 << 31
CR4_PAE		equ 1 << 5
MSR_EFER	equ 0xc0000080
EFER_LME	equ 1 << 8

extern modes_pml4
extern modes_pdpt
extern guest_gdt
extern modes_toggle

section .data
align 8
real_idtr:	dw 0x3ff
		dd 0
; What was found: see struct stops in modes.c.
global modes_stops
modes_stops:
.pae_cr0:	dd 0
.compat_efer:	dd 0
.long_rax:	dq 0
.long_rip:	dq 0
.back_efer:	dd 0
.real_cs:	dd 0
.real_cr0:	dd 0
.real_byte:	dd 0
.real_int:	dd 0
.unreal:	dd 0
.rounds:	dd 0
.smsw:		dd 0

section .bss
saved_sp:	resd 1
saved_idtr:	resb 8

section .text
bits 32
global modes_tour
modes_tour:
	pushad
	sidt [saved_idtr]
	mov [saved_sp], esp
	mov esi, low_start
	mov edi, LOW
	mov ecx, low_end - low_start
	rep movsb

	; PAE paging.
	mov eax, cr4
	or eax, CR4_PAE
	mov cr4, eax
	mov eax, modes_pdpt
	mov cr3, eax
	mov eax, cr0
	or eax, CR0_PG
	xor eax, [modes_toggle]
	mov cr0, eax
	mov eax, cr0
	mov [modes_stops.pae_cr0], eax
	and eax, ~CR0_PG
	xor eax, [modes_toggle]
	mov cr0, eax

	; IA-32e mode: compatibility mode first.
	mov eax, modes_pml4
	mov cr3, eax
	mov ecx, MSR_EFER
	rdmsr
	or eax, EFER_LME
	wrmsr
	mov eax, cr0
	or eax, CR0_PG
	xor eax, [modes_toggle]
	mov cr0, eax
	rdmsr
	mov [modes_stops.compat_efer], eax
	jmp CODE64:.long
bits 64
.long:	mov rax, 0x123456789abcdef0
	push rax
	cpuid
	pop rax
	mov [rel modes_stops.long_rax], rax
	lea rax, [rel .long]
	mov [rel modes_stops.long_rip], rax
	push CODE32
	lea rax, [rel .compat]
	push rax
	o64 retf
bits 32
.compat:
	; Out of IA-32e mode: paging off in compatibility mode.
	mov eax, cr0
	and eax, ~CR0_PG
	xor eax, [modes_toggle]
	mov cr0, eax
	mov ecx, MSR_EFER
	rdmsr
	mov [modes_stops.back_efer], eax
	and eax, ~EFER_LME
	wrmsr
	mov eax, cr4
	and eax, ~CR4_PAE
	mov cr4, eax

	; Real mode, by way of 16-bit protected mode, which leaves FS its 4 GiB.
	lidt [real_idtr]
	mov ax, DATA
	mov fs, ax
	mov ax, DATA16
	mov ds, ax
	mov es, ax
	mov ss, ax
	jmp CODE16:LOW

global modes_back
modes_back:
	mov ax, DATA
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov fs, ax
	mov gs, ax
	mov esp, [saved_sp]
	lidt [saved_idtr]
	inc dword [modes_stops.rounds]
	popad
	ret

bits 16
%define AT(label) (LOW + (label) - low_start)
low_start:
	mov eax, cr0
	and al, ~CR0_PE
	mov cr0, eax
	jmp 0:AT(real)
real:	xor ax, ax
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov sp, LOW
	mov ax, cs
	movzx eax, ax
	; FS has no limit of 64 KiB any more.
	mov [fs:dword modes_stops.real_cs], eax
	mov eax, cr0
	mov [fs:dword modes_stops.real_cr0], eax
	mov eax, 0x600d
	mov [fs:dword modes_stops.unreal], eax
	; A segment of real mode: 0x7f0:0x110 is LOW + 16.
	mov ax, 0x7f0
	mov es, ax
	movzx eax, byte [es:0x110]
	xor al, [AT(low_start) + 16]
	mov [fs:dword modes_stops.real_byte], eax
	; INT n through the table at 0, and CPUID in its handler.
	mov word [4 * 0x70], AT(handler)
	mov word [4 * 0x70 + 2], 0
	mov ebx, 0
	int 0x70
	mov [fs:dword modes_stops.real_int], ebx
	smsw ax
	movzx eax, ax
	mov [fs:dword modes_stops.smsw], eax
	; LMSW sets PE.
	or al, CR0_PE
	lmsw ax
	jmp dword CODE32:modes_back
handler:
	mov eax, 0x40000000
	cpuid
	iret
low_end:
