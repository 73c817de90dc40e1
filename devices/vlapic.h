/* SPDX-License-Identifier: MIT */
/*
 * Local APIC (xAPIC and x2APIC) of one vCPU.
 *
 * All registers that software sees live in a 4 KiB page in the architectural layout, so that the
 * page can be VT-x' virtual-APIC page: the processor may change the TPR behind our back. What is
 * derived from the page (highest IRR and ISR vector) is cached beside it.
 *
 * With vlapic_delegate the processor has IRR, ISR and PPR as well: it takes and ends interrupts
 * without us, and has its own account of the highest vectors. What the model changes meanwhile it
 * notes. Between vlapic_take_back and vlapic_hand_over all is as without it.
 * SDM volume 3, 'Advanced Programmable Interrupt Controller (APIC)'.
 */
#ifndef DEVICES_VLAPIC_H
#define DEVICES_VLAPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/apic.h"

/*
 * Input clock of the timer, before the divide configuration register. One count is one nanosecond,
 * so a period is a whole number of the unit guests compute in; 10^9 is the largest unit rate that
 * lib/rate.h converts exactly in 64 bits; kernels that calibrate the timer find it far above their
 * lower limits; 32 bits hold 4.3 s (9 minutes divided by 128). Report it as the core crystal clock
 * (CPUID 15H ECX) and as the bus frequency in kHz (CPUID 40000010H EBX).
 */
#define VLAPIC_TIMER_HZ 1000000000ULL

/* Register offsets in the page; the x2APIC MSR is VLAPIC_MSR_FIRST + offset / 16. */
enum vlapic_reg {
	VLAPIC_ID = 0x20,
	VLAPIC_VERSION = 0x30,
	VLAPIC_TPR = 0x80,
	VLAPIC_APR = 0x90,
	VLAPIC_PPR = 0xA0,
	VLAPIC_EOI = 0xB0,
	VLAPIC_RRD = 0xC0,
	VLAPIC_LDR = 0xD0,
	VLAPIC_DFR = 0xE0,
	VLAPIC_SVR = 0xF0,
	VLAPIC_ISR = 0x100,
	VLAPIC_TMR = 0x180,
	VLAPIC_IRR = 0x200,
	VLAPIC_ESR = 0x280,
	VLAPIC_LVT_CMCI = 0x2F0,
	VLAPIC_ICR = 0x300, /* 64 bits in x2APIC mode */
	VLAPIC_ICR_HIGH = 0x310,
	VLAPIC_LVT_TIMER = 0x320,
	VLAPIC_LVT_THERMAL = 0x330,
	VLAPIC_LVT_PERF = 0x340,
	VLAPIC_LVT_LINT0 = 0x350,
	VLAPIC_LVT_LINT1 = 0x360,
	VLAPIC_LVT_ERROR = 0x370,
	VLAPIC_TIMER_INITIAL = 0x380,
	VLAPIC_TIMER_CURRENT = 0x390,
	VLAPIC_TIMER_DIVIDE = 0x3E0,
	VLAPIC_SELF_IPI = 0x3F0, /* x2APIC only */
};

#define VLAPIC_PAGE_SIZE    0x1000
#define VLAPIC_KEPT	    16
#define VLAPIC_SVR_ENABLE   (1U << 8)
#define VLAPIC_MSR_FIRST    0x800
#define VLAPIC_MSR_LAST	    0x8FF
#define VLAPIC_BASE_DEFAULT 0xFEE00000ULL
#define VLAPIC_BASE_BSP	    (1U << 8)
#define VLAPIC_BASE_X2APIC  (1U << 10)
#define VLAPIC_BASE_ENABLE  (1U << 11)

/* All are called with vlapic_config.ctx, from within a call of this device; none may be NULL. */
struct vlapic_ops {
	/* An IPI; never with shorthand SELF. The router hands it to its targets' vlapic_accept. */
	void (*send)(void *ctx, const struct apic_message *message);
	/* The EOI of a level-triggered vector, for the IOAPICs. */
	void (*eoi)(void *ctx, uint8_t vector);
	void (*nmi)(void *ctx);
	void (*smi)(void *ctx);
	/* INIT: the vCPU's owner resets it and calls vlapic_init_reset. */
	void (*init)(void *ctx);
	/* Start-up IPI: begin at page number `vector`, if waiting for it. */
	void (*startup)(void *ctx, uint8_t vector);
	/*
	 * An interrupt may now be deliverable that was not before, or one is withdrawn, or
	 * vlapic_tpr_threshold has become another.
	 */
	void (*changed)(void *ctx);
};

struct vlapic_config {
	uint8_t *page;	       /* VLAPIC_PAGE_SIZE bytes, 4-aligned; stays the caller's */
	uint32_t id;	       /* initial (x2APIC) ID; its low 8 bits are the xAPIC ID */
	bool bootstrap;	       /* the bootstrap processor */
	uint8_t physical_bits; /* MAXPHYADDR: APIC base bits above it are reserved */
	uint64_t hz;	       /* ticks a second, as in lib/rate.h */
	const struct vlapic_ops *ops;
	void *ctx;
};

struct vlapic {
	uint8_t *page;
	int16_t irr_top;     /* highest vector in IRR, -1 for none */
	int16_t isr_top;     /* highest vector in ISR, -1 for none */
	bool extint;	     /* the processor's INTR from outside is asserted: see vlapic_extint */
	bool extint_latched; /* an ExtINT message came and waits for its acknowledge */
	bool lint[2];	     /* levels of the LINT0 and LINT1 pins */
	bool delegated; /* see vlapic_delegate; the rest is what the processor is not told yet */
	bool rewritten; /* IRR or ISR lost bits */
	uint8_t tmr_changed; /* bit i: TMR of vectors 64 * i to 64 * i + 63 has changed */
	int16_t request;     /* highest vector set in IRR, -1 for none */
	uint8_t physical_bits;
	uint32_t id;
	uint32_t errors;	    /* found since the last write to ESR */
	uint32_t kept[VLAPIC_KEPT]; /* registers from ICR on as the model has put them last */
	uint64_t base;		    /* IA32_APIC_BASE */
	uint64_t hz;
	uint64_t tsc_adjust; /* guest TSC = now + tsc_adjust, modulo 2^64 */
	uint64_t deadline;   /* IA32_TSC_DEADLINE; 0: disarmed */
	/*
	 * The timer counts from timer_start (a tick) on, and expires when timer_expiry counts have
	 * passed since, which is at timer_next (a tick; UINT64_MAX while it stands still).
	 */
	uint64_t timer_start;
	uint64_t timer_expiry;
	uint64_t timer_next;
	uint64_t next; /* timer_next while that would interrupt, else UINT64_MAX */
	const struct vlapic_ops *ops;
	void *ctx;
};

/* Power-up state: enabled in xAPIC mode at the default base, software-disabled, all masked. */
void vlapic_init(struct vlapic *v, const struct vlapic_config *config);
/* What INIT does: as power-up, but the mode, the base and the ID stay. */
void vlapic_init_reset(struct vlapic *v);
/* What firmware leaves on the bootstrap processor: enabled, LINT0 is ExtINT, LINT1 is NMI. */
void vlapic_virtual_wire(struct vlapic *v);

static inline bool vlapic_enabled(const struct vlapic *v)
{
	return (v->base & VLAPIC_BASE_ENABLE) != 0;
}

static inline bool vlapic_x2apic(const struct vlapic *v)
{
	return (v->base & VLAPIC_BASE_X2APIC) != 0;
}

/* By SVR; an APIC that is disabled by IA32_APIC_BASE is so as well. */
static inline bool vlapic_software_enabled(const struct vlapic *v)
{
	return v->page[VLAPIC_SVR + 1] & VLAPIC_SVR_ENABLE >> 8;
}

/* True when gpa is in the register page of this (enabled, xAPIC mode) local APIC. */
static inline bool vlapic_claims(const struct vlapic *v, uint64_t gpa)
{
	uint64_t key = v->base & ~(uint64_t)(0xFFF & ~(VLAPIC_BASE_ENABLE | VLAPIC_BASE_X2APIC));

	return (gpa & ~0xFFFULL) + VLAPIC_BASE_ENABLE == key;
}

/* IA32_APIC_BASE (read: v->base). False: #GP, nothing changed. */
bool vlapic_write_base(struct vlapic *v, uint64_t value);
/* x2APIC MSRs VLAPIC_MSR_FIRST..LAST. False: #GP, nothing changed. */
bool vlapic_read_msr(struct vlapic *v, uint32_t msr, uint64_t *value, uint64_t now);
bool vlapic_write_msr(struct vlapic *v, uint32_t msr, uint64_t value, uint64_t now);
/* xAPIC register page; offset is 0..0xFFF, size 1, 2, 4 or 8. Only for vlapic_claims pages. */
uint64_t vlapic_read(struct vlapic *v, uint64_t offset, unsigned size, uint64_t now);
void vlapic_write(struct vlapic *v, uint64_t offset, unsigned size, uint64_t value, uint64_t now);
/* IA32_TSC_DEADLINE; the CPUID policy always offers it. */
uint64_t vlapic_read_deadline(struct vlapic *v, uint64_t now);
void vlapic_write_deadline(struct vlapic *v, uint64_t value, uint64_t now);
/* The guest's TSC was moved: guest TSC = now + adjust from now on, modulo 2^64. */
void vlapic_set_tsc_adjust(struct vlapic *v, uint64_t adjust, uint64_t now);

static inline uint8_t vlapic_tpr(const struct vlapic *v)
{
	return v->page[VLAPIC_TPR];
}

/* MOV to CR8 is vlapic_set_tpr(v, cr8 << 4). */
void vlapic_set_tpr(struct vlapic *v, uint8_t tpr);
/* Processor priority: the higher of TPR and the highest vector in service. */
uint8_t vlapic_ppr(const struct vlapic *v);

/* The vector that the processor would take next (it has the priority), -1 for none. Hot. */
static inline int vlapic_pending(const struct vlapic *v)
{
	int vector = v->irr_top;

	if (vector < 0)
		return -1;
	return vector >> 4 > vlapic_tpr(v) >> 4 && vector >> 4 > v->isr_top >> 4 ? vector : -1;
}

/*
 * The TPR threshold for VT-x: the priority class below which the TPR must fall for the highest
 * request to become deliverable; 0 when the TPR is not what holds it back (or it is not held).
 */
uint8_t vlapic_tpr_threshold(const struct vlapic *v);

/* The processor takes `vector` (from vlapic_pending): IRR to ISR. */
void vlapic_acknowledge(struct vlapic *v, uint8_t vector);

/*
 * True while the 8259's INTR reaches the processor: through LINT0 in ExtINT mode, by an ExtINT
 * message, or directly while the APIC is disabled. It has no priority: neither TPR nor ISR hold it.
 */
static inline bool vlapic_extint(const struct vlapic *v)
{
	return v->extint;
}

/* The processor did the INTA cycle with the 8259: an ExtINT message is used up. */
void vlapic_acknowledge_extint(struct vlapic *v);

/* Level of the LINT0 (pin 0) or LINT1 (pin 1) input; `vlapic` is a struct vlapic (line.set). */
void vlapic_set_lint(void *vlapic, unsigned pin, bool level);

/* Does the destination name this APIC? (Shorthands are the router's.) */
bool vlapic_matches(const struct vlapic *v, uint32_t destination, bool logical);
/* May this APIC take part in lowest-priority arbitration? (enabled, also by software) */
bool vlapic_arbitrates(const struct vlapic *v);
/* Arbitration priority: among equals for LOWEST_PRIORITY the lowest wins. */
uint8_t vlapic_apr(const struct vlapic *v);
/* A message for this APIC arrives. */
void vlapic_accept(struct vlapic *v, const struct apic_message *message);

/* Whether the 8259's interrupts, on LINT0, would arrive as NMIs. */
bool vlapic_lint0_is_nmi(const struct vlapic *v);
/* Whether a change of LINT0 can matter to the vCPU now; other cores may ask. */
bool vlapic_lint0_listens(const struct vlapic *v);

/* Lets time pass: the timer fires if its time has come. */
void vlapic_advance(struct vlapic *v, uint64_t now);

static inline uint64_t vlapic_next_event(const struct vlapic *v)
{
	return v->next;
}

/* The page's IRR or ISR was written by somebody else (hardware): derive the caches again. */
void vlapic_resync(struct vlapic *v);

/*
 * From now on the processor has IRR and ISR (virtual-interrupt delivery): IRR while the guest runs,
 * but for new requests. The two below are called around what uses vlapic_pending and
 * vlapic_acknowledge; `requested` and `serviced` are the highest vectors as the processor has, or
 * shall have them, 0 for none.
 */
void vlapic_delegate(struct vlapic *v);
/* The model has them again, as the page says. */
void vlapic_undelegate(struct vlapic *v);
void vlapic_take_back(struct vlapic *v, uint8_t requested, uint8_t serviced);
void vlapic_hand_over(struct vlapic *v, uint8_t *requested, uint8_t *serviced);

/* 64 bits of TMR, for vectors 64 * word on: those whose end the model must hear of. */
uint64_t vlapic_level_triggered(const struct vlapic *v, unsigned word);
/* The processor has taken a level-triggered vector from ISR. */
void vlapic_ended(struct vlapic *v, uint8_t vector);
/*
 * In xAPIC mode the processor has written the register at `offset` in the page by itself: what the
 * model does for such a write follows (SDM volume 3, "APIC-Write VM Exits").
 */
void vlapic_written(struct vlapic *v, uint64_t offset, uint64_t now);
/* Whether an x2APIC MSR reads as what the page holds at its place, 64 bits of it. */
bool vlapic_reads_page(uint32_t msr);

#endif
