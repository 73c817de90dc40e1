/* SPDX-License-Identifier: MIT */
/* Debugging ports. */
#include "devices/vport.h"

void vport_init(struct vport *v, const struct vport_ops *ops)
{
	v->post = 0;
	v->ops = *ops;
}

/* Reading E9H gives E9H, by which a guest knows that it is there. */
uint32_t vport_read(void *vport, uint16_t port, unsigned size, uint64_t now)
{
	const struct vport *v = vport;

	(void)size, (void)now;
	switch (port) {
	case VPORT_BIOS:
	case VPORT_CONSOLE: return VPORT_CONSOLE;
	case VPORT_POST: return v->post;
	default: return UINT32_MAX;
	}
}

void vport_write(void *vport, uint16_t port, unsigned size, uint32_t value, uint64_t now)
{
	struct vport *v = vport;

	(void)size, (void)now;
	switch (port) {
	case VPORT_BIOS:
	case VPORT_CONSOLE: v->ops.console(v->ops.ctx, (uint8_t)value); return;
	case VPORT_POST: v->post = (uint8_t)value; return;
	case VPORT_EXIT: v->ops.debug_exit(v->ops.ctx, value); return;
	default: return;
	}
}
