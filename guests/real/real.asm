; SPDX-License-Identifier: MIT
; Real mode and virtual-8086 mode: the 16-bit code that real.c looks at, and the ways into it and
; out. The code runs at LOW, where real_copy puts it; what it finds it stores from RESULTS on.

LOW		equ 0x8000
RESULTS		equ 0x7000		; struct results in real.c
CASES		equ RESULTS		; eight bytes each: vector, IP, SP, CS
VALUES		equ RESULTS + 0x100	; words
SEEN		equ 0x7800		; the last fault: vector, IP, SP, CS
RESUME		equ 0x7810		; where a fault's handler goes on
DATA		equ 0x10
CODE32		equ 0x18
CODE16		equ 0x20		; base 0, limit 0xffff
DATA16		equ 0x28
CR0_PE		equ 1
CR0_NW		equ 1 << 29
SCRATCH		equ 0x3ff
PIC_COMMAND	equ 0x20
PIC_DATA	equ 0x21
PIC_BASE	equ 0x70
PIT_CHANNEL0	equ 0x40
PIT_COMMAND	equ 0x43
WRAP		equ 0x1000		; a segment whose last bytes are run

%define AT(label) (LOW + (label) - low_start)

section .data
align 8
real_idtr:	dw 0x3ff
		dd 0
; EAX, vector, error code, EIP, CS, EFLAGS, ESP, ECX, EDI of virtual-8086 code as it was left.
global v86_state
v86_state:	times 9 dd 0

section .bss
saved_sp:	resd 1
saved_idtr:	resb 8

section .text
bits 32
global real_copy
real_copy:
	push esi
	push edi
	mov esi, low_start
	mov edi, LOW
	mov ecx, low_end - low_start
	rep movsb
	pop edi
	pop esi
	ret

global real_run
real_run:
	pushad
	sidt [saved_idtr]
	mov [saved_sp], esp
	lidt [real_idtr]
	mov ax, DATA16
	mov ds, ax
	mov es, ax
	mov fs, ax
	mov gs, ax
	mov ss, ax
	jmp CODE16:LOW
real_back:
	mov ax, DATA
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov fs, ax
	mov gs, ax
	mov esp, [saved_sp]
	lidt [saved_idtr]
	popad
	ret

; void v86_enter(uint32_t ip, uint32_t eflags): comes back by the gates below.
global v86_enter
v86_enter:
	mov eax, [esp + 4]
	mov edx, [esp + 8]
	pushad
	mov [saved_sp], esp
	mov ecx, 0x900
	push ecx			; GS
	push ecx			; FS
	push ecx			; DS
	push ecx			; ES
	push dword 0x700		; SS
	push dword 0x0f00		; ESP: 0x7f00 linear
	push edx
	push dword 0			; CS
	push eax
	mov eax, 0xabcd1234
	mov ecx, 300
	mov edi, 0x20
	iretd

%macro GATE 2				; vector, has an error code
global v86_gate_%1
v86_gate_%1:
%if %2 == 0
	push dword 0
%endif
	push dword %1
	jmp v86_leave
%endmacro
GATE 6, 0
GATE 13, 1
GATE 33, 0
v86_leave:
	push ecx
	mov cx, DATA
	mov ds, cx
	mov es, cx
	pop ecx
	mov [v86_state + 0], eax
	mov [v86_state + 28], ecx
	mov [v86_state + 32], edi
	pop dword [v86_state + 4]
	pop dword [v86_state + 8]
	pop dword [v86_state + 12]
	pop dword [v86_state + 16]
	pop dword [v86_state + 20]
	pop dword [v86_state + 24]
	mov esp, [saved_sp]
	popad
	ret

; The pieces of virtual-8086 code, as offsets from 0.
global v86_pieces
v86_pieces:
	dd AT(v86_int), AT(v86_cli), AT(v86_in), AT(v86_hlt), AT(v86_cpuid), AT(v86_ins)
	dd AT(v86_rdmsr), AT(v86_vmcall), AT(v86_ud), AT(v86_cr0), AT(v86_iret)

bits 16
low_start:
	mov eax, cr0
	and al, ~CR0_PE
	mov cr0, eax
	jmp 0:AT(real)

; A case: its code, and what its fault looked like: IP from the start of the code, SP from before.
%macro CASE 2+
	mov word [RESUME], AT(%%after)
	mov word [SEEN], 0xffff
	jmp %%at
%%at:	%2
%%after:
	mov ax, [SEEN]
	mov [CASES + 8 * %1], ax
	mov ax, [SEEN + 2]
	sub ax, AT(%%at)
	mov [CASES + 8 * %1 + 2], ax
	mov ax, [SEEN + 4]
	sub ax, sp
	mov [CASES + 8 * %1 + 4], ax
	mov ax, [SEEN + 6]
	mov [CASES + 8 * %1 + 6], ax
%endmacro

%macro VECTOR 2
	mov word [4 * %1], AT(%2)
	mov word [4 * %1 + 2], 0
%endmacro

