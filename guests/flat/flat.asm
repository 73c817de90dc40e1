; SPDX-License-Identifier: MIT
; A flat image for the mode MODE (16, 32 or 64): it checks how it was entered. It is at home at
; load=0x12000 entry=0x12100, and in 16-bit mode CS has the upper part of that.

LOAD		equ 0x12000
ENTRY		equ 0x100
COM1		equ 0x3f8
DEBUG_EXIT	equ 0xf4
CR0_PE_PG	equ 1 << 31 | 1

	bits MODE
%if MODE == 16
	org LOAD & 0xffff
%define IN(name) cs:name
%else
	org LOAD
%define IN(name) name
%endif

; `test WHAT`: ZF at this moment is the result.
%macro test_line 1
	call report
	db %1, 13, 10, 0
%endmacro

image:	db 'flat'
	times ENTRY - ($ - image) db 0xf4	; hlt: this is not the entry

entry:
%if MODE == 16
	mov ax, sp
	cmp ax, 0x600			; a stack above vectors and BIOS data
	setb al
	mov bl, al
	call .here
.here:	pop ax
	cmp ax, .here
	test_line 'IP counts from CS'
	mov ax, cs
	cmp ax, LOAD >> 16 << 12
	test_line 'CS is in whole 64 KiB'
	test bl, bl
	test_line 'there is a stack'
	mov ax, ds
	mov bx, es
	or ax, bx
	mov bx, ss
	or ax, bx
	mov bx, fs
	or ax, bx
	mov bx, gs
	or ax, bx
	test_line 'the other segments are 0'
	smsw ax
	test al, 1
	test_line 'real mode'
	int 0x13			; there is no BIOS: it refuses
	sbb ax, ax
	inc ax
	test_line 'a BIOS call returns with carry'
%else
%if MODE == 64
	%define A rax
	%define B rbx
%else
	%define A eax
	%define B ebx
%endif
	mov ebp, eax
	or ebp, ebx
	or ebp, ecx
	or ebp, edx
	or ebp, esi
	or ebp, edi
	test_line 'general registers are 0'
	call .here
.here:	pop A
	cmp A, .here
	test_line 'the code is where it was wanted'
	mov A, cr0
	and eax, CR0_PE_PG
%if MODE == 64
	cmp eax, CR0_PE_PG
	test_line 'protected mode with paging'
	mov ecx, 0xc0000080
	rdmsr
	and eax, 0x500
	cmp eax, 0x500
	test_line 'long mode'
	mov rax, cr3
	mov rax, [rax]			; the first page tables: 4 GiB as they are
	and rax, -4096
	mov rax, [rax + 3 * 8]
	and rax, -4096
	mov rax, [rax + 511 * 8]
	and rax, -0x200000
	mov ebx, 0xffe00000
	cmp rax, rbx
	test_line 'the last 2 MiB below 4 GiB are mapped'
%else
	cmp eax, 1
	test_line 'protected mode, no paging'
%endif
	mov ecx, ds
	lsl eax, ecx
	inc eax
	test_line 'DS is flat, in the GDT as well'
	mov ecx, ss
	lsl eax, ecx
	inc eax
	test_line 'SS is flat, in the GDT as well'
%endif
	pushf
%if MODE == 16
	pop ax
%else
	pop A
%endif
	test ah, 2
	test_line 'interrupts are off'
	cmp dword [IN(image)], 'flat'
	test_line 'the image is all there'

	mov al, [IN(failed)]
	out DEBUG_EXIT, al
	hlt

; The line after the call, with ok or not ok before it; keeps no registers but BX, SP.
report:
%if MODE == 16
	pop si
	jz .ok
	inc byte [IN(failed)]
	mov di, not_ok
	call print
	jmp .what
.ok:	mov di, ok
	call print
.what:	mov di, si
	call print
	jmp di

print:	mov al, [cs:di]
	inc di
	test al, al
	jz .end
	mov dx, COM1
	out dx, al
	jmp print
.end:	ret
%else
%if MODE == 64
	%define SI rsi
	%define DI rdi
%else
	%define SI esi
	%define DI edi
%endif
	pop SI
	jz .ok
	inc byte [failed]
	mov edi, not_ok
	call print
	jmp .what
.ok:	mov edi, ok
	call print
.what:	mov DI, SI
	call print
	jmp DI

print:	mov al, [DI]
	inc DI
	test al, al
	jz .end
	mov dx, COM1
	out dx, al
	jmp print
.end:	ret
%endif

not_ok:	db 'not '			; and on
ok:	db 'ok - ', 0
failed:	db 0
