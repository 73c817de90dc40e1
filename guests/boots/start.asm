; SPDX-License-Identifier: MIT
; A kernel of all 32-bit boot protocols at once: Multiboot 1 and 2 headers, and the note of PVH. It
; keeps the state of the CPU at its entry for the checks in C.
;
; The header of Multiboot 1 has the addresses of a flat image too, for who sets bit 16 of its flags.

MAGIC1		equ 0x1badb002
FLAGS1		equ 1 << 0 | 1 << 1 | 1 << 2	; aligned modules, memory information, video mode
MAGIC2		equ 0xe85250d6
OPTIONAL	equ 1
NOTE_PHYS32	equ 18

extern main
extern guest_exit
extern guest_end
global entry_state
global guest_start

section .multiboot progbits alloc noexec nowrite align=8
bits 32
image:	jmp guest_start			; entered here as a flat image
align 8
header1:
	dd MAGIC1, FLAGS1, -(MAGIC1 + FLAGS1)
	dd header1, image, 0, guest_end, guest_start
	dd 0, 1024, 768, 32		; graphics, if there were any
align 8
header2:
	dd MAGIC2, 0, header2_end - header2, -(MAGIC2 + header2_end - header2)
	dw 1, 0				; information that must be understood
	dd 8 + 4 * 7, 1, 2, 3, 4, 6, 9, 14
align 8
	dw 6, 0				; aligned modules
	dd 8
	dw 5, OPTIONAL			; framebuffer
	dd 20, 1024, 768, 32
align 8
	dw 4, 0				; a console is required, and EGA text will do
	dd 12, 3
align 8
	dw 7, 0				; EFI's tags, whatever they require
	dd 8
	dw 9, 0
	dd 12, 0x12345678
align 8
	dw 99, OPTIONAL			; nobody knows this one
	dd 12, 0x12345678
align 8
	dw 0, 0
	dd 8
header2_end:

section .note.Xen note alloc noexec nowrite align=4
	dd 4, 4, NOTE_PHYS32, 'Xen', guest_start

section .bss nobits alloc noexec write align=16
	resb 16384
stack:

section .data
entry_state:				; struct entry_state of boots.c
	times 9 dd 0

section .text
bits 32
guest_start:
	mov [entry_state], eax
	mov [entry_state + 4], ebx
	mov esp, stack
	pushfd
	pop dword [entry_state + 8]
	mov eax, cr0
	mov [entry_state + 12], eax
	mov eax, cr4
	mov [entry_state + 16], eax
	mov eax, cs
	lsl eax, eax
	mov [entry_state + 20], eax
	mov eax, ds
	lsl eax, eax
	mov [entry_state + 24], eax
	mov eax, ss
	lsl eax, eax
	mov [entry_state + 28], eax
	str eax
	mov [entry_state + 32], eax
	cld
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

section .data
; As guests/lib/start.asm has them.
DATA		equ 0x10
CODE32		equ 0x18
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
	dd guest_gdt
