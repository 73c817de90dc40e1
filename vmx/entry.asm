; SPDX-License-Identifier: MIT
; VM entry and exit. The host's RSP at an exit is the end of the vCPU's register array, so that
; the guest's registers are pushed right into their places, and no register is needed to find them.
; Intel SDM volume 3, "VM Entries", "VM Exits".
bits 64
default rel

%include "gen/offsets.inc"

extern vmx_exit_dispatch

VMCS_HOST_RSP equ 0x6c14

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
	call vmx_exit_dispatch
	mov rdi, [rsp]
	test eax, eax
	jnz load			; ZF clear: VMRESUME
	jmp finish

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
