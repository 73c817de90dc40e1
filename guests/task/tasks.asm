; SPDX-License-Identifier: MIT
; The bodies of the tasks that task.c switches to. Each notes what it was started with in `seen`
; (struct seen in task.c), and goes back the way that `leave_by_jump` says.

TSS_MAIN	equ 0x30

extern seen
extern task_hook
extern leave_by_jump
extern v86_seen

%macro NOTE 0
	mov [seen + 0], eax
	mov [seen + 4], ecx
	mov [seen + 8], edx
	mov [seen + 12], ebx
	mov [seen + 16], esp
	mov [seen + 20], ebp
	mov [seen + 24], esi
	mov [seen + 28], edi
	pushfd
	pop dword [seen + 32]
	mov eax, cr0
	mov [seen + 36], eax
	mov eax, cr3
	mov [seen + 40], eax
	mov eax, 0
	str ax
	mov [seen + 44], eax
	sldt ax
	mov [seen + 48], eax
	mov ax, fs
	mov [seen + 52], eax
	inc dword [seen + 60]
	clts
%endmacro

section .text
bits 32
global task_body
task_body:
	NOTE
	call task_hook
	cmp dword [leave_by_jump], 0
	jne .jump
	iretd
	jmp task_body
.jump:	jmp TSS_MAIN:0
	jmp task_body

; A handler of exceptions with an error code.
global handler_body
handler_body:
	pop dword [seen + 56]
	NOTE
	call task_hook
	cmp dword [leave_by_jump], 0
	jne .jump
	iretd
	jmp handler_body
.jump:	jmp TSS_MAIN:0
	jmp handler_body

; A task of a 16-bit TSS: IP and SP are offsets in its own segments.
bits 16
align 16
global body16
body16:
	inc dword [dword seen + 60]
	mov [dword seen + 0], eax
	mov [dword seen + 16], esp
	str ax
	mov [dword seen + 44], ax
	pushf
	pop word [dword seen + 32]
	clts
	iret
	jmp body16

; In virtual-8086 mode, entered by a task switch: AX is the task's, the rest as INT 60h finds it.
global body86
body86:
	mov bx, ds
	mov cx, ss
	int 0x60
global body86_end
body86_end:

; Its interrupt's gate: from virtual-8086 mode the data segments come empty.
bits 32
global gate86
gate86:
	mov dx, 0x10
	mov ds, dx
	mov [v86_seen + 0], eax
	mov [v86_seen + 4], ebx
	mov [v86_seen + 8], ecx
	mov eax, [esp + 8]
	mov [v86_seen + 12], eax
	mov eax, [esp + 12]
	mov [v86_seen + 16], eax
	jmp TSS_MAIN:0			; this task stays where it is
