/* SPDX-License-Identifier: MIT */
/*
 * Machine checks of the host: errors that its hardware found. Socle cannot tell whose data is
 * lost, so each ends in a panic that says what the banks say. Intel SDM volume 3, "Machine-Check
 * Initialization", "Machine-Check Exception Handler".
 */
#ifndef ARCH_X86_64_MACHINE_CHECK_H
#define ARCH_X86_64_MACHINE_CHECK_H

/*
 * On each core, once: all banks report from now on. What the firmware left in them (errors from
 * before a warm reset, too) is logged and cleared.
 */
void machine_check_init(void);

/*
 * In a panic by a machine check, which comes to all cores at once: each notes what its banks have
 * before one of them speaks for all, and lets the next machine check come.
 */
void machine_check_note(void);
void machine_check_print(void);

#endif
