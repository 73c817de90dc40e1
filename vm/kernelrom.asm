; SPDX-License-Identifier: MIT
; An option ROM that starts a Linux kernel by its 16-bit entry: the firmware boots from it, and it
; has the firmware-configuration device put the parts into memory. Its items (vm/fwconfig.c) say
; what goes where. What is left of the 512 bytes is zero, and not here.
;
; Linux Documentation, 'The Linux/x86 Boot Protocol': 'Loading The Rest of The Kernel', 'Sample
; Boot Configuration', 'Running the Kernel'. BIOS Boot Specification 1.01, 'PnP Option ROM Header'.

	bits 16
	org 0

REALMODE	equ 0x1000		; of the real-mode part, its heap and stack
BASE		equ REALMODE << 4
STACK		equ 0xE000		; the command line follows
REQUEST		equ 0xF000
NUMBER		equ REQUEST + 16
DMA_LOW		equ 0x518
READ		equ 0x0A		; after it has been selected

LOADER		equ 0x210
LOADFLAGS	equ 0x211
INITRD		equ 0x218
INITRD_SIZE	equ 0x21C
HEAP_END	equ 0x224
CMDLINE		equ 0x228
CAN_USE_HEAP	equ 0x80
UNDEFINED	equ 0xFF

%define BIG(x) ((x) >> 24 & 0xFF | (x) >> 8 & 0xFF00 | (x) << 8 & 0xFF0000 | ((x) & 0xFF) << 24)

	db 0x55, 0xAA, 1
	retf				; there is nothing to set up
	db 0, 0				; byte 5 is the build's: with it the sum is 0
	times 0x1A - ($ - $$) db 0
	dw pnp
	align 16
pnp:	db '$PnP', 1, 2
	dw 0
	db 0, 0
	dd 0
	dw 0, name
	db 0, 0, 0			; type
	db 0
	dw 0, 0, boot, 0, 0
name:	db 'kernel', 0

; Reads item AX, EBX bytes of it, to EDI.
read:	shl eax, 16
	mov al, READ
	bswap eax
	mov [REQUEST], eax
	bswap ebx
	mov [REQUEST + 4], ebx
	mov dword [REQUEST + 8], 0
	bswap edi
	mov [REQUEST + 12], edi
	mov eax, BIG(BASE + REQUEST)
	mov dx, DMA_LOW
	out dx, eax
.wait:	mov eax, [REQUEST]
	test eax, eax
	jz .done
	cmp eax, BIG(1)
	jne .wait
	int 0x18			; it cannot be: whatever else there is to boot
.done:	ret

; Reads the number that is item AX to EAX.
number:	mov edi, BASE + NUMBER
	mov ebx, 4
	call read
	mov eax, [NUMBER]
	ret

; Brings what items AL (address), AH (size) and CL (bytes) tell; address to ESI, size to EBP.
bring:	push ax
	movzx ax, ah
	call number
	mov ebp, eax
	pop ax
	xor ah, ah
	call number
	mov esi, eax
	mov edi, eax
	mov ebx, ebp
	movzx ax, cl
	jmp read

boot:	cli
	cld
	mov ax, REALMODE
	mov ds, ax
	mov es, ax
	mov fs, ax
	mov gs, ax
	mov ss, ax
	mov esp, STACK
	mov ax, 0x1716			; the real-mode part
	mov cl, 0x18
	call bring
	mov ax, 0x1413			; the command line
	mov cl, 0x15
	call bring
	mov [CMDLINE], esi
	mov ax, 0x0807			; the rest
	mov cl, 0x11
	call bring
	mov ax, 0x0B0A			; the initrd
	mov cl, 0x12
	call bring
	mov [INITRD], esi
	mov [INITRD_SIZE], ebp
	mov byte [LOADER], UNDEFINED
	or byte [LOADFLAGS], CAN_USE_HEAP
	mov word [HEAP_END], STACK - 0x200
	jmp REALMODE + 0x20:0
