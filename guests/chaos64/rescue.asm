; SPDX-License-Identifier: MIT
; Into any mode with any registers, and back from there by whatever exception, interrupt or start-up
; IPI comes: `land` ends the call of launch_*, wherever its code had got to.
;
; 64-bit and compatibility mode come back through an IDT whose gates all have stacks of their own;
; legacy protected mode through task gates, for nothing of the old state is worth anything there;
; real mode through vectors that need no stack of their own. SDM volume 3, "Interrupt and Exception
; Handling", "Task Management", "8086 Emulation".

CODE64		equ 0x08		; machine.h
DATA		equ 0x10
CODE32		equ 0x18
CODE16		equ 0x20
DATA16		equ 0x28
TSS64		equ 0x50
TSS_LAUNCH	equ 0x60
TSS_ACT		equ 0x68
LOW_PAGE	equ 0x70000
TASKS		equ 33
MSR_EFER	equ 0xc0000080
CR0_PE		equ 1 << 0
CR0_PG		equ 1 << 31
VECTOR_NMI	equ 2
APIC_EOI	equ 0xfee000b0
RESTARTED	equ 256			; in the place of a vector

; struct launch of machine.h
struc start
.gpr:	resq 16
.rip:	resq 1
.cs:	resq 1
.rflags: resq 1
.rsp:	resq 1
.ss:	resq 1
.cr3:	resq 1
.data:	resq 1
.cr0:	resd 1
.cr4:	resd 1
endstruc

; struct landing of machine.h
struc end
.gpr:	resq 16
.vector: resq 1
.error:	resq 1
.rip:	resq 1
.cs:	resq 1
.rflags: resq 1
.rsp:	resq 1
.ss:	resq 1
.cr2:	resq 1
endstruc

; struct home of machine.h: what a CPU in its right mind has.
struc home
.cr0:	resq 1
.cr3:	resq 1
.cr4:	resq 1
.efer:	resq 1
.gdtr:	resw 5
.idtr:	resw 5
.idtr32: resw 5
.gdt:	resw 2
endstruc

extern machine_home, machine_landing, chaos_life

section .kept progbits alloc noexec write align=16
home_sp:	dq 0
global rescue_armed
rescue_armed:	dq 0
times 1024 db 0
launch_top:
global rescue_stack
rescue_stack:
times 4096 db 0
rescue_top:

section .text
bits 64
default abs

%macro LEAVE_HOME 0
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	mov [home_sp], rsp
	mov qword [rescue_armed], 1
%endmacro

; void launch_call(void (*function)(void *), void *argument)
global launch_call
launch_call:
	mov dword [machine_landing + end.vector], RESTARTED + 1
	LEAVE_HOME
	mov rax, rdi
	mov rdi, rsi
	call rax
	jmp land

; void launch_long(const struct launch *)
global launch_long
launch_long:
	LEAVE_HOME
	mov rsp, launch_top
	push qword [rdi + start.ss]
	push qword [rdi + start.rsp]
	push qword [rdi + start.rflags]
	push qword [rdi + start.cs]
	push qword [rdi + start.rip]
	mov eax, [rdi + start.data]
	mov ds, eax
	mov es, eax
	mov fs, eax
	mov gs, eax
	mov rax, [rdi + start.cr3]
	mov cr3, rax
	mov rax, [rdi + start.gpr]
	mov rcx, [rdi + start.gpr + 8]
	mov rdx, [rdi + start.gpr + 16]
	mov rbx, [rdi + start.gpr + 24]
	mov rbp, [rdi + start.gpr + 40]
	mov rsi, [rdi + start.gpr + 48]
	mov r8, [rdi + start.gpr + 64]
	mov r9, [rdi + start.gpr + 72]
	mov r10, [rdi + start.gpr + 80]
	mov r11, [rdi + start.gpr + 88]
	mov r12, [rdi + start.gpr + 96]
	mov r13, [rdi + start.gpr + 104]
	mov r14, [rdi + start.gpr + 112]
	mov r15, [rdi + start.gpr + 120]
	mov rdi, [rdi + start.gpr + 56]
	iretq

%define HAS_ERROR(v) ((v) == 8 || ((v) >= 10 && (v) <= 14) || (v) == 17 || (v) == 21)
%assign v 0
%rep 256
gate_ %+ v:
%if v == VECTOR_NMI
	jmp enter_nmi
