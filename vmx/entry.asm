; SPDX-License-Identifier: MIT
; VM entry and exit. The host's RSP at an exit is the end of the vCPU's register array, so that
; the guest's registers are pushed right into their places, and no register is needed to find them.
; Intel SDM volume 3, "VM Entries", "VM Exits".
bits 64
default rel

%include "gen/offsets.inc"

extern vmx_exit_dispatch, vmx_defenses

; vmx/speculation.h.
DEFENSE_IBRS	  equ 1
DEFENSE_L1D_FLUSH equ 2
DEFENSE_VERW	  equ 4
DEFENSES_EACH_EXIT equ DEFENSE_IBRS | DEFENSE_L1D_FLUSH | DEFENSE_VERW

MSR_SPEC_CTRL	equ 0x48
MSR_FLUSH_CMD	equ 0x10b
RETURN_STACK	equ 32			; entries of the CPU's return stack, the most there are

section .rodata
verw_selector: dw 0x10			; a data segment that can be written: SELECTOR_DATA

; The guest's registers to vcpu.gpr, whose end RSP is; the vCPU to RDI, the loop's stack.
%macro SAVE_GUEST 0
	push r15
	push r14
	push r13
	push r12
	push r11
	push r10
	push r9
	push r8
	push rdi
	push rsi
	push rbp
	push rbp			; the slot of RSP
	push rbx
	push rdx
	push rcx
	push rax
	mov rdi, rsp
	mov rsp, [rdi + VCPU_HOST_RSP]
	xor ebp, ebp
%endmacro

section .text

; uint64_t vmx_enter(struct vmx_vcpu *v)
;
; Runs the guest until the dispatcher says that the loop is wanted. Returns 0 then, 1 when the very
; entry failed (VM-fail: the VMCS says why). Callee-saved registers as the ABI has them.
global vmx_enter
vmx_enter:
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	push rdi
	mov [rdi + VCPU_HOST_RSP], rsp
	test byte [vmx_defenses], DEFENSES_EACH_EXIT
	jnz load_guarded
	cmp byte [rdi + VCPU_LAUNCHED], 0
	jmp load

; The guest's registers from the vCPU at RDI. Flags: ZF set to launch, clear to resume. MOV and POP
; do not touch them.
load:
	mov rsp, rdi
	pop rax
	pop rcx
	pop rdx
	pop rbx
	pop rbp				; the slot of RSP
	pop rbp
	pop rsi
	pop rdi
	pop r8
	pop r9
	pop r10
	pop r11
	pop r12
	pop r13
	pop r14
	pop r15
	jz .launch
	vmresume
	jmp entry_failed
.launch:
	vmlaunch
	jmp entry_failed

; Where the CPU lands at an exit; RSP is the end of vcpu.gpr.
global vmx_exit
vmx_exit:
	SAVE_GUEST
	call vmx_exit_dispatch
	mov rdi, [rsp]
	test eax, eax
	jnz load			; ZF clear: VMRESUME
	jmp finish

; The same on a CPU that must be told to keep the guest's speculation and the host's apart. A CPU
; that need not is never here, and pays nothing.
global vmx_exit_guarded
vmx_exit_guarded:
	SAVE_GUEST
	; Before the first indirect branch or return of ours.
	test byte [vmx_defenses], DEFENSE_IBRS
	jz .told
	mov ecx, MSR_SPEC_CTRL
	rdmsr
	mov [rdi + VCPU_SPEC_CTRL], eax
	mov [rdi + VCPU_SPEC_CTRL + 4], edx
	mov eax, 1
	xor edx, edx
	wrmsr
	; The return stack still has the guest's addresses.
	mov ecx, RETURN_STACK / 2
.fill:
	call .first
.trap_first:
	pause
	lfence
	jmp .trap_first
.first:
	call .second
.trap_second:
	pause
	lfence
	jmp .trap_second
.second:
	dec ecx
	jnz .fill
	add rsp, RETURN_STACK * 8
.told:
	call vmx_exit_dispatch
	mov rdi, [rsp]
	test eax, eax
	jz finish
	mov byte [rdi + VCPU_LAUNCHED], 1	; the loop has not been told yet

; From here on nothing of the host's is read but this vCPU, whose guest may know it.
load_guarded:
	test byte [vmx_defenses], DEFENSE_IBRS
	jz .branches
	mov ecx, MSR_SPEC_CTRL
	mov eax, [rdi + VCPU_SPEC_CTRL]
	mov edx, [rdi + VCPU_SPEC_CTRL + 4]
	wrmsr
.branches:
	test byte [vmx_defenses], DEFENSE_L1D_FLUSH
	jz .flushed
	mov ecx, MSR_FLUSH_CMD
	mov eax, 1
	xor edx, edx
	wrmsr
.flushed:
	test byte [vmx_defenses], DEFENSE_VERW
	jz .empty
	verw [verw_selector]
.empty:
	cmp byte [rdi + VCPU_LAUNCHED], 0
	jmp load

; The guest's registers are in place of the host's; RSP is still the end of vcpu.gpr.
entry_failed:
	sub rsp, VCPU_GPR_END
	mov rdi, rsp
	mov rsp, [rdi + VCPU_HOST_RSP]
	mov eax, 1
finish:
	pop rdi
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret

global vmx_entry_end
vmx_entry_end:
