/* SPDX-License-Identifier: MIT */
/*
 * The local APIC for test guests: its registers in the mode that it is in, and the tests that
 * xAPIC and x2APIC mode have in common. SDM volume 3, "Advanced Programmable Interrupt Controller".
 */
#ifndef GUESTS_LIB_APIC_H
#define GUESTS_LIB_APIC_H

#include <stdbool.h>
#include <stdint.h>

#define APIC_PAGE	   0xFEE00000u
#define APIC_BASE_MSR	   0x1B
#define APIC_BASE_X2	   (1u << 10)
#define APIC_BASE_ON	   (1u << 11)
#define APIC_DEADLINE_MSR  0x6E0
#define APIC_X2_MSR(reg)   (0x800u + (reg) / 16)

#define APIC_ID		   0x20
#define APIC_VERSION	   0x30
#define APIC_TPR	   0x80
#define APIC_PPR	   0xA0
#define APIC_EOI	   0xB0
#define APIC_LDR	   0xD0
#define APIC_DFR	   0xE0
#define APIC_SVR	   0xF0
#define APIC_ISR	   0x100
#define APIC_TMR	   0x180
#define APIC_IRR	   0x200
#define APIC_ESR	   0x280
#define APIC_ICR	   0x300
#define APIC_ICR_HIGH	   0x310
#define APIC_LVT_TIMER	   0x320
#define APIC_LVT_THERMAL   0x330
#define APIC_LVT_LINT0	   0x350
#define APIC_LVT_ERROR	   0x370
#define APIC_INITIAL	   0x380
#define APIC_CURRENT	   0x390
#define APIC_DIVIDE	   0x3E0
#define APIC_SELF_IPI	   0x3F0

#define APIC_SVR_ON	   (1u << 8)
#define APIC_SVR_DIRECTED  (1u << 12)
#define APIC_MASKED	   (1u << 16)
#define APIC_PERIODIC	   (1u << 17)
#define APIC_DEADLINE	   (2u << 17)
#define APIC_SELF	   (1u << 18)
#define APIC_LOWEST	   (1u << 8)
#define APIC_SMI	   (2u << 8)
#define APIC_NMI	   (4u << 8)
#define APIC_INIT	   (5u << 8)
#define APIC_STARTUP	   (6u << 8)
#define APIC_EXTINT	   (7u << 8)
#define APIC_LOGICAL	   (1u << 11)
#define APIC_ASSERT	   (1u << 14)
#define APIC_LEVEL	   (1u << 15)
#define APIC_ALL	   (2u << 18)
#define APIC_OTHERS	   (3u << 18)
#define APIC_DIVIDE_BY_1   0xB
#define APIC_DIVIDE_BY_16  0x3
#define APIC_DIVIDE_BY_128 0xA

/* Which mode apic_read and apic_write take; false at first. */
extern bool apic_x2;

uint32_t apic_read(uint32_t reg);
void apic_write(uint32_t reg, uint32_t value);
/* Is the vector's bit set in APIC_ISR, APIC_TMR or APIC_IRR? */
bool apic_bit(uint32_t array, unsigned vector);
void apic_send_self(unsigned vector);
/* By ICR; `destination` is an ID, or a set of logical ones. */
void apic_ipi(uint32_t low, uint32_t destination);
/* The mode is as it shall be, the trap library and clock started: runs what both modes share. */
void apic_test(void);

static inline uint64_t msr_read(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static inline void msr_write(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
}

#endif
