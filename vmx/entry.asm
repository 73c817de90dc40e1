; SPDX-License-Identifier: MIT
; VM entry and exit. The host's RSP at an exit is the end of the vCPU's register array, so that
; the guest's registers are stored right into their places, and none is needed to find them.
;
; An exit saves five registers, counts itself, and goes one of these ways by its reason:
;   cpuid, vmcall, rdmsr   answered here, when the answer is the common one
;   scratch                a handler that wants no other registers of the guest: those that C may
;                          change are saved for it, the rest stay in the CPU
;   full                   a handler that may want all of them
;   loop                   the same, where the run loop is wanted next in any case
; All end in `advance` or `resume`, which do what C's vmx_exit_finish does where nothing is special;
; that is for the rest. Ticks are counted here: each instruction is one.
; Intel SDM volume 3, "VM Entries", "VM Exits".
bits 64
default rel

%include "gen/offsets.inc"

extern vmx_exit_finish, vmx_exit_handlers, vmx_defenses

; vmx/speculation.h.
DEFENSE_IBRS	  equ 1
DEFENSE_L1D_FLUSH equ 2
DEFENSE_VERW	  equ 4
DEFENSES_EACH_EXIT equ DEFENSE_IBRS | DEFENSE_L1D_FLUSH | DEFENSE_VERW

MSR_SPEC_CTRL	equ 0x48
MSR_FLUSH_CMD	equ 0x10b
RETURN_STACK	equ 32			; entries of the CPU's return stack, the most there are

RFLAGS_TF	equ 1 << 8
RFLAGS_RF	equ 1 << 16
BLOCKING	equ 3			; by STI and MOV SS
DPL		equ 3 << 5		; of a segment's access rights
LENGTH_MAX	equ 15			; bytes of an instruction
ADVANCE		equ 1			; enum exit_action

; Registers in vcpu.gpr, by their numbers.
GPR_RAX equ 0 * 8
GPR_RCX equ 1 * 8
GPR_RDX equ 2 * 8
GPR_RBX equ 3 * 8
GPR_RBP equ 5 * 8
GPR_RSI equ 6 * 8
GPR_RDI equ 7 * 8
GPR_R8	equ 8 * 8
GPR_R9	equ 9 * 8
GPR_R10 equ 10 * 8
GPR_R11 equ 11 * 8
GPR_R12 equ 12 * 8
GPR_R13 equ 13 * 8
GPR_R14 equ 14 * 8
GPR_R15 equ 15 * 8

section .rodata
; The way of each reason.
align 8
ways:
%assign reason 0
%rep EXIT_REASONS
	%if reason = EXIT_CPUID
	dq way_cpuid
	%elif reason = EXIT_VMCALL
	dq way_vmcall
	%elif reason = EXIT_RDMSR
	dq way_rdmsr
	%elif reason = EXIT_EXTERNAL_INTERRUPT || reason = EXIT_PREEMPTION_TIMER
	dq way_loop
	%elif reason = EXIT_HLT || reason = EXIT_INTERRUPT_WINDOW
	dq way_loop
	%elif reason = EXIT_WRMSR || reason = EXIT_IO
	dq way_scratch
	%elif reason = EXIT_XSETBV || reason = EXIT_APIC_WRITE
	dq way_scratch
	%else
	dq way_full
	%endif
%assign reason reason + 1
%endrep

verw_selector: dw 0x10			; a data segment that can be written: SELECTOR_DATA

; All of the guest's registers to vcpu.gpr, whose end RSP is; the vCPU to RDI, the loop's stack.
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
%endmacro

; Counts the exit and notes where it was. RDI is the vCPU, RAX, RCX, RDX and RSI are free.
; To RDX the reason, to RSI its counters, to RCX the guest's RIP. VMREAD of fields that every CPU
; has, with a current VMCS, does not fail (here and below). To %1 when no handler is for it.
%macro EXIT_BEGIN 1
	rdtsc
	mov [rdi + VCPU_EXIT_START], eax
	mov ecx, FIELD_EXIT_REASON
	vmread rdx, rcx
	cmp edx, EXIT_REASONS
	jae %1
	lea esi, [rdx + rdx * 2]
	lea rsi, [rdi + rsi * 8 + VCPU_EXITS]
	inc qword [rsi + EXITS_COUNT]
	mov ecx, FIELD_RIP
	vmread rcx, rcx
	movzx eax, byte [rdi + VCPU_RECORDER_NEXT]
	mov [rdi + rax * 4 + VCPU_RECORDER_REASON], edx
	mov [rdi + rax * 8 + VCPU_RECORDER_RIP], rcx
	inc byte [rdi + VCPU_RECORDER_NEXT]
