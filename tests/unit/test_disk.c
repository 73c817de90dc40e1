/* SPDX-License-Identifier: MIT */
/* Media: files that stay as they are, copies of what is written, and the pool's books. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "vm/disk.h"

#define FILE_BYTES (3 * MIB + 1000)
#define POOL	   (8 * MIB)

static uint8_t *file, *pool;
static struct frames frames;
static struct spinlock lock;
static struct disk disk;

static int setup(void **state)
{
	(void)state;
	file = aligned_alloc(PAGE_SIZE, 4 * MIB);
	pool = aligned_alloc(PAGE_SIZE, POOL);
	for (unsigned i = 0; i < FILE_BYTES; i++)
		file[i] = (uint8_t)(i * 7 + i / 256);
	memset(&frames, 0, sizeof(frames));
	frames_add(&frames, (uint64_t)pool, (uint64_t)pool + POOL);
	disk_init(&disk, file, FILE_BYTES, &frames, &lock);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	disk_drop(&disk);
	assert_int_equal(frames_total(&frames), POOL);
	assert_int_equal(frames.count, 1);
	free(file);
	free(pool);
	return 0;
}

static void test_reads_the_file(void **state)
{
	uint8_t to[10000];

	(void)state;
	assert_true(disk_read(&disk, 4000, to, sizeof(to)));
	assert_memory_equal(to, file + 4000, sizeof(to));
	assert_int_equal(frames_total(&frames), POOL);
	/* Beyond its end there are zeros. */
	memset(to, 1, sizeof(to));
	assert_true(disk_read(&disk, FILE_BYTES - 10, to, 500));
	assert_memory_equal(to, file + FILE_BYTES - 10, 10);
	for (unsigned i = 10; i < 500; i++)
		assert_int_equal(to[i], 0);
	assert_int_equal(disk_bytes(&disk, 512), 3 * MIB + 1024);
}

static void test_writes_stay_beside_it(void **state)
{
	uint8_t old[1024], new[1024], to[8192];

	(void)state;
	memcpy(old, file + 4096 - 512, sizeof(old));
	memset(new, 0xA5, sizeof(new));
	assert_true(disk_write(&disk, 4096 - 512, new, sizeof(new)));
	assert_memory_equal(file + 4096 - 512, old, sizeof(old));
	assert_true(disk_read(&disk, 0, to, sizeof(to)));
	assert_memory_equal(to, file, 4096 - 512);
	assert_memory_equal(to + 4096 - 512, new, sizeof(new));
	assert_memory_equal(to + 4096 + 512, file + 4096 + 512, 4096 - 512);
	assert_true(frames_total(&frames) < POOL);
}

/* The file's last page, whose rest is zero, and can be written. */
static void test_the_last_page(void **state)
{
	uint8_t new[24], to[1024];

	(void)state;
	memset(new, 0x5A, sizeof(new));
	assert_true(disk_write(&disk, FILE_BYTES, new, sizeof(new)));
	assert_true(disk_read(&disk, FILE_BYTES - 1000, to, sizeof(to)));
	assert_memory_equal(to, file + FILE_BYTES - 1000, 1000);
	assert_memory_equal(to + 1000, new, sizeof(new));
}

static void test_pages_far_apart(void **state)
{
	uint64_t value, back;

	(void)state;
	/* As if the file were big: the tree has three levels. */
	disk.size = 300 * GIB;
	disk_drop(&disk);
	for (uint64_t at = 1; at < 300; at += 50) {
		value = at;
		/* The whole page is new, but its original lies nowhere: so beyond the end. */
		disk.size = 0;
		assert_true(disk_write(&disk, at * GIB + 8, &value, sizeof(value)));
	}
	for (uint64_t at = 1; at < 300; at += 50) {
		assert_true(disk_read(&disk, at * GIB + 8, &back, sizeof(back)));
		assert_int_equal(back, at);
	}
}

/* When the pool is empty a write fails, and what was written before is still there. */
static void test_no_memory(void **state)
{
	uint8_t page[4096], to[4096];
	uint64_t written = 0;

	(void)state;
	disk.size = 0;
	memset(page, 0x77, sizeof(page));
	while (disk_write(&disk, written * PAGE_SIZE, page, sizeof(page)))
		written++;
	assert_true(written > POOL / PAGE_SIZE * 9 / 10);
	assert_true(written < POOL / PAGE_SIZE);
	assert_true(frames_total(&frames) < 2 * PAGE_SIZE);
	for (uint64_t i = 0; i < written; i += 17) {
		assert_true(disk_read(&disk, i * PAGE_SIZE, to, sizeof(to)));
		assert_memory_equal(to, page, sizeof(page));
	}
	assert_true(disk_write(&disk, 5, page, 10));
	assert_false(disk_write(&disk, (written + 600) * PAGE_SIZE, page, 10));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reads_the_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_writes_stay_beside_it, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_last_page, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pages_far_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
