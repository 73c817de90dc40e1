; SPDX-License-Identifier: MIT
; From a startup IPI to C: what a core other than the boot CPU runs first.
;
; A few bytes of 16-bit code are copied to a page below 1 MiB; they enter 32-bit protected mode and
; jump to the image. There the core looks for its own APIC ID among those that are awaited
; (smp_slots) and claims the slot by a locked exchange. A core that is not awaited, or no longer,
; has no stack and needs none: it halts for good, without paging, so that the low page is never
; executable in our page tables. Intel SDM volume 3, "Multiple-Processor (MP) Initialization".

CR0_PE                equ 1 << 0
CR0_MP                equ 1 << 1
CR0_ET                equ 1 << 4
CR0_NE                equ 1 << 5
CR0_WP                equ 1 << 16
CR0_PG                equ 1 << 31
CR4_PAE               equ 1 << 5
MSR_EFER              equ 0xc0000080
EFER_LME              equ 1 << 8
EFER_NXE              equ 1 << 11
MSR_APIC_BASE         equ 0x1b
APIC_BASE_X2APIC      equ 1 << 10
APIC_BASE_PAGE        equ 0xfffff000
MSR_X2APIC_ID         equ 0x802
XAPIC_ID              equ 0x20

CODE64                equ 0x08
DATA                  equ 0x10
CODE32                equ 0x18

; struct slot in smp.c
SLOT_OFFER            equ 0
SLOT_STACK            equ 8
SLOT_PCPU             equ 16
SLOT_SIZE             equ 24
SLOTS                 equ 32

extern smp_slots
extern smp_root
extern smp_other_main

section .rodata
align 8
gdt:
	dq 0
	dq 0x00af9b000000ffff		; 64-bit code
	dq 0x00cf93000000ffff		; data
	dq 0x00cf9b000000ffff		; 32-bit code
gdt_end:

; Position-independent, for CS is the page that it was copied to.
bits 16
global trampoline_start
global trampoline_end
trampoline_start:
	cli
	cld
	o32 lgdt [cs:gdtr - trampoline_start]
	mov eax, cr0
	or al, CR0_PE
	mov cr0, eax
	jmp dword CODE32:protected
gdtr:
	dw gdt_end - gdt - 1
	dd gdt
trampoline_end:

section .text
bits 32
protected:
	mov eax, DATA
	mov ds, eax
	mov es, eax
	mov ss, eax
	; EDX = this core's APIC ID + 1, as its APIC says in the mode that it is in.
	mov ecx, MSR_APIC_BASE
	rdmsr
	test eax, APIC_BASE_X2APIC
	jnz .x2apic
	and eax, APIC_BASE_PAGE
	mov edx, [eax + XAPIC_ID]
	shr edx, 24
	jmp .claim
.x2apic:
	mov ecx, MSR_X2APIC_ID
	rdmsr
	mov edx, eax
.claim:	inc edx
	jz .park			; all ones is nobody's ID, and an empty slot's offer is 0
	mov ebx, smp_slots
	mov ecx, SLOTS
	xor esi, esi
.next:	mov eax, edx
	lock cmpxchg [ebx + SLOT_OFFER], esi
	je .claimed
	add ebx, SLOT_SIZE
	loop .next
.park:	cli
	hlt
	jmp .park

.claimed:
	mov eax, [smp_root]
	mov cr3, eax
	mov eax, CR4_PAE
	mov cr4, eax
	mov ecx, MSR_EFER
	rdmsr
	or eax, EFER_LME | EFER_NXE
	wrmsr
	mov eax, CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG
	mov cr0, eax
	jmp CODE64:long_mode

bits 64
long_mode:
	mov ebx, ebx
	mov rsp, [rbx + SLOT_STACK]
	mov rdi, [rbx + SLOT_PCPU]
	xor ebp, ebp			; ends the chain of frames for backtraces
	call smp_other_main
	ud2
