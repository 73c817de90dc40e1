/* SPDX-License-Identifier: MIT */
/* Finding ACPI tables. */
#include "guests/lib/acpi.h"

#define BDA_EBDA       0x40E
#define EBDA_SIZE      1024
#define BIOS_AREA      0xE0000
#define BIOS_AREA_END  0x100000
#define RSDP_V1_LENGTH 20
#define AML_PACKAGE    0x12
#define AML_BYTE       0x0A
#define NAME_LENGTH    4u

static bool same(const void *a, const char *text, size_t length)
{
	const char *bytes = a;

	for (size_t i = 0; i < length; i++)
		if (bytes[i] != text[i])
			return false;
	return true;
}

const void *acpi_scan(const char *text, size_t length, uintptr_t from, uintptr_t to)
{
	for (uintptr_t at = from; at < to; at += 16)
		if (same((const void *)at, text, length))
			return (const void *)at;
	return NULL;
}

bool acpi_sums(const void *table, size_t length)
{
	const uint8_t *bytes = table;
	uint8_t sum = 0;

	for (size_t i = 0; i < length; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return !sum;
}

static uint16_t low_word(uintptr_t address)
{
	uint16_t value;

	__asm__("movw (%1), %0" : "=r"(value) : "r"(address), "m"(*(const char(*)[])address));
	return value;
}

const struct acpi_rsdp *acpi_rsdp(void)
{
	uintptr_t ebda = (uintptr_t)low_word(BDA_EBDA) << 4;
	const struct acpi_rsdp *rsdp = acpi_scan("RSD PTR ", 8, ebda, ebda + EBDA_SIZE);

	if (!rsdp)
		rsdp = acpi_scan("RSD PTR ", 8, BIOS_AREA, BIOS_AREA_END);
	if (!rsdp || !acpi_sums(rsdp, RSDP_V1_LENGTH))
		return NULL;
	return !rsdp->revision || acpi_sums(rsdp, rsdp->length) ? rsdp : NULL;
}

const void *acpi_table(const char *signature)
{
	const struct acpi_rsdp *rsdp = acpi_rsdp();
	const struct acpi_header *list, *table;
	uint32_t size;

	if (!rsdp)
		return NULL;
	size = rsdp->revision ? sizeof(uint64_t) : sizeof(uint32_t);
	list = (const struct acpi_header *)(uintptr_t)(rsdp->revision ? rsdp->xsdt : rsdp->rsdt);
	for (uint32_t at = sizeof(*list); at < list->length; at += size) {
		const char *here = (const char *)list + at;
		uint64_t entry = rsdp->revision ? *(const uint64_t *)here : *(const uint32_t *)here;

		table = (const struct acpi_header *)(uintptr_t)entry;
		if (same(table->signature, signature, NAME_LENGTH))
			return table;
	}
	return NULL;
}

/* Name (_S5, Package (n) {x, ..}), with a package of less than 64 bytes. */
int acpi_s5(void)
{
	const struct acpi_fadt *fadt = acpi_table("FACP");
	const struct acpi_header *dsdt;
	const uint8_t *aml;

	if (!fadt)
		return -1;
	dsdt = (const struct acpi_header *)(uintptr_t)fadt->x_dsdt;
	aml = (const uint8_t *)dsdt;
	for (uint32_t at = sizeof(*dsdt); at + 9 < dsdt->length; at++) {
		if (!same(aml + at, "_S5_", NAME_LENGTH) || aml[at + NAME_LENGTH] != AML_PACKAGE)
			continue;
		return aml[at + 7] == AML_BYTE ? aml[at + 8] : aml[at + 7];
	}
	return -1;
}
