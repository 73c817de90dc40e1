/* SPDX-License-Identifier: MIT */
/*
 * The devices of a guest's PC that no bus announces, and PCI's root, for ACPI. Ports and interrupts are those of
 * vm/pc.c and devices/vacpi.h; processors are in an SSDT made by vm/firmware.c.
 */
DefinitionBlock ("", "DSDT", 2, "SOCLE ", "SOCLEPC ", 1)
{
	/* SLP_TYP for PM1a and PM1b: VACPI_SLP_TYP_S5 */
	Name (\_S5, Package () {0x00, 0x00, 0x00, 0x00})

	/* 0: 8259 pair, 1: IOAPIC. */
	Name (PICM, 0)
	Method (_PIC, 1)
	{
		PICM = Arg0
	}

	Scope (\_SB)
	{
		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A03"))
			Name (_CRS, ResourceTemplate () {
				WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
					0, 0, 0, 0, 1)
				IO (Decode16, 0x0CF8, 0x0CF8, 0x01, 0x08)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
					0, 0x0000, 0x0CF7, 0, 0x0CF8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
					0, 0x0D00, 0xFFFF, 0, 0xF300)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
					Cacheable, ReadWrite, 0, 0x000A0000, 0x000BFFFF, 0, 0x00020000)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
					NonCacheable, ReadWrite, 0, 0xC0000000, 0xFEBFFFFF, 0,
					0x3EC00000)
			})

			Device (ISA)
			{
				Name (_ADR, 0x00010000)
				OperationRegion (ROUT, PCI_Config, 0x60, 0x04)
				Field (ROUT, DWordAcc, NoLock, Preserve)
				{
					PIRQ, 32
				}
			}

			/* Pin n of device d: PIRQ n + d - 1, which is IOAPIC pin 16 + that. */
			Method (_PRT, 0, Serialized)
			{
				Local0 = Package (128) {}
				Local1 = 0
				While (Local1 < 128)
				{
					Local4 = Package (4) {0, 0, 0, 0}
					Local4 [0] = ((Local1 >> 2) << 16) | 0xFFFF
					Local4 [1] = Local1 & 3
					Local2 = (Local1 + (Local1 >> 2) + 3) & 3
					If (PICM)
					{
						Local4 [3] = Local2 + 16
					}
					Else
					{
						Local4 [3] = (^ISA.PIRQ >> (Local2 * 8)) & 0x0F
					}
					Local0 [Local1] = Local4
					Local1++
				}
				Return (Local0)
			}
		}

		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 1)
			Name (_CRS, ResourceTemplate () {
				IO (Decode16, 0x03F8, 0x03F8, 0x01, 0x08)
				IRQNoFlags () {4}
			})
		}

		Device (COM2)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 2)
			Name (_CRS, ResourceTemplate () {
				IO (Decode16, 0x02F8, 0x02F8, 0x01, 0x08)
				IRQNoFlags () {3}
			})
		}

		Device (HPET)
		{
			Name (_HID, EisaId ("PNP0103"))
			Name (_CRS, ResourceTemplate () {
				Memory32Fixed (ReadOnly, 0xFED00000, 0x00000400)
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

		Device (KBD)
		{
			Name (_HID, EisaId ("PNP0303"))
			Name (_CRS, ResourceTemplate () {
				IO (Decode16, 0x0060, 0x0060, 0x01, 0x01)
				IO (Decode16, 0x0064, 0x0064, 0x01, 0x01)
				IRQNoFlags () {1}
			})
		}

		Device (MOUS)
		{
			Name (_HID, EisaId ("PNP0F13"))
			Name (_CRS, ResourceTemplate () {
				IRQNoFlags () {12}
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
				IO (Decode16, 0x0400, 0x0400, 0x01, 0x40)
				Memory32Fixed (ReadWrite, 0xB0000000, 0x00100000)
				Memory32Fixed (ReadWrite, 0xFEE00000, 0x00001000)
			})
		}
	}
}
