; SPDX-License-Identifier: MIT
; From GRUB's 32-bit state to C: the Multiboot2 header and the stub to long mode.
;
; GRUB enters boot_start in 32-bit protected mode without paging, EAX = magic, EBX = boot
; information, on BIOS and UEFI alike (Multiboot2 specification, "I386 machine state"). There is no
; framebuffer request: GRUB then hands over the console that there is.

MULTIBOOT2_MAGIC      equ 0xe85250d6
MULTIBOOT2_LOADER     equ 0x36d76289
TAG_END               equ 0
TAG_INFORMATION       equ 1
TAG_MODULE_ALIGN      equ 6

CR0_PE                equ 1 << 0
CR0_MP                equ 1 << 1
CR0_EM                equ 1 << 2
CR0_NE                equ 1 << 5
CR0_WP                equ 1 << 16
CR0_PG                equ 1 << 31
CR4_PAE               equ 1 << 5
MSR_EFER              equ 0xc0000080
EFER_LME              equ 1 << 8
EFER_NXE              equ 1 << 11

PAGE_PRESENT_WRITE    equ 3
PAGE_LARGE            equ 1 << 7

COM1                  equ 0x3f8
LSR_THRE              equ 1 << 5

CODE64                equ 0x08
DATA                  equ 0x10

extern kmain
extern boot_stack_top

section .multiboot2 progbits alloc noexec nowrite align=8
header:
	dd MULTIBOOT2_MAGIC
	dd 0				; architecture: i386, 32-bit protected mode
	dd header_end - header
	dd -(MULTIBOOT2_MAGIC + header_end - header)
	align 8
	dw TAG_INFORMATION, 0		; required: command line, modules, memory map
	dd 20
	dd 1, 3, 6
	align 8
	dw TAG_MODULE_ALIGN, 0
	dd 8
	align 8
	dw TAG_END, 0
	dd 8
header_end:

section .bss nobits alloc noexec write align=4096
; Identity map of the first 4 GiB in 2 MiB pages; arch_paging_init replaces it.
boot_pml4:	resb 4096
boot_pdpt:	resb 4096
boot_pd:	resb 4 * 4096

section .data
align 8
global boot_tsc
boot_tsc:	dq 0			; the TSC at Socle's first instructions

global __stack_chk_guard
__stack_chk_guard: dq 0			; between a function's arrays and where it returns to

section .rodata
align 8
boot_gdt:
	dq 0
	dq 0x00af9b000000ffff		; 64-bit code
	dq 0x00cf93000000ffff		; data
boot_gdtr:
	dw $ - boot_gdt - 1
	dd boot_gdt

no_loader:
	db "socle: not started by a Multiboot2 loader: use GRUB's multiboot2 command", 13, 10, 0
no_long_mode:
	db "socle: this CPU has no 64-bit mode (CPUID 80000001h EDX bit 29): "
	db "Socle needs a 64-bit Intel CPU with VT-x", 13, 10, 0
no_nx:
	db "socle: this CPU has no execute-disable (CPUID 80000001h EDX bit 20), or the "
	db "firmware disables it: enable 'Execute Disable' / 'XD' in its setup", 13, 10, 0

section .text
bits 32
global boot_start
boot_start:
	cli
	cld
	mov esp, boot_stack_top
	mov esi, no_loader
	cmp eax, MULTIBOOT2_LOADER
	jne die
	rdtsc
	mov [boot_tsc], eax
	mov [boot_tsc + 4], edx
	mov edi, ebx			; kept through to kmain's first argument
	call check_cpu
	call make_guard

	; PML4 and PDPT have one and four entries, the four directories map 2048 large pages.
	mov dword [boot_pml4], boot_pdpt + PAGE_PRESENT_WRITE
	mov eax, boot_pd + PAGE_PRESENT_WRITE
	mov ebx, boot_pdpt
	mov ecx, 4
.pdpt:	mov [ebx], eax
	add eax, 4096
	add ebx, 8
	loop .pdpt
	mov eax, PAGE_PRESENT_WRITE | PAGE_LARGE
	mov ebx, boot_pd
	mov ecx, 4 * 512
.pd:	mov [ebx], eax
	add eax, 1 << 21
	add ebx, 8
	loop .pd

	mov eax, boot_pml4
	mov cr3, eax
	mov eax, CR4_PAE
	mov cr4, eax
	mov ecx, MSR_EFER
	rdmsr
	or eax, EFER_LME | EFER_NXE
	wrmsr
	mov eax, CR0_PE | CR0_MP | CR0_NE | CR0_WP | CR0_PG
	mov cr0, eax
	lgdt [boot_gdtr]
	jmp CODE64:start64

; Returns when the CPU has long mode and NX, else says what is missing and stops.
check_cpu:
	mov eax, 0x80000000
	cpuid
	mov esi, no_long_mode
	cmp eax, 0x80000001
	jb die
	mov eax, 0x80000001
	cpuid
	bt edx, 29
	jnc die
	mov esi, no_nx
	bt edx, 20
	jnc die
	ret

; Prints the string at ESI on COM1, 115200 8N1, and stops the CPU. A line that is not there reads
; all ones, so that this ends on every machine.
die:
	mov dx, COM1 + 3
	mov al, 0x80
	out dx, al
	mov dx, COM1
	mov al, 1
	out dx, al
	inc dx
	xor al, al
	out dx, al
	mov dx, COM1 + 3
	mov al, 3
	out dx, al
.next:	mov dx, COM1 + 5
.wait:	in al, dx
	test al, LSR_THRE
	jz .wait
	lodsb
	test al, al
	jz .halt
	mov dx, COM1
	out dx, al
	jmp .next
.halt:	hlt
	jmp .halt

; What nobody can guess: the time, and a random number where the CPU has them. Byte 0 ends a string,
; so that none is written over it.
make_guard:
	mov eax, 1
	cpuid
	mov esi, ecx
	rdtsc
	imul eax, eax, 0x9e3779b1	; the low bits of the time, to all of them
	xor edx, eax
	bt esi, 30			; RDRAND
	jnc .set
	rdrand ecx
	xor eax, ecx
	rdrand ecx
	xor edx, ecx
.set:	mov al, 0
	mov [__stack_chk_guard], eax
	mov [__stack_chk_guard + 4], edx
	ret

bits 64
start64:
	mov eax, DATA
	mov ds, eax
	mov es, eax
	mov ss, eax
	xor eax, eax
	mov fs, eax
	mov gs, eax
	mov rsp, boot_stack_top
	xor ebp, ebp			; ends the chain of frames for backtraces
	mov edi, edi
	call kmain
	ud2