real:	xor ax, ax
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov sp, LOW - 0x200
	VECTOR 0, fault0
	VECTOR 6, fault6
	VECTOR 12, fault12
	VECTOR 13, fault13
	VECTOR PIC_BASE, timer
	VECTOR 0x71, int71

	CASE 0, ud2
	xor cl, cl
	CASE 1, div cl
	CASE 2, mov eax, [0xfffe]
	mov bp, 0xffff
	CASE 3, mov ax, [bp]
	mov ecx, 0xdeadbeef
	CASE 4, rdmsr
	CASE 5, rdpmc
	mov eax, cr0
	or eax, CR0_NW
	CASE 6, mov cr0, eax
	mov dx, SCRATCH
	mov di, 0xffff
	CASE 7, insw
	mov edi, 0x10000
	CASE 8, a32 insb
	; The last bytes of a segment: a NOP, and an instruction that exits.
	mov ax, WRAP
	mov es, ax
	mov word [es:0], 0x0b0f		; UD2, should IP wrap
	mov word [es:0xfffe], 0x9090
	CASE 9, jmp WRAP:0xffff
	mov word [es:0xfffe], 0xa20f	; CPUID
	CASE 10, jmp WRAP:0xfffe
	xor ax, ax
	mov es, ax

	; INT n and IRET: flags come back, IF and TF are clear in the handler.
	sti
	stc
	int 0x71
	pushf
	cli
	pop word [VALUES + 2]
	; CPUID where CS is not 0.
	mov ebx, 0
	call 0x7f0:AT(far_cpuid) - 0x7f00
	mov [VALUES + 4], ebx
	; The timer by the PIC: three ends of HLT.
	mov al, 0x11
	out PIC_COMMAND, al
	mov al, PIC_BASE
	out PIC_DATA, al
	mov al, 4
	out PIC_DATA, al
	mov al, 1
	out PIC_DATA, al
	mov al, 0xfe
	out PIC_DATA, al
	mov al, 0x34
	out PIT_COMMAND, al
	mov al, 0
	out PIT_CHANNEL0, al
	mov al, 4
	out PIT_CHANNEL0, al
	mov word [VALUES + 8], 0
	sti
	hlt
	hlt
	hlt
	cli
	mov al, 0xff
	out PIC_DATA, al
	; String I/O: 300 bytes to 0x2000:0xfff0, downwards, and OUTSB of ES.
	mov dx, SCRATCH
	mov al, 0x6b
	out dx, al
	mov ax, 0x2000
	mov es, ax
	mov ecx, 0x55550000 + 300
	mov edi, 0x66660000 + 0x1000
	std
	rep insb
	cld
	mov [VALUES + 12], ecx
	mov [VALUES + 16], edi
	mov al, [es:0x1000]
	mov ah, [es:0x1000 - 299]
	mov [VALUES + 20], ax
	mov al, [es:0x1000 - 300]
	mov [VALUES + 22], al
	mov byte [es:5], 0x3d
	mov si, 5
	es outsb
	in al, dx
	mov [VALUES + 24], al
	mov [VALUES + 26], si
	; 16-bit string I/O wraps DI at 64 KiB.
	mov al, 0x77
	out dx, al
	mov byte [es:0], 0
	mov di, 0xfffe
	mov cx, 3
	rep insb
	mov al, [es:0]
	mov [VALUES + 28], al
	mov [VALUES + 30], di
	; VMCALL counts as CPL 0.
	vmcall
	mov [VALUES + 32], eax

	mov eax, cr0
	or al, CR0_PE
	mov cr0, eax
	jmp dword CODE32:real_back

%macro FAULT 1
fault%1:
	mov ax, %1
	jmp fault
%endmacro
	FAULT 0
	FAULT 6
	FAULT 12
	FAULT 13
fault:	push bp
	push ds
	mov bp, 0
	mov ds, bp
	mov bp, sp
	mov [SEEN], ax
	mov ax, [bp + 4]
	mov [SEEN + 2], ax
	lea ax, [bp + 4]
	mov [SEEN + 4], ax
	mov ax, [bp + 6]
	mov [SEEN + 6], ax
	mov ax, [RESUME]
	mov [bp + 4], ax
	mov word [bp + 6], 0
	pop ds
	pop bp
	iret

int71:	pushf
	pop word [VALUES]
	iret

timer:	push ax
	inc word [VALUES + 8]
	mov al, 0x20
	out PIC_COMMAND, al
	pop ax
	iret

far_cpuid:
	mov eax, 0x40000000
	cpuid
	retf

v86_int:
	int 0x21
	hlt
v86_cli:
	cli
	hlt
v86_in:	mov dx, SCRATCH
	in al, dx
	hlt
v86_hlt:
	hlt
v86_cpuid:
	mov eax, 0x40000000
	cpuid
	mov eax, ebx
	hlt
v86_ins:
	mov dx, SCRATCH
	rep insb
	hlt
v86_rdmsr:
	mov ecx, 0x1b
	rdmsr
	hlt
v86_vmcall:
	vmcall
	hlt
v86_ud:	ud2
v86_cr0:
	mov eax, cr0
	hlt
; The handler of INT 21h in the interrupt table.
v86_iret:
	mov ax, 0x7777
	iret
low_end:
