; SPDX-License-Identifier: MIT
; Entry and exit of a mutant. Exits land with host state that may be a mutant too: all of it that
; an exit can load without ending the machine is put right here, before memory is used: what that
; takes lies in registers, which no guest changes, for none executes anything but HLT.
bits 64
default rel

MSR_PAT     equ 0x277
MSR_EFER    equ 0xc0000080
MSR_FS_BASE equ 0xc0000100
MSR_GS_BASE equ 0xc0000101

section .text

; uint64_t mutant_enter(uint64_t resume): 0 after an exit, 1 when the instruction failed.
global mutant_enter
mutant_enter:
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	mov [saved_rsp], rsp
	sgdt [saved_gdtr]
	sidt [saved_idtr]
	mov ecx, MSR_PAT
	rdmsr
	mov [saved_pat], eax
	mov [saved_pat + 4], edx
	mov ecx, MSR_GS_BASE
	rdmsr
	mov [saved_gs], eax
	mov [saved_gs + 4], edx
	mov ecx, MSR_EFER
	rdmsr
	mov esi, eax
	mov r12, cr0
	mov r13, cr4
	mov r14, cr3
	test rdi, rdi
	jnz .resume
	vmlaunch
	jmp .failed
.resume:
	vmresume
.failed:
	mov eax, 1
	jmp done

global mutant_exit
mutant_exit:
	mov ecx, MSR_EFER
	mov eax, esi
	xor edx, edx
	wrmsr
	mov cr4, r13
	mov cr0, r12
	mov cr3, r14
	lgdt [saved_gdtr]
	lidt [saved_idtr]
	mov eax, 0x10
	mov ss, eax
	mov ds, eax
	mov es, eax
	xor eax, eax
	mov fs, eax
	mov gs, eax
	mov rsp, [saved_rsp]
	push 8
	lea rax, [.far]
	push rax
	o64 retf
.far:
	mov ecx, MSR_GS_BASE
	mov eax, [saved_gs]
	mov edx, [saved_gs + 4]
	wrmsr
	mov ecx, MSR_PAT
	mov eax, [saved_pat]
	mov edx, [saved_pat + 4]
	wrmsr
	xor eax, eax
done:
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret

section .bss align=8
saved_rsp:  resq 1
saved_pat:  resq 1
saved_gs:   resq 1
saved_gdtr: resb 16
saved_idtr: resb 16
