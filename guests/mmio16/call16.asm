; SPDX-License-Identifier: MIT
; Routines of 16-bit code on device memory, and call16, by which 32-bit code calls them.

CODE16		equ 0x20
DATA16		equ 0x28
CR0_PE		equ 1

section .data
target:	dd 0
	dw CODE16

section .text
bits 32
; void call16(struct regs16 *regs, const void *routine): with regs->ax .. di, DS as DATA16 and the
; other segments flat. The routine returns by a far return of 32 bits and keeps EBP.
global call16
call16:
	pushad
	mov ebp, [esp + 36]
	mov eax, [esp + 40]
	sub eax, code16
	mov [target], eax
	mov eax, DATA16
	mov ds, eax
	mov eax, [ebp]
	mov ebx, [ebp + 4]
	mov ecx, [ebp + 8]
	mov edx, [ebp + 12]
	mov esi, [ebp + 16]
	mov edi, [ebp + 20]
	call far [cs:target]
	mov [ebp], eax
	mov [ebp + 4], ebx
	mov [ebp + 8], ecx
	mov [ebp + 12], edx
	mov [ebp + 16], esi
	mov [ebp + 20], edi
	push ss
	pop ds
	push ss
	pop es
	push ss
	pop fs
	popad
	ret

bits 16
global code16, load_direct, load_word, load_byte, store_indexed, load_scaled, load_fs
global add_memory, exchange, copy_string, store_string, real_mode
code16:

load_direct:
	mov eax, [0x380]
	o32 retf

load_word:
	mov ax, [di]
	o32 retf

load_byte:
	mov ah, [bx + 2]
	o32 retf

store_indexed:
	mov [bx + si + 0x80], eax
	o32 retf

load_scaled:
	mov eax, [ebx + ecx * 4 + 0x300]
	o32 retf

load_fs:
	push ds
	pop fs
	push ss
	pop ds
	mov eax, [fs:bx]
	o32 retf

add_memory:
	add [0x380], ecx
	sbb edx, edx			; all ones when there was a carry
	o32 retf

exchange:
	xchg [bx], eax
	o32 retf

copy_string:
	rep movsb
	o32 retf

store_string:
	push ds
	pop es
	rep stosd
	o32 retf

; The descriptors stay as they are loaded, bases, limits and the size of the code included.
real_mode:
	mov eax, cr0
	and al, ~CR0_PE
	mov cr0, eax
	mov edx, [0x380]
	add [0x380], ecx
	movzx ebx, byte [0x381]
	or al, CR0_PE
	mov cr0, eax
	o32 retf
