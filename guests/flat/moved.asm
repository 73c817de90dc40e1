; SPDX-License-Identifier: MIT
; A flat Multiboot 2 kernel (addresses and entry in its header) that wants to be moved: as high as
; it can be below 16 MiB, on 1 MiB. It is told its address, which must be where it runs.

MAGIC		equ 0xe85250d6
LINKED		equ 0x200000
HIGHEST		equ 0xffffff
ALIGNMENT	equ 0x100000
COM1		equ 0x3f8
DEBUG_EXIT	equ 0xf4

	bits 32
	org LINKED

image:
header:	dd MAGIC, 0, .end - header, -(MAGIC + .end - header)
	dw 2, 0				; addresses
	dd 24, header, image, 0, bss_end
	dw 3, 0				; entry
	dd 12, entry
	align 8, db 0
	dw 10, 0			; relocatable, and rather high
	dd 24, 0, HIGHEST, ALIGNMENT, 2
	dw 0, 0
	dd 8
.end:

entry:	cmp eax, 0x36d76289
	jne fail
	call .here
.here:	pop ebp
	sub ebp, .here - image		; where the image is
	lea esi, [ebx + 8]
.tag:	cmp dword [esi], 21
	je .found
	cmp dword [esi], 0
	je fail
	mov eax, [esi + 4]
	add eax, 7
	and eax, -8
	add esi, eax
	jmp .tag
.found:	cmp [esi + 8], ebp		; the load address
	jne fail
	cmp ebp, HIGHEST + 1 - ALIGNMENT
	jne fail
	lea ecx, [ebp + bss_end - image - 4]
	cmp dword [ecx], 0
	jne fail
	lea esi, [ebp + passed - image]
	mov dx, COM1
.print:	lodsb
	test al, al
	jz .end
	out dx, al
	jmp .print
.end:	xor eax, eax
	out DEBUG_EXIT, al
	hlt

fail:	mov al, 1
	out DEBUG_EXIT, al
	hlt

passed:	db 'ok 1 - moved to where it was told', 13, 10, 0
bss_end	equ $ + 0x1000