%else
%if !HAS_ERROR(v)
	push 0
%endif
	push v
	jmp enter
%endif
%assign v v + 1
%endrep

; Not wanted: it came while nothing was tried.
enter_nmi:
	cmp qword [rescue_armed], 0
	jne .wanted
	iretq
.wanted:
	push 0
	push VECTOR_NMI
enter:
	mov [machine_landing + end.gpr], rax
	mov [machine_landing + end.gpr + 8], rcx
	mov [machine_landing + end.gpr + 16], rdx
	mov [machine_landing + end.gpr + 24], rbx
	mov [machine_landing + end.gpr + 40], rbp
	mov [machine_landing + end.gpr + 48], rsi
	mov [machine_landing + end.gpr + 56], rdi
	mov [machine_landing + end.gpr + 64], r8
	mov [machine_landing + end.gpr + 72], r9
	mov [machine_landing + end.gpr + 80], r10
	mov [machine_landing + end.gpr + 88], r11
	mov [machine_landing + end.gpr + 96], r12
	mov [machine_landing + end.gpr + 104], r13
	mov [machine_landing + end.gpr + 112], r14
	mov [machine_landing + end.gpr + 120], r15
	cld
	mov rsi, rsp
	mov edi, machine_landing + end.vector
	mov ecx, 7
	rep movsq
	mov rax, cr2
	mov [machine_landing + end.cr2], rax
	mov rax, [machine_landing + end.rsp]
	mov [machine_landing + end.gpr + 32], rax
; In 64-bit mode, with pages that have the image at its place.
land:
	mov rax, [machine_home + home.cr4]
	mov cr4, rax
	mov rax, [machine_home + home.cr3]
	mov cr3, rax
	mov rax, [machine_home + home.cr0]
	mov cr0, rax
	mov eax, 0x400
	mov dr7, rax
	lgdt [machine_home + home.gdtr]
	lidt [machine_home + home.idtr]
	mov ebx, [machine_home + home.gdt]
	and dword [rbx + TSS64 + 4], ~(1 << 9)
	mov eax, TSS64
	ltr ax
	xor eax, eax
	lldt ax
	mov eax, DATA
	mov ds, eax
	mov es, eax
	mov fs, eax
	mov gs, eax
	; Of an NMI only IRET unblocks the next.
	mov rcx, [home_sp]
	lea rdx, [.home]
	cmp qword [rescue_armed], 0
	jne .frame
	mov rcx, rescue_top
	lea rdx, [chaos_life]
	sub rcx, 8
.frame:	mov rsp, launch_top
	; A task gate has set NT, with which IRETQ faults.
	push 2
	popfq
	push DATA
	push rcx
	push 2
	push CODE64
	push rdx
	mov qword [rescue_armed], 0
	iretq
.home:	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret

; void launch_legacy(const struct launch *): the act's TSS has the registers.
global launch_legacy, launch_real
launch_legacy:
	mov edx, legacy32
	jmp leave64
; void launch_real(const struct launch *): low_start has the registers.
launch_real:
	mov edx, real32
leave64:
	LEAVE_HOME
	mov rsp, launch_top
	push CODE32
	push rdx
	retfq

bits 32
%macro LEAVE_LONG_MODE 0
	mov eax, DATA
	mov ds, eax
	mov es, eax
	mov ss, eax
	mov esp, launch_top
	mov eax, CR0_PE | 0x30
	mov cr0, eax
	mov ecx, MSR_EFER
	xor eax, eax
	xor edx, edx
	wrmsr
%endmacro

legacy32:
	LEAVE_LONG_MODE
	mov eax, [edi + start.cr4]
	mov cr4, eax
	mov eax, [edi + start.cr3]
	mov cr3, eax
	mov eax, [edi + start.cr0]
	mov cr0, eax
	lidt [machine_home + home.idtr32]
	mov eax, TSS_LAUNCH
	ltr ax
	jmp TSS_ACT:0

real32:
	LEAVE_LONG_MODE
	mov eax, [edi + start.cr4]
	mov cr4, eax
	jmp CODE16:low_real - low_begin

; An exception in legacy mode: EDX is its vector; 32 stands for all interrupts.
%assign v 0
%rep TASKS
rescue_ %+ v:
	mov edx, v
	jmp rescue32
