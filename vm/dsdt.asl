/* SPDX-License-Identifier: MIT */
/*
 * The devices of a guest's PC that no bus announces, for ACPI. Ports and interrupts are those of
 * vm/pc.c and devices/vacpi.h; processors are in an SSDT made by vm/firmware.c.
 */
DefinitionBlock ("", "DSDT", 2, "SOCLE ", "SOCLEPC ", 1)
{
	/* SLP_TYP for PM1a and PM1b: VACPI_SLP_TYP_S5 */
	Name (\_S5, Package () {0x05, 0x05, 0x00, 0x00})

	Scope (\_SB)
	{
		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 1)
			Name (_CRS, ResourceTemplate () {
				IO (Decode16, 0x03F8, 0x03F8, 0x01, 0x08)
				IRQNoFlags () {4}
			})
		}

		Device (PIC)
		{
			Name (_HID, EisaId ("PNP0000"))
			Name (_CRS, ResourceTemplate () {
				IO (Decode16, 0x0020, 0x0020, 0x01, 0x02)
				IO (Decode16, 0x00A0, 0x00A0, 0x01, 0x02)
				IO (Decode16, 0x04D0, 0x04D0, 0x01, 0x02)
				IRQNoFlags () {2}
			})
		}

		Device (TIMR)
		{
			Name (_HID, EisaId ("PNP0100"))
			Name (_CRS, ResourceTemplate () {
				IO (Decode16, 0x0040, 0x0040, 0x01, 0x04)
				IRQNoFlags () {0}
			})
		}

		Device (RTC)
		{
			Name (_HID, EisaId ("PNP0B00"))
			Name (_CRS, ResourceTemplate () {
				IO (Decode16, 0x0070, 0x0070, 0x01, 0x02)
				IRQNoFlags () {8}
			})
		}

		Device (SPKR)
		{
			Name (_HID, EisaId ("PNP0800"))
			Name (_CRS, ResourceTemplate () {
				IO (Decode16, 0x0061, 0x0061, 0x01, 0x01)
			})
		}

		/* What no driver should take; the IOAPIC's page is claimed by its own driver. */
		Device (BORD)
		{
			Name (_HID, EisaId ("PNP0C02"))
			Name (_CRS, ResourceTemplate () {
				IO (Decode16, 0x0080, 0x0080, 0x01, 0x01)
				IO (Decode16, 0x0092, 0x0092, 0x01, 0x01)
				IO (Decode16, 0x00B2, 0x00B2, 0x01, 0x02)
				IO (Decode16, 0x00E9, 0x00E9, 0x01, 0x01)
				IO (Decode16, 0x00F4, 0x00F4, 0x01, 0x04)
				IO (Decode16, 0x0400, 0x0400, 0x01, 0x10)
				Memory32Fixed (ReadWrite, 0xFEE00000, 0x00001000)
			})
		}
	}
}