%endmacro

; Moves RIP (RCX) past the instruction, as vmx_skip does; changes RAX and RCX. To %1, with nothing
; changed, where there is more to do: blocking that ends, a trap or RF, RIP that may have to wrap.
%macro ADVANCE_OR 1
	mov eax, FIELD_INSN_LENGTH
	vmread rax, rax
	add rcx, rax
	cmp ecx, LENGTH_MAX
	jbe %1
	mov eax, FIELD_INTERRUPTIBILITY
	vmread rax, rax
	test al, BLOCKING
	jnz %1
	mov eax, FIELD_RFLAGS
	vmread rax, rax
	test eax, RFLAGS_TF | RFLAGS_RF
	jnz %1
	mov eax, FIELD_RIP
	vmwrite rax, rcx
%endmacro

; Counts the ticks of the exit and sets the preemption timer; changes RAX, RCX and RDX. To %1, with
; nothing changed, where the loop is wanted or the deadline has passed. The timer's 32 bits hold
; what is left: see vmx/run.h.
%macro RESUME_OR 1
	cmp qword [rdi + VCPU_WANTED], 0
	jne %1
	rdtsc
	shl rdx, 32
	or rdx, rax
	sub eax, [rdi + VCPU_EXIT_START]
	sub rdx, [rdi + VCPU_DEADLINE]
	jge %1
	neg rdx
	add [rsi + EXITS_TICKS], rax
	cmp rax, [rsi + EXITS_MAX]
	jbe %%counted
	mov [rsi + EXITS_MAX], rax
%%counted:
	movzx ecx, byte [rdi + VCPU_TIMER_SHIFT]
	shr rdx, cl
	mov eax, FIELD_PREEMPTION_TIMER
	vmwrite rax, rdx
%endmacro

; Those of the guest that ways for the common exits leave in the CPU; RDI is the vCPU.
%macro SAVE_SCRATCH 0
	mov [rdi + GPR_R8], r8
	mov [rdi + GPR_R9], r9
	mov [rdi + GPR_R10], r10
	mov [rdi + GPR_R11], r11
%endmacro
%macro LOAD_SCRATCH 0
	mov r8, [rdi + GPR_R8]
	mov r9, [rdi + GPR_R9]
	mov r10, [rdi + GPR_R10]
	mov r11, [rdi + GPR_R11]
%endmacro
%macro SAVE_REST 0
	mov [rdi + GPR_RBX], rbx
	mov [rdi + GPR_RBP], rbp
	SAVE_SCRATCH
	mov [rdi + GPR_R12], r12
	mov [rdi + GPR_R13], r13
	mov [rdi + GPR_R14], r14
	mov [rdi + GPR_R15], r15
%endmacro
%macro LOAD_REST 0
	mov rbx, [rdi + GPR_RBX]
	mov rbp, [rdi + GPR_RBP]
	LOAD_SCRATCH
	mov r12, [rdi + GPR_R12]
	mov r13, [rdi + GPR_R13]
	mov r14, [rdi + GPR_R14]
	mov r15, [rdi + GPR_R15]
%endmacro

; The handler of reason RDX, on the loop's stack; RSI stays. What it returns is in EAX, the vCPU in
; RDI, and RSP is as it was.
%macro CALL_HANDLER 0
	mov rsp, [rdi + VCPU_HOST_RSP]
	push rsi
	call [vmx_exit_handlers + rdx * 8]
	pop rsi
	mov rdi, [rsp]
	lea rsp, [rdi + VCPU_GPR_END]
%endmacro

section .text

; uint64_t vmx_enter(struct vmx_vcpu *v)
;
; Runs the guest until the loop is wanted. Returns 0 then, 1 when the very
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
	mov [rsp - VCPU_GPR_END + GPR_RAX], rax
	mov [rsp - VCPU_GPR_END + GPR_RCX], rcx
	mov [rsp - VCPU_GPR_END + GPR_RDX], rdx
	mov [rsp - VCPU_GPR_END + GPR_RSI], rsi
	mov [rsp - VCPU_GPR_END + GPR_RDI], rdi
	lea rdi, [rsp - VCPU_GPR_END]
	EXIT_BEGIN exit_unknown
	jmp [ways + rdx * 8]