%assign v v + 1
%endrep

rescue32:
	mov eax, cr2
	mov [machine_landing + end.cr2], eax
	pop eax
	mov [machine_landing + end.error], eax
; Flat segments, the image mapped at its place or no paging; EDX: the vector.
to_home:
	mov [machine_landing + end.vector], edx
	mov esp, launch_top
	mov eax, CR0_PE | 0x30
	mov cr0, eax
	mov eax, [machine_home + home.cr4]
	mov cr4, eax
	mov eax, [machine_home + home.cr3]
	mov cr3, eax
	mov ecx, MSR_EFER
	mov eax, [machine_home + home.efer]
	xor edx, edx
	wrmsr
	; A TSS of 16 bits in TR would forbid long mode.
	mov ebx, [machine_home + home.gdt]
	and dword [ebx + TSS_LAUNCH + 4], ~(1 << 9)
	mov eax, TSS_LAUNCH
	ltr ax
	mov eax, [machine_home + home.cr0]
	mov cr0, eax
	jmp CODE64:land

from_low:
	mov eax, DATA
	mov ds, eax
	mov es, eax
	mov ss, eax
	jmp to_home

; Copied to LOW_PAGE; its first byte is where a start-up IPI begins.
bits 16
%define AT(label) (label - low_begin)
global low_begin, low_end, low_start, low_gdtr
low_begin:
	mov edx, RESTARTED
low_enter:
	cli
	cld
	o32 lgdt [cs:AT(low_gdtr)]
	mov eax, CR0_PE | 0x30
	mov cr0, eax
	jmp dword CODE32:from_low
low_common:
	mov [cs:AT(low_saved)], eax
	movzx edx, dl
	jmp low_enter
low_real:
	mov ax, DATA16
	mov ds, ax
	mov es, ax
	mov fs, ax
	mov gs, ax
	mov ss, ax
	mov eax, 0x30
	mov cr0, eax
	jmp (LOW_PAGE >> 4):AT(low_real_cs)
low_real_cs:
	lidt [cs:AT(low_idtr)]
	mov ss, [cs:AT(low_start.ss)]
	mov esp, [cs:AT(low_start.esp)]
	mov ds, [cs:AT(low_start.ds)]
	mov es, [cs:AT(low_start.es)]
	mov fs, [cs:AT(low_start.fs)]
	mov gs, [cs:AT(low_start.gs)]
	mov eax, [cs:AT(low_start.eax)]
	mov ebx, [cs:AT(low_start.ebx)]
	mov ecx, [cs:AT(low_start.ecx)]
	mov edx, [cs:AT(low_start.edx)]
	mov esi, [cs:AT(low_start.esi)]
	mov edi, [cs:AT(low_start.edi)]
	mov ebp, [cs:AT(low_start.ebp)]
	jmp far [cs:AT(low_start.ip)]
align 4
low_gdtr:	dw 0
		dd 0
low_idtr:	dw 0x3ff
		dd 0
low_saved:	dd 0
low_start:			; struct real_start of machine.h
.eax:	dd 0
.ecx:	dd 0
.edx:	dd 0
.ebx:	dd 0
.esp:	dd 0
.ebp:	dd 0
.esi:	dd 0
.edi:	dd 0
.ip:	dw 0
.cs:	dw 0
.ds:	dw 0
.es:	dw 0
.ss:	dw 0
.fs:	dw 0
.gs:	dw 0
	dw 0
global low_vectors
low_vectors:			; of LOW_VECTOR bytes each
%assign v 0
%rep 256
	mov dl, v
	jmp near low_common
%assign v v + 1
%endrep
low_end:

; --- The CPU that only watches ---

bits 64
watch_interrupt:
	push rax
	mov eax, APIC_EOI
	mov dword [rax], 0
	pop rax
watch_nothing:
	iretq

section .data
align 8
global rescue_gates, rescue_tasks, watch_gates
rescue_gates:
%assign v 0
%rep 256
	dq gate_ %+ v
%assign v v + 1
%endrep
rescue_tasks:
%assign v 0
%rep TASKS
	dd rescue_ %+ v
%assign v v + 1
%endrep
watch_gates:
	dq watch_nothing, watch_interrupt
