/* SPDX-License-Identifier: MIT */
/*
 * The machine's console, which the log, the VMs and the monitor share: serial line, screen and
 * keyboard, with the multiplexer of vm/mux.h between them.
 *
 * All of it is core 0's, between two entries; VMs on other cores only put bytes into their rings,
 * and tell core 0 that there are some.
 */
#ifndef VMX_CONSOLE_H
#define VMX_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>

#include "vm/keys.h"
#include "vm/monitor_ops.h"
#include "vm/screen.h"
#include "vm/vm.h"

/* What each VM's console takes: the struct, and its scroll-back in the pages after it. */
#define CONSOLE_BYTES (PAGE_SIZE + VM_CONSOLE_SIZE_DEFAULT)
_Static_assert(sizeof(struct vm_console) <= PAGE_SIZE, "the scroll-back begins on the next page");

/* What a console has beside, where it is a screen and a keyboard. */
struct console_screen {
	struct vm *vm;
	struct screen screen;
	struct keys keys;
	bool told; /* at the VM's end, of all that is on it */
};

/* Bytes for the console of such a VM, in all. */
static inline uint64_t console_bytes(const struct vm_config *config)
{
	return CONSOLE_BYTES + (config->console_vga ? sizeof(struct console_screen) : 0);
}

/*
 * Once, on core 0. From here on lines of the log are queued, and go out by console_housekeeping.
 * `ops` stays the caller's; vms: how many are described; hz of the TSC.
 */
void console_init(const struct monitor_ops *ops, unsigned vms, uint64_t hz);

/*
 * VM number `number` begins: what it says goes to `console`, console_bytes of zeroes, or what it
 * had in its last run. That memory stays the caller's, and in use until console_remove_vm.
 */
void console_add_vm(unsigned number, struct vm *vm, struct vm_console *console);
/*
 * No vCPU of it runs any more. True: all that it said is out; else ask again soon. Its scroll-back
 * can still be seen.
 */
bool console_close_vm(unsigned number);
/* It is forgotten; what is not out goes out now. */
void console_remove_vm(unsigned number, uint64_t now);

/* vm_host.console_told: a VM has said something while nobody knew of more. From any core. */
void console_told(void);

/*
 * What was typed goes where it belongs, and what there is to show goes out. Called often; returns
 * the TSC at which it is wanted again at the latest.
 */
uint64_t console_housekeeping(uint64_t now);

/* Everything goes out, and the log is in direct mode again: before the machine ends. */
void console_end(void);

/* For who writes past the console: whether the line must be ended first; asked once. */
bool console_leave_line(void);

#endif