; Leaves whose answer is a line of the table: to the registers, without a way through memory.
way_cpuid:
	mov rdx, [rdi + VCPU_VM]
	mov eax, [rdi + GPR_RAX]
	cmp eax, 31
	ja .general
	bt dword [rdx + VM_CPUID_FIXED], eax
	jnc .general
	shl eax, 4
	lea rbx, [rdx + rax + VM_CPUID_BASIC]
	ADVANCE_OR .advance
	RESUME_OR .resume
	mov eax, [rbx]
	mov ecx, [rbx + 8]
	mov edx, [rbx + 12]
	mov ebx, [rbx + 4]
	mov rsi, [rdi + GPR_RSI]
	mov rdi, [rdi + GPR_RDI]
	vmresume
	jmp entry_failed
.general:
	mov edx, EXIT_CPUID
	jmp way_full
.advance:
	mov rdx, rsi
	mov esi, ADVANCE
	jmp .finish
.resume:
	mov rdx, rsi
	xor esi, esi
.finish:
	mov eax, [rbx]
	mov [rdi + GPR_RAX], rax
	mov eax, [rbx + 8]
	mov [rdi + GPR_RCX], rax
	mov eax, [rbx + 12]
	mov [rdi + GPR_RDX], rax
	mov ebx, [rbx + 4]
	jmp finish_exit

; The MSR read last that is a plain variable.
way_rdmsr:
	mov eax, [rdi + GPR_RCX]
	cmp eax, [rdi + VCPU_MSR_NUMBER]
	jne way_scratch
	mov rdx, [rdi + VCPU_MSR_VALUE]
	mov eax, [rdx]
	mov edx, [rdx + 4]
	mov [rdi + GPR_RAX], rax
	mov [rdi + GPR_RDX], rdx
	jmp advance

; As exit_vmcall has it.
way_vmcall:
	mov eax, FIELD_SS_RIGHTS
	vmread rax, rax
	test al, DPL
	jnz way_full
	mov qword [rdi + GPR_RAX], HYPERCALL_UNKNOWN
	jmp advance

way_loop:
	SAVE_REST
	CALL_HANDLER
	mov rdx, rsi
	mov esi, eax
	jmp finish_saved

way_full:
	SAVE_REST
	CALL_HANDLER
	cmp qword [rdi + VCPU_WANTED], 0
	jne .finish
	LOAD_REST
	jmp handled

.finish:
	mov rdx, rsi
	mov esi, eax
	jmp finish_saved

way_scratch:
	SAVE_SCRATCH
	CALL_HANDLER
	LOAD_SCRATCH
handled:
	cmp eax, ADVANCE
	jne resume
	mov ecx, FIELD_RIP
	vmread rcx, rcx
advance:
	ADVANCE_OR finish_advance
resume:
	RESUME_OR finish_resume
	mov rax, [rdi + GPR_RAX]
	mov rcx, [rdi + GPR_RCX]
	mov rdx, [rdi + GPR_RDX]
	mov rsi, [rdi + GPR_RSI]
	mov rdi, [rdi + GPR_RDI]
	vmresume
	jmp entry_failed

finish_advance:
	mov rdx, rsi
	mov esi, ADVANCE
	jmp finish_exit
exit_unknown:
	xor esi, esi			; no counters
finish_resume:
	mov rdx, rsi
	xor esi, esi			; EXIT_RESUME
; The action is in ESI, the exit's counters are in RDX; none, and nobody's reason.
finish_exit:
	SAVE_REST
finish_saved:
	mov rsp, [rdi + VCPU_HOST_RSP]
	call vmx_exit_finish
	mov rdi, [rsp]
	test eax, eax
	jnz load			; ZF clear: VMRESUME
	jmp finish

; The same on a CPU that must be told to keep the guest's speculation and the host's apart, or that
; has no VMX-preemption timer: plainly, by way of all registers and of C.
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
	EXIT_BEGIN .unknown
	push rsi
	call [vmx_exit_handlers + rdx * 8]
	pop rdx
	mov rdi, [rsp]
	mov esi, eax
.finish:
	call vmx_exit_finish
	mov rdi, [rsp]
	test eax, eax
	jz finish
	mov byte [rdi + VCPU_LAUNCHED], 1	; the loop has not been told yet
	jmp load_guarded
.unknown:
	xor esi, esi
	xor edx, edx
	jmp .finish

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
